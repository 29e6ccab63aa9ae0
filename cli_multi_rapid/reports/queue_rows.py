"""From the state of a merge queue to the rows that people see: place, what it waits for, what to type."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.merge_policy import QueueLimits, line, required_checks
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.queue_state import EntryState, QueueState
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.queue_text import QueueRow


def queue_rows(
    state: QueueState, *, now: datetime, processor: str | None, most_gone: int | None = None
) -> list[QueueRow]:
    """The entries in line, in order, then those that have left it, the latest last.

    `processor`: the living process that works on the queue; only the caller can know. `most_gone`: as many
    of the entries that have left; None: all of them.
    """
    order = _order(state, now)
    waiting = [_waiting_row(state, entry_id, place, processor) for place, entry_id in enumerate(order, 1)]
    gone = sorted(
        (entry for entry in state.entries.values() if not entry.open),
        key=lambda entry: entry.ended_at or entry.enqueued_at,
    )
    kept = gone if most_gone is None else gone[max(0, len(gone) - most_gone) :]
    return [*waiting, *(_gone_row(state, entry) for entry in kept)]


def _order(state: QueueState, now: datetime) -> list[EntryId]:
    """What is being tried, then what can land next, then what waits for something else."""
    tried = {entry_id for entries in state.trials for entry_id in entries}
    ready = line(state, QueueLimits(), now)
    return [entry_id for entry_id in dict.fromkeys((*tried, *ready, *state.open)) if entry_id in state.open]


def row_of(state: QueueState, entry: EntryState, *, now: datetime, processor: str | None) -> QueueRow:
    """The row of one entry."""
    if not entry.open:
        return _gone_row(state, entry)
    place = _order(state, now).index(entry.entry.id) + 1
    return _waiting_row(state, entry.entry.id, place, processor)


def _waiting_row(state: QueueState, entry_id: EntryId, place: int, processor: str | None) -> QueueRow:
    known = state.entries[entry_id]
    entry = known.entry
    waits_for = tuple(_waits_for(state, known, processor))
    blocked = known.status is MergeStatus.QUEUED and bool(_conditions(state, known))
    return QueueRow(
        position=place,
        id=entry.id,
        branch=entry.branch,
        target=entry.target,
        status=MergeStatus.BLOCKED if blocked else known.status,
        priority=entry.priority,
        waits_for=waits_for,
        since=known.enqueued_at,
        next_command=_command_for_waiting(state, known, processor),
        run=entry.run_id,
        node=entry.node_id,
        reason=known.reason,
    )


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
        yield from (f"check {check.id}" for check in required_checks(state, (known.entry.id,)))
    elif not _conditions(state, known):
        yield "its turn"


def _command_for_waiting(state: QueueState, known: EntryState, processor: str | None) -> str | None:
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


def _gone_row(state: QueueState, known: EntryState) -> QueueRow:
    entry = known.entry
    return QueueRow(
        position=None,
        id=entry.id,
        branch=entry.branch,
        target=entry.target,
        status=known.status,
        priority=entry.priority,
        since=known.ended_at,
        next_command=_command_for_gone(state, known),
        run=entry.run_id,
        node=entry.node_id,
        reason=known.reason,
    )


def _command_for_gone(state: QueueState, known: EntryState) -> str | None:
    """How to try again what did not land, unless its branch was queued again already."""
    if known.status not in MERGE_DEAD or _was_queued_again(state.entries.values(), known):
        return None
    entry = known.entry
    if entry.run_id is not None and entry.node_id is not None:
        return commands.retry(entry.run_id, entry.node_id)
    return commands.queue_retry(entry.id)


def _was_queued_again(entries: Iterable[EntryState], known: EntryState) -> bool:
    return any(other.place > known.place and other.entry.branch == known.entry.branch for other in entries)
