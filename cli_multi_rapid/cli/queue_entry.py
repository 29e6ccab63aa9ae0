"""`queue why`: all that is known of one merge entry."""

from collections.abc import Iterator
from typing import TypedDict

from cli_multi_rapid.cli.queue_look import View
from cli_multi_rapid.cli.queue_view import LoadedQueue
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.events_text import EventDocument, describe, event_document
from cli_multi_rapid.reports.queue_evidence import TriedTree, evidence_lines, tried_trees
from cli_multi_rapid.reports.queue_rows import row_of
from cli_multi_rapid.reports.queue_text import (
    QueueLine,
    estimate_text,
    newer_text,
    queue_document,
    wishes_text,
)
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import from_iso, iso, iso_or_none

_EVIDENCE_LINES = 20


class EntryDocument(TypedDict):
    """The document of `queue why --format json`. `check`, `log` and `evidence`: of the check that failed.

    `tried`: every tree that held it, with what each check said there.
    """

    schema_version: int
    entry: QueueLine
    label: str
    head: str
    base: str
    checks: list[str]
    depends_on: list[str]
    files: list[str]
    partner: str
    check: str | None
    log: str
    evidence: str
    tried: list[TriedTree]
    landed_commit: str | None
    enqueued_at: str
    ended_at: str | None
    halted: str | None
    no_estimate: str
    processor: str | None
    history: list[EventDocument]


def entry_document(queue: LoadedQueue, known: EntryState, view: View) -> EntryDocument:
    """Everything about an entry, with the events that name it."""
    row = row_of(queue.state, known, view.look)
    document = queue_document([row])
    (line,) = [*document["queue"], *document["processing_history"]]
    return EntryDocument(
        schema_version=SCHEMA_VERSION,
        entry=line,
        label=known.entry.label,
        head=known.entry.head,
        base=known.entry.base,
        checks=[check.id for check in known.entry.checks],
        depends_on=list(known.entry.deps),
        files=list(known.files),
        partner=known.partner,
        check=known.check,
        log=known.log,
        evidence=known.evidence,
        tried=tried_trees(queue.events, known.entry.id),
        landed_commit=known.landed_commit,
        enqueued_at=iso(known.enqueued_at),
        ended_at=iso_or_none(known.ended_at),
        halted=queue.state.halted,
        no_estimate=view.unknown if known.open and row.estimate is None else "",
        processor=queue.processor,
        history=[event_document(event) for event in queue.events if _names(event, known.entry.id)],
    )


def _names(event: Event, entry_id: EntryId) -> bool:
    data = event.data
    entry = getattr(data, "entry", None)
    named = (*getattr(data, "entries", ()), getattr(data, "entry_id", None), getattr(entry, "id", None))
    return entry_id in named


def entry_text(document: EntryDocument) -> str:
    """The same for a terminal."""
    return "\n".join(_lines(document))


def _lines(document: EntryDocument) -> Iterator[str]:
    entry = document["entry"]
    yield f"{entry['id']}  {entry['status']}  {entry['branch']} -> {entry['target']}"
    for name, value in _facts(document):
        yield f"  {name:9} {value}"
    if document["evidence"]:
        yield "  evidence"
        yield from (f"    | {line}" for line in document["evidence"].splitlines()[-_EVIDENCE_LINES:])
    if document["tried"]:
        yield "  tried on"
        yield from (f"    {line}" for line in evidence_lines(document["tried"]))
    yield "  history"
    for event in document["history"]:
        clock = from_iso(event["time"]).astimezone()
        yield f"    {clock:%H:%M:%S} {event['type']:16} {_words(event)}".rstrip()
    if entry["newer_commits"]:
        yield newer_text(entry["branch"], entry["target"], entry["newer_commits"])
    if entry["next_command"] and entry["asks"]:
        yield "next:"
        yield f"        {entry['next_command']}"


def _facts(document: EntryDocument) -> Iterator[tuple[str, str]]:
    entry = document["entry"]
    values = {
        "change": one_line(document["label"]),
        "why": one_line(entry["reason"]),
        "waits for": ", ".join(entry["waits_for"]),
        "place": str(entry["position"] or ""),
        "expected": _expected(document),
        "wishes": wishes_text(urgent=entry["urgent"], solo=entry["solo"]),
        "after": ", ".join(document["depends_on"]),
        "files": ", ".join(document["files"]),
        "with": document["partner"],
        "check": document["check"] or "",
        "log": document["log"],
        "landed as": document["landed_commit"] or "",
        "halted": one_line(document["halted"] or ""),
        "head": document["head"],
        "checks": ", ".join(document["checks"]) or "none",
        "run": f"{entry['run_id']} {entry['node_id']}" if entry["run_id"] else "",
    }
    return ((name, value) for name, value in values.items() if value)


def _expected(document: EntryDocument) -> str:
    if estimate := document["entry"]["estimate"]:
        return estimate_text(estimate)
    return f"no estimate yet: {document['no_estimate']}" if document["no_estimate"] else ""


def _words(event: EventDocument) -> str:
    from cli_multi_rapid.core.events import payload_from_data

    return one_line(describe(payload_from_data(event["type"], event["version"], event["data"])), 200)
