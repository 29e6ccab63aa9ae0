"""The rows of a queue's listing: what each entry waits for, how long, and what to type, from its state."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct, field

from cli_multi_rapid.core.ids import Branch, EntryId
from cli_multi_rapid.core.merge_policy import line
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.queue_judgement import required_checks
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.queue_estimate import Estimate
from cli_multi_rapid.reports.queue_text import QueueRow


class Look(Struct, frozen=True, kw_only=True):
    """What only the one who looks at a queue can know."""

    now: datetime
    processor: str | None
    """The living process that works on the queue."""
    estimates: Mapping[EntryId, Estimate] = field(default_factory=dict)
    newer_commits: Mapping[EntryId, int] = field(default_factory=dict)
    """How many commits a branch has got since its entry was sealed; entries without any are missing."""


def queue_rows(state: QueueState, look: Look, *, most_gone: int | None = None) -> list[QueueRow]:
    """The entries in line, in order, then those that have left it, the latest last.

    `most_gone`: as many of the entries that have left; None: all of them.
    """
    order = _order(state, look.now)
    waiting = [_waiting_row(state, entry_id, place, look) for place, entry_id in enumerate(order, 1)]
    gone = sorted(
        (entry for entry in state.entries.values() if not entry.open),
        key=lambda entry: entry.ended_at or entry.enqueued_at,
    )
    kept = gone if most_gone is None else gone[max(0, len(gone) - most_gone) :]
    newest = newest_of_branches(state)
    return [*waiting, *(_gone_row(entry, newest[entry.entry.branch], look) for entry in kept)]


def _order(state: QueueState, now: datetime) -> list[EntryId]:
    """What is being tried, then what can land next, then what waits for something else."""
    tried = {entry_id for entries in state.trials for entry_id in entries}
    ready = line(state, QueueLimits(), now)
    return [entry_id for entry_id in dict.fromkeys((*tried, *ready, *state.open)) if entry_id in state.open]


def row_of(state: QueueState, entry: EntryState, look: Look) -> QueueRow:
    """The row of one entry."""
    if not entry.open:
        return _gone_row(entry, newest_of_branches(state)[entry.entry.branch], look)
    place = _order(state, look.now).index(entry.entry.id) + 1
    return _waiting_row(state, entry.entry.id, place, look)


def newest_of_branches(state: QueueState) -> dict[Branch, EntryState]:
    """The latest entry of each branch: what became of the branch in the end."""
    return {known.entry.branch: known for known in state.entries.values()}  # in order of arrival


# --- entries in line ----------------------------------------------------------------------------------------


def _waiting_row(state: QueueState, entry_id: EntryId, place: int, look: Look) -> QueueRow:
    known = state.entries[entry_id]
    entry = known.entry
    blocked = known.status is MergeStatus.QUEUED and bool(_conditions(state, known))
    asked = _asked_of_person(state, known, look.processor)
    return QueueRow(
        position=place,
        id=entry.id,
        branch=entry.branch,
        target=entry.target,
        status=MergeStatus.BLOCKED if blocked else _present_status(known, look.processor),
        priority=entry.priority,
        urgent=entry.urgent,
        solo=entry.solo,
        waits_for=tuple(_waits_for(state, known, look.processor)),
        estimate=look.estimates.get(entry.id),
        newer_commits=look.newer_commits.get(entry.id, 0),
        since=known.enqueued_at,
        next_command=asked or commands.queue_why(entry.id),
        asks=asked is not None,
        run=entry.run_id,
        node=entry.node_id,
        reason=known.reason,
    )


def _present_status(known: EntryState, processor: str | None) -> MergeStatus:
    """What was under check when its processor died or was interrupted is checked by nobody: it waits."""
    left = known.status is MergeStatus.CHECKING and processor is None
    return MergeStatus.QUEUED if left else known.status


def _conditions(state: QueueState, known: EntryState) -> list[str]:
    """What must happen before it may be tried at all."""
    approval = ["your approval"] if known.entry.needs_approval and not known.approved else []
    return approval + [dep for dep in known.entry.deps if not state.landed(dep)]


def _waits_for(state: QueueState, known: EntryState, processor: str | None) -> Iterator[str]:
    if known.command:
        yield "you"
        return
    yield from _conditions(state, known)
    if state.halted is not None:
        yield "the halted queue"
    elif processor is None:
        yield "a process to work on the queue"
    elif known.status is MergeStatus.CHECKING:
        yield from (f"check {check.id}" for check in _checks_ahead(state, known.entry.id))
    elif not _conditions(state, known):
        yield "its landing" if known.status is MergeStatus.MERGING else "its turn"


def _checks_ahead(state: QueueState, entry_id: EntryId) -> tuple[CheckSpec, ...]:
    """The entry's own checks; one that has none waits for those of the others in its candidates."""
    together = (name for entries in state.trials if entry_id in entries for name in entries)
    return required_checks(state, (entry_id,)) or required_checks(state, together)


def _asked_of_person(state: QueueState, known: EntryState, processor: str | None) -> str | None:
    """What must be typed before it goes on; None: it goes on by itself."""
    entry = known.entry
    if known.command:
        return known.command
    if entry.needs_approval and not known.approved:
        if entry.run_id is not None and entry.node_id is not None:
            return commands.approve(entry.run_id, entry.node_id)
        return commands.queue_approve(entry.id)
    if processor is None:
        return commands.resume(entry.run_id) if entry.run_id else commands.queue_process(state.target)
    return commands.queue_retry(entry.id) if state.halted is not None else None


# --- entries that have left it ------------------------------------------------------------------------------


def _gone_row(known: EntryState, newest: EntryState, look: Look) -> QueueRow:
    entry = known.entry
    asks = newest.entry.id == entry.id and known.status in MERGE_DEAD
    return QueueRow(
        position=None,
        id=entry.id,
        branch=entry.branch,
        target=entry.target,
        status=known.status,
        priority=entry.priority,
        urgent=entry.urgent,
        solo=entry.solo,
        newer_commits=look.newer_commits.get(entry.id, 0),
        since=known.ended_at,
        next_command=_try_again(known) if asks else commands.queue_why(newest.entry.id),
        asks=asks,
        run=entry.run_id,
        node=entry.node_id,
        reason=known.reason,
    )


def _try_again(known: EntryState) -> str:
    entry = known.entry
    if entry.run_id is not None and entry.node_id is not None:
        return commands.retry(entry.run_id, entry.node_id)
    return commands.queue_retry(entry.id)
