"""A run as a text file: one header, then one event per line."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from math import isfinite
from typing import Any

from cli_multi_rapid.core.codec import CorruptDocument
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.ports import EventIdUsed, EventLog, StaleWriter
from cli_multi_rapid.schema.names import what_is_wrong_with_id
from cli_multi_rapid.store.envelope import encode, from_envelope, to_envelope

KIND = "cli-orchestrator.run"
SCHEMA_VERSION = 1


def export_run(log: EventLog, run_id: RunId) -> Iterator[str]:
    """The lines of a run's file, each with its line end: a header, then its events in order.

    Raises `UserError` when there is no such run, before the first line.
    """
    events = log.read(run_id)
    if not events:
        raise UserError(f"there is no run {run_id}", hint="see the runs with: cli-orchestrator runs")
    header = {"schema_version": SCHEMA_VERSION, "kind": KIND, "run_id": run_id, "events": len(events)}
    return (f"{encode(document)}\n" for document in chain([header], map(to_envelope, events)))


def import_run(log: EventLog, lines: Iterable[str]) -> RunId:
    """Append an exported run to a log that does not have it, and return its id.

    All events or none. Raises `UserError`, with the line, when the text is no complete export, and when the
    log has the run already.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    run_id, expected = _read_header(numbered)
    events = [_read_event(number, line, run_id) for number, line in numbered]
    for place, event in enumerate(events, 1):
        if event.seq != place:
            raise UserError(
                f"event {place} of {run_id} is missing in the file: {event.seq} stands in its place"
            )
    if len(events) != expected:
        raise UserError(f"the file has {len(events)} events of {run_id}, its header says {expected}")
    try:
        log.append(run_id, [_new(event) for event in events], expected_seq=0)
    except StaleWriter as stale:
        raise UserError(
            f"the run {run_id} is here already, with {stale.actual} events",
            hint="nothing was changed; look at it with: cli-orchestrator status " + run_id,
        ) from stale
    except EventIdUsed as used:
        raise UserError(
            f"events of {run_id} are here already, in another run", hint="nothing was changed"
        ) from used
    return run_id


def _read_header(numbered: Iterator[tuple[int, str]]) -> tuple[RunId, int]:
    number, line = next(numbered, (1, ""))
    header = _parse(number, line)
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise UserError(f"line {number}: this is no exported run: its first line must say kind {KIND}")
    version, run_id, expected = header.get("schema_version"), header.get("run_id"), header.get("events")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"line {number}: the file has schema_version {version}, this release reads {SCHEMA_VERSION}",
            hint="import it with the release that wrote it, or a newer one",
        )
    if not isinstance(run_id, str) or not isinstance(expected, int):
        raise UserError(f"line {number}: the header must have run_id and events")
    if wrong := what_is_wrong_with_id(run_id):  # nor is the stream of a merge queue a run: it would be obeyed
        raise UserError(f"line {number}: {run_id!r} cannot be the id of a run: it {wrong}")
    return RunId(run_id), expected


def _read_event(number: int, line: str, run_id: RunId) -> Event:
    try:
        event = from_envelope(_parse(number, line))
    except CorruptDocument as error:
        raise UserError(f"line {number}: {error}") from error
    if event.run_id != run_id:
        raise UserError(f"line {number}: the event belongs to {event.run_id}, not to {run_id}")
    return event


def _parse(number: int, line: str) -> Any:
    try:
        return json.loads(line, parse_float=_finite, parse_constant=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise UserError(f"line {number}: this is no JSON: {error}") from error


def _finite(text: str) -> float:
    """Python reads `NaN` and `1e999`, which no log can write."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _whole(text: str) -> int:
    """Beyond 64 bits no table holds a number."""
    number = int(text)
    if number.bit_length() >= 64:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return number


def _new(event: Event) -> NewEvent:
    return NewEvent(
        id=event.id,
        time=event.time,
        source=event.source,
        data=event.data,
        causation_id=event.causation_id,
        correlation_id=event.correlation_id,
    )
