"""The merge queue as a listing: what waits, for what, since when, and what to type."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypedDict

from cli_multi_rapid.core.ids import Branch, EntryId, NodeId, RunId
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso, span
from cli_multi_rapid.reports.tone import PAINTS, tone_of_node

_WIDTH: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One entry of a queue as it is shown."""

    position: int | None
    """Place in line, from 1; None for an entry that has left the queue."""
    id: EntryId
    branch: Branch
    target: Branch
    status: MergeStatus
    priority: int = 1
    waits_for: tuple[str, ...] = ()
    since: datetime | None = None
    """When it joined the queue; for an entry that has left it, when it left."""
    next_command: str | None = None
    run: RunId | None = None
    node: NodeId | None = None
    reason: str = ""


class QueueLine(TypedDict):
    """A row as JSON."""

    position: int | None
    id: str
    branch: str
    target: str
    status: str
    priority: int
    waits_for: list[str]
    since: str | None
    next_command: str | None
    run_id: str | None
    node_id: str | None
    reason: str


class QueueDocument(TypedDict):
    """The document of `queue list --format json`. `halted`: why the queue stands still; null: it goes on."""

    schema_version: int
    halted: str | None
    queue: list[QueueLine]
    processing_history: list[QueueLine]


def queue_document(rows: Sequence[QueueRow], *, halted: str | None = None) -> QueueDocument:
    """The rows as JSON: those in line by position, then those that have left it."""
    waiting, gone = _parted(rows)
    return QueueDocument(
        schema_version=SCHEMA_VERSION,
        halted=halted,
        queue=[_line(row) for row in waiting],
        processing_history=[_line(row) for row in gone],
    )


def _parted(rows: Sequence[QueueRow]) -> tuple[list[QueueRow], list[QueueRow]]:
    waiting = [row for row in rows if row.position is not None]
    waiting.sort(key=lambda row: row.position or 0)
    return waiting, [row for row in rows if row.position is None]


def _line(row: QueueRow) -> QueueLine:
    return QueueLine(
        position=row.position,
        id=row.id,
        branch=row.branch,
        target=row.target,
        status=row.status,
        priority=row.priority,
        waits_for=list(row.waits_for),
        since=iso(row.since) if row.since else None,
        next_command=row.next_command,
        run_id=row.run,
        node_id=row.node,
        reason=row.reason,
    )


def queue_text(rows: Sequence[QueueRow], *, now: datetime, halted: str | None = None) -> str:
    """The listing for a terminal; commands stand on lines of their own."""
    waiting, gone = _parted(rows)
    lines = [f"HALTED: {one_line(halted)}"] if halted else []
    lines += _listing(waiting, now) if waiting else ["the queue is empty"]
    if gone:
        lines += ["", "done:", *_listing(gone, now)]
    return "\n".join(lines) + "\n"


def _listing(rows: Sequence[QueueRow], now: datetime) -> list[str]:
    names = min(32, max(len(row.branch) for row in rows))
    return [line for row in rows for line in _row_lines(row, names, now)]


def _row_lines(row: QueueRow, names: int, now: datetime) -> list[str]:
    place = "" if row.position is None else f"{row.position}."
    age = span((now - row.since).total_seconds()) if row.since else ""
    ago = " ago" if row.position is None and age else ""
    sign = PAINTS[tone_of_node("completed", row.status)].sign
    waits = f"waits for {', '.join(row.waits_for)}" if row.waits_for else ""
    words = "; ".join(word for word in (waits, one_line(row.reason, 120)) if word)
    branch, target = one_line(row.branch), one_line(row.target)
    first = f"{place:>4} {sign} {branch:{names}} -> {target}  {row.status:10} p{row.priority} {age:>12}{ago}"
    fits = len(first) + len(words) + 2 <= _WIDTH
    lines = [f"{first}  {words}".rstrip()] if fits else [first, f"       {words}"]
    return [*lines, f"       type: {row.next_command}"] if row.next_command else lines
