"""Projections for people and scripts: the cost ledger and the merge queue as plain files.

Both can be deleted at any time; the next write makes them again from the events. What a file says of its own
place in the streams decides where to go on, so that a crash at any instant loses and repeats nothing.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.core.money import to_usd
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.ports import EventLog
from cli_multi_rapid.store.envelope import encode
from cli_multi_rapid.store.folder_lock import hold_folder
from cli_multi_rapid.store.merge_book import MergeBook, MergeRecord

LEDGER = "cost_ledger.jsonl"
LEDGER_PLACE = "cost_ledger.place.json"
QUEUE = "merge_queue.json"
SCHEMA_VERSION = 1
HISTORY = 200
"""The finished entries that `merge_queue.json` shows per target; the read model has all of them."""

Places = dict[RunId, int]


def write_plain_files(log: EventLog, state_dir: Path) -> None:
    """Bring `cost_ledger.jsonl` and `merge_queue.json` up to date with all streams, once."""
    PlainFiles(log, state_dir).write()


class PlainFiles:
    """Writes the files again and again, at the cost of the news. Any number of processes may do so.

    Raises `EnvironmentFault` when the folder cannot be written.
    """

    def __init__(self, log: EventLog, state_dir: Path) -> None:
        self._log = log
        self._folder = state_dir
        self._books: dict[RunId, MergeBook] = {}

    def write(self, streams: Iterable[RunId] | None = None) -> None:
        """Bring both files up to date with these streams; without any, with all that there are."""
        wanted = list(self._log.streams() if streams is None else streams)
        try:
            with hold_folder(self._folder):
                self._write_ledger([stream for stream in wanted if not is_queue_stream(stream)])
                self._write_queue([stream for stream in wanted if is_queue_stream(stream)])
        except OSError as error:
            raise EnvironmentFault(
                f"{error.filename or self._folder} cannot be written: {error.strerror}",
                hint="free some space or check the permissions; the file is made again with the next event",
            ) from error

    # --- the ledger: lines are appended, then their place is noted -----------------------------------------

    def _write_ledger(self, runs: list[RunId]) -> None:
        size, places = self._noted_place()
        restarted = size is None
        if size is None:
            size, runs = self._restart_ledger(), self._all_runs()
        before = dict(places)
        lines = [line for run_id in runs for line in self._new_lines(run_id, places)]
        if lines:
            with (self._folder / LEDGER).open("r+b") as file:
                file.truncate(size)  # what a crash left behind the noted place is written again
                file.seek(size)
                file.write("".join(lines).encode("ascii"))
                size = file.tell()
        if restarted or places != before:  # also without a line: or it would be looked for again each time
            _replace(self._folder / LEDGER_PLACE, encode({"size": size, "places": places}))

    def _new_lines(self, run_id: RunId, places: Places) -> list[str]:
        """The lines of the events after the noted place, which moves on."""
        events = self._log.read(run_id, places.get(run_id, 0))
        if events:
            places[run_id] = events[-1].seq
        return [_ledger_line(event, event.data) for event in events if isinstance(event.data, BudgetSettled)]

    def _noted_place(self) -> tuple[int | None, Places]:
        """How much of the file is certain, and what that covers; None when the file must be made anew."""
        place = _read_json(self._folder / LEDGER_PLACE)
        with suppress(OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
            size, places = int(place["size"]), {RunId(run): int(seq) for run, seq in place["places"].items()}
            if 0 <= size <= (self._folder / LEDGER).stat().st_size:
                return size, places
        return None, {}

    def _restart_ledger(self) -> int:
        """Keep only the lines that are not ours (an earlier tool's); returns the size of that."""
        path = self._folder / LEDGER
        kept = b""
        with suppress(FileNotFoundError):
            kept = b"".join(
                line for line in path.read_bytes().splitlines(keepends=True) if not _is_ours(line)
            )
        if kept and not kept.endswith(b"\n"):
            kept += b"\n"
        (self._folder / LEDGER_PLACE).unlink(missing_ok=True)
        _replace(path, kept.decode("utf-8", "surrogateescape"))
        return len(kept)

    def _all_runs(self) -> list[RunId]:
        return [stream for stream in reversed(self._log.streams()) if not is_queue_stream(stream)]

    # --- the queue: one small document, replaced as a whole ------------------------------------------------

    def _write_queue(self, streams: list[RunId]) -> None:
        path = self._folder / QUEUE
        shown = _read_json(path)
        places = shown.get("places") if isinstance(shown, dict) else None
        if not isinstance(places, dict):
            places = None
        if places is None and path.exists():
            path.replace(path.with_name(f"{QUEUE}.old"))  # an earlier tool's, or damaged: not ours to drop
        if places is not None and all(self._log.last_seq(stream) == places.get(stream) for stream in streams):
            return
        known = {RunId(stream) for stream in places or () if is_queue_stream(RunId(stream))}
        for stream in sorted(known.union(streams)):
            book = self._books.setdefault(stream, MergeBook(stream))
            book.apply(self._log.read(stream, book.seq))
        _replace(path, _queue_text(self._books))


def _ledger_line(event: Event, data: BudgetSettled) -> str:
    line = {
        "ts": int(event.time.timestamp()),
        "task_id": data.node_id,
        "tool": data.tool,
        "action": data.action,
        "tokens": data.usage.tokens,
        "amount": None if data.usage.unknown else to_usd(data.usage.cost),
        "run": event.run_id,
        "node": data.node_id,
        "attempt": data.attempt,
        "model": data.usage.model,
    }
    return encode(line) + "\n"


def _is_ours(line: bytes) -> bool:
    """Whether this program wrote the line, or began to."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return not line.endswith(b"\n")
    return isinstance(document, dict) and "run" in document and "attempt" in document


def _queue_text(books: Mapping[RunId, MergeBook]) -> str:
    """The document, one entry per line: short enough to read, quick to write."""
    pending = [record for book in books.values() for record in book.open_records()]
    pending.sort(key=lambda record: (record.target, record.priority, record.created_at))
    ended = [record for book in books.values() for record in book.ended_records(HISTORY)]
    ended.sort(key=lambda record: record.updated_at)
    halted = {stream: book.halted for stream, book in books.items() if book.halted}
    places = {stream: book.seq for stream, book in books.items()}
    return (
        f'{{\n"schema_version": {SCHEMA_VERSION},\n'
        f'"queue": {_lines(_pending(record) for record in pending)},\n'
        f'"processing_history": {_lines(_ended(record) for record in ended)},\n'
        f'"halted": {encode(halted)},\n"places": {encode(places)}\n}}\n'
    )


def _lines(documents: Iterable[dict[str, Any]]) -> str:
    lines = ",\n".join(f"  {encode(document)}" for document in documents)
    return f"[\n{lines}\n]" if lines else "[]"


def _pending(record: MergeRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "branch": record.branch,
        "target": record.target,
        "status": record.status,
        "priority": record.priority,
        "urgent": record.urgent,
        "solo": record.solo,
        "checks_required": record.checks_required,
        "checks_passed": record.checks_passed,
        "created_at": _z(record.created_at),
        "updated_at": _z(record.updated_at),
        "label": record.label,
        "run": record.run_id,
        "node": record.node_id,
        "head": record.head,
        "reason": record.reason,
        "command": record.command,
    }


def _ended(record: MergeRecord) -> dict[str, Any]:
    landed = record.status is MergeStatus.MERGED
    return {
        "id": record.id,
        "branch": record.branch,
        "target": record.target,
        "status": record.status,
        "merged_at": _z(record.ended_at) if landed else None,
        "duration_sec": round(record.duration_s or 0.0, 3),
        "ended_at": _z(record.ended_at),
        "label": record.label,
        "run": record.run_id,
        "node": record.node_id,
        "head": record.head,
        "landed_commit": record.landed_commit,
        "checks_passed": record.checks_passed,
        "check_sec": round(record.check_s, 3),
        "reason": record.reason,
        "files": record.files,
        "partner": record.partner,
    }


def _z(time: datetime | None) -> str | None:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if time else None


def _read_json(path: Path) -> Any:
    """The document, or None when there is none that can be read."""
    with suppress(FileNotFoundError, ValueError, RecursionError):
        return json.loads(path.read_bytes())
    return None


def _replace(path: Path, text: str) -> None:
    """Readers see the old file or the new one, never a part."""
    temp = path.with_name(f".{path.name}.new")
    temp.write_bytes(text.encode("utf-8", "surrogateescape"))
    temp.replace(path)
