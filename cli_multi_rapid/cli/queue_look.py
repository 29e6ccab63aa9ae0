"""What one sees beside a queue's own state: estimates, and commits that came after an entry was sealed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.queue_view import LoadedQueue, load_queue
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.ids import EntryId, NodeId
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.queue_estimate import Estimate, outlook_of, trees_under_check
from cli_multi_rapid.reports.queue_rows import Look, newest_of_branches

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records

_WAITING: Final = frozenset(
    {MergeStatus.QUEUED, MergeStatus.CHECKING, MergeStatus.MERGING, MergeStatus.BLOCKED}
)


class View(Struct, frozen=True, kw_only=True):
    """A look at one queue. `unknown`: why entries in line have no estimate; empty when all have one."""

    look: Look
    unknown: str


def look_at(place: Place, queues: Sequence[LoadedQueue], now: datetime) -> list[View]:
    """A look at each queue, in order. Neither wrong settings nor a missing repository keep one from it."""
    states = [queue.state for queue in queues]
    limits = _limits(place) if any(state.open and state.records for state in states) else QueueLimits()
    newer = _newer_commits(place, states)
    return [_view(queue, limits, newer, now) for queue in queues]


def landing_estimates(
    place: Place, records: "Records", run: RunState, now: datetime
) -> dict[NodeId, Estimate]:
    """By node of a run: how long until the merge queue has decided on its work, where that is known."""
    waits = any(node.merge_status in _WAITING for node in run.nodes.values())
    if not waits or run.started is None:
        return {}
    queue = load_queue(records, run.started.target)
    estimates = _view(queue, _limits(place), {}, now).look.estimates
    entries = (queue.state.entries[entry_id].entry for entry_id in estimates)
    return {
        entry.node_id: estimates[entry.id]
        for entry in entries
        if entry.run_id == run.run_id and entry.node_id is not None
    }


def _view(queue: LoadedQueue, limits: QueueLimits, newer: Mapping[EntryId, int], now: datetime) -> View:
    under_check = trees_under_check(queue.events) if queue.processor is not None else {}
    outlook = outlook_of(queue.state, under_check, limits, now)
    look = Look(now=now, processor=queue.processor, estimates=outlook.estimates, newer_commits=newer)
    return View(look=look, unknown=outlook.unknown)


def _limits(place: Place) -> QueueLimits:
    """How the queue would be worked off from here; the built-in way when the settings are wrong."""
    from cli_multi_rapid.wiring import load_settings, queue_limits

    try:
        policy = load_settings(place.root).merge_policy
    except OrchestratorError:
        return QueueLimits()
    return queue_limits(policy)


def _newer_commits(place: Place, states: Sequence[QueueState]) -> dict[EntryId, int]:
    """For entries that are the last of their branch: commits on it that neither they nor the target have."""
    from cli_multi_rapid.git import HEADS, open_repository

    own = [known for state in states for known in state.entries.values() if known.entry.run_id is None]
    if not own:
        return {}
    try:
        repository = open_repository(place.repo, place.find_home().state / "git")
        tips = repository.refs(HEADS)
    except OrchestratorError:
        return {}
    found: dict[EntryId, int] = {}
    for state in states:
        target = tips.get(f"{HEADS}{state.target}")
        for branch, known in newest_of_branches(state).items():
            entry, tip = known.entry, tips.get(f"{HEADS}{branch}")
            if tip is None or tip == entry.head or entry.run_id is not None:
                continue
            count = repository.count_commits(tip, [entry.head, *([target] if target else [])])
            if count:
                found[entry.id] = count
    return found
