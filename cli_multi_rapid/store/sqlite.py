"""The event log in an SQLite file: the default store."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cli_multi_rapid.core.codec import CorruptDocument
from cli_multi_rapid.core.events import DURABLE, Event, NewEvent, payload_from_data, payload_to_data
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.ports import EventIdUsed, StaleWriter
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.envelope import encode, placed, type_and_version, utc_text
from cli_multi_rapid.store.faults import damaged

_PLACE = "SELECT (SELECT max(seq) FROM events WHERE run_id = ?1), (SELECT token FROM leases WHERE name = ?1)"
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_STREAM = "INSERT INTO streams (run_id, started_at) VALUES (?, ?)"
_READ = """
    SELECT seq, id, type, version, time, source, causation_id, correlation_id, data
    FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_STREAMS = "SELECT run_id FROM streams ORDER BY started_at DESC, place DESC"


class SqliteEventLog:
    """The log of one state database; see `ports.EventLog`. Safe for several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        run_id: RunId,
        events: Sequence[NewEvent],
        *,
        expected_seq: int | None,
        fence: int | None = None,
    ) -> list[Event]:
        """Append all events or none; one transaction, waiting for other writers in turn."""
        drafts = [_draft(event) for event in events]  # before the turn: others need not wait for it
        durable = any(draft[1] in DURABLE for draft in drafts)
        with self._database.transaction(durable=durable) as connection:
            found, token = connection.execute(_PLACE, (run_id,)).fetchone()
            last: int = found or 0
            if fence is not None and fence != token:
                raise StaleWriter(run_id, last if expected_seq is None else expected_seq, last, fenced=True)
            if expected_seq is not None and expected_seq != last:
                raise StaleWriter(run_id, expected_seq, last)
            if drafts and last == 0:
                connection.execute(_INSERT_STREAM, (run_id, drafts[0][3]))
            try:
                connection.executemany(
                    _INSERT, [(run_id, seq, *draft) for seq, draft in enumerate(drafts, last + 1)]
                )
            except sqlite3.IntegrityError as error:
                raise EventIdUsed(f"{run_id}: an event id was used before ({error})") from error
        return [placed(run_id, seq, event) for seq, event in enumerate(events, last + 1)]

    def read(self, run_id: RunId, after_seq: int = 0, *, limit: int | None = None) -> list[Event]:
        """The events of a stream after a place, in order, lifted to the newest versions."""
        rows = self._database.query(_READ, (run_id, after_seq, -1 if limit is None else limit))
        return [self._event(run_id, row) for row in rows]

    def last_seq(self, run_id: RunId) -> int:
        """The last place of a stream; 0 when there is no such stream."""
        return self._database.query("SELECT max(seq) FROM events WHERE run_id = ?", (run_id,))[0][0] or 0

    def streams(self) -> list[RunId]:
        """Every stream's id, queues included, by the time of its first event, the latest first."""
        return [RunId(run_id) for (run_id,) in self._database.query(_STREAMS)]

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _event(self, run_id: RunId, row: tuple[Any, ...]) -> Event:
        seq, event_id, name, version, time, source, causation_id, correlation_id, data = row
        try:
            return Event(
                id=event_id,
                seq=seq,
                run_id=run_id,
                time=datetime.fromisoformat(time),
                source=source,
                data=payload_from_data(name, version, json.loads(data)),
                causation_id=causation_id,
                correlation_id=correlation_id,
            )
        except (CorruptDocument, ValueError, TypeError) as error:
            raise damaged(self._database.path, f"event {seq} ({name}) of {run_id}: {error}") from error


def _draft(event: NewEvent) -> tuple[object, ...]:
    """The columns of an event that has no place yet: id, type, version, time, ..."""
    name, version = type_and_version(event.data)
    return (
        event.id,
        name,
        version,
        utc_text(event.time),
        event.source,
        event.causation_id,
        event.correlation_id,
        encode(payload_to_data(event.data)),
    )
