"""The merge queue as a listing: what waits, for what, since when, and what to type."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypedDict

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, EntryId, NodeId, RunId
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.queue_estimate import Estimate
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import iso, span
from cli_multi_rapid.reports.tone import PAINTS, tone_of_node

_WIDTH: Final = 80


class QueueRow(Struct, frozen=True, kw_only=True):
    """One entry of a queue as it is shown."""

    position: int | None
    """Place in line, from 1; None for an entry that has left the queue."""
    id: EntryId
    branch: Branch
    target: Branch
    status: MergeStatus
    priority: int = 1
    urgent: bool = False
    solo: bool = False
    waits_for: tuple[str, ...] = ()
    estimate: Estimate | None = None
    """How long until it is decided; None: it is, or nothing was measured, or a person must do something."""
    newer_commits: int = 0
    """Commits that its branch has got since: they are not part of the entry."""
    since: datetime | None = None
    """When it joined the queue; for an entry that has left it, when it left."""
    next_command: str | None = None
    asks: bool = True
    """Whether nothing goes on before the command is typed; else it only shows more."""
    run: RunId | None = None
    node: NodeId | None = None
    reason: str = ""


class EstimateDocument(TypedDict):
    """Seconds until an entry is decided: half of the time within `p50_s`, in nine of ten within `p90_s`."""

    p50_s: float
    p90_s: float


class QueueLine(TypedDict):
    """A row as JSON."""

    position: int | None
    id: str
    branch: str
    target: str
    status: str
    priority: int
    urgent: bool
    solo: bool
    waits_for: list[str]
    estimate: EstimateDocument | None
    newer_commits: int
    since: str | None
    next_command: str | None
    asks: bool
    run_id: str | None
    node_id: str | None
    reason: str


class QueueDocument(TypedDict):
    """The document of `queue list --format json`. `halted`: why the queue stands still; null: it goes on.

    `no_estimate`: by target, why entries in line have none. `omitted`: how many entries that have left the
    queue `processing_history` leaves out; `--all` lists them.
    """

    schema_version: int
    halted: str | None
    no_estimate: dict[str, str]
    queue: list[QueueLine]
    processing_history: list[QueueLine]
    omitted: int


def queue_document(
    rows: Sequence[QueueRow],
    *,
    halted: str | None = None,
    no_estimate: Mapping[str, str] | None = None,
    omitted: int = 0,
) -> QueueDocument:
    """The rows as JSON: those in line by position, then those that have left it, but `omitted` older ones."""
    waiting, gone = _parted(rows)
    return QueueDocument(
        schema_version=SCHEMA_VERSION,
        halted=halted,
        no_estimate=dict(no_estimate or {}),
        queue=[_line(row) for row in waiting],
        processing_history=[_line(row) for row in gone],
        omitted=omitted,
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
        urgent=row.urgent,
        solo=row.solo,
        waits_for=list(row.waits_for),
        estimate=estimate_document(row.estimate) if row.estimate else None,
        newer_commits=row.newer_commits,
        since=iso(row.since) if row.since else None,
        next_command=row.next_command,
        asks=row.asks,
        run_id=row.run,
        node_id=row.node,
        reason=row.reason,
    )


def estimate_document(estimate: Estimate) -> EstimateDocument:
    """The estimate as JSON, to the tenth of a second."""
    return EstimateDocument(p50_s=round(estimate.p50_s, 1), p90_s=round(estimate.p90_s, 1))


def estimate_text(estimate: EstimateDocument) -> str:
    """`estimate 42 s (P50), 1 min 20 s (P90)`."""
    return f"estimate {span(estimate['p50_s'])} (P50), {span(estimate['p90_s'])} (P90)"


def newer_text(branch: str, target: str, count: int) -> str:
    """What to do about commits that came after an entry was sealed."""
    commits = f"{count} newer commit" + "s" * (count > 1)
    return f"{one_line(branch)} has {commits}: {commands.queue_add(Branch(branch), Branch(target))}"


def queue_text(
    rows: Sequence[QueueRow],
    *,
    now: datetime,
    halted: str | None = None,
    no_estimate: Mapping[str, str] | None = None,
    omitted: int = 0,
) -> str:
    """The listing for a terminal; commands stand on lines of their own. `omitted`: rows left out."""
    waiting, gone = _parted(rows)
    lines = [f"HALTED: {one_line(halted)}"] if halted else []
    lines += _listing(waiting, now) if waiting else ["the queue is empty"]
    lines += [f"no estimate yet for {target}: {why}" for target, why in (no_estimate or {}).items()]
    if gone:
        lines += ["", "done:", *_listing(gone, now)]
    if omitted:
        lines.append(f"       and {omitted} more that left the queue before: {commands.queue_list_all()}")
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
    estimate = estimate_text(estimate_document(row.estimate)) if row.estimate else ""
    wishes = wishes_text(urgent=row.urgent, solo=row.solo)
    words = "; ".join(word for word in (wishes, waits, estimate, one_line(row.reason, 120)) if word)
    branch, target = one_line(row.branch), one_line(row.target)
    first = f"{place:>4} {sign} {branch:{names}} -> {target}  {row.status:10} p{row.priority} {age:>12}{ago}"
    fits = not words or len(first) + len(words) + 2 <= _WIDTH
    lines = [f"{first}  {words}".rstrip()] if fits else [first, f"       {words}"]
    if row.newer_commits:
        lines.append(f"       {newer_text(row.branch, row.target, row.newer_commits)}")
    if row.next_command is None or (row.position is None and not row.asks):
        return lines
    return [*lines, f"       {'type' if row.asks else 'look'}: {row.next_command}"]


def wishes_text(*, urgent: bool, solo: bool) -> str:
    """`urgent, solo`, or what there is of it."""
    return ", ".join(word for word, wished in (("urgent", urgent), ("solo", solo)) if wished)
