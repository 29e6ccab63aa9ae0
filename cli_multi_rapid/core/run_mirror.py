"""The part of a run's state that follows what the merge queue says of the run's work."""

from collections.abc import Callable, Mapping

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.frontier import Frontier
from cli_multi_rapid.core.ids import EntryId, NodeId
from cli_multi_rapid.core.merge_events import (
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeEnqueued,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergePreempted,
    MergeResealed,
    MergeResumed,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.node_state import MergeStatus, NodeState


class QueueMirror:
    """The nodes of a run, their entries in the queue, and the handlers of the queue's events."""

    nodes: dict[NodeId, NodeState]
    entries: dict[EntryId, NodeId]
    frontier: Frontier

    def _merge_enqueued(self, event: Event, data: MergeEnqueued) -> None:
        state = self.nodes.get(data.entry.node_id) if data.entry.node_id else None
        if state is None:
            return
        state.entry_id = data.entry.id
        state.entries += 1
        state.queued_as[state.success.attempt if state.success else 0] = data.entry.id
        state.behind = (*data.entry.deps, *data.entry.after)
        self.entries[data.entry.id] = state.node.id
        self._set_merge(data.entry.id, MergeStatus.QUEUED)

    def _set_merge(self, entry_id: EntryId, status: MergeStatus, reason: str = "") -> NodeState | None:
        """Follow the queue's word on an entry; entries of other runs are none of ours."""
        node_id = self.entries.get(entry_id)
        if node_id is None or self.nodes[node_id].entry_id != entry_id:
            return None
        state = self.nodes[node_id]
        state.merge_status, state.merge_reason, state.held_command = status, reason, ""
        self.frontier.refresh(state)
        return state

    def _set_all(
        self, entry_ids: tuple[EntryId, ...], status: MergeStatus, reason: str = ""
    ) -> list[NodeState]:
        found = [self._set_merge(entry_id, status, reason) for entry_id in entry_ids]
        return [state for state in found if state is not None]

    def _merge_checking(self, event: Event, data: MergeChecking) -> None:
        self._set_all(data.entries, MergeStatus.CHECKING)

    def _merge_off_check(self, event: Event, data: MergeSplit | MergeVouched | MergePreempted) -> None:
        self._set_all(data.entries, MergeStatus.QUEUED)

    def _merge_halted(self, event: Event, data: MergeHalted) -> None:
        for entry_id, node_id in self.entries.items():
            if self.nodes[node_id].merge_status is MergeStatus.CHECKING:
                self._set_merge(entry_id, MergeStatus.QUEUED)

    def _merge_landing(self, event: Event, data: MergeLanding) -> None:
        self._set_all(data.entries, MergeStatus.MERGING)

    def _merge_landed(self, event: Event, data: MergeLanded) -> None:
        for state in self._set_all(data.entries, MergeStatus.MERGED):
            state.landed_commit = data.commit

    def _merge_missed(self, event: Event, data: MergeMissed) -> None:
        self._set_all(data.entries, MergeStatus.QUEUED, data.reason)

    def _merge_held(self, event: Event, data: MergeHeld) -> None:
        for state in self._set_all(data.entries, MergeStatus.BLOCKED, data.reason):
            state.held_command = data.command

    def _merge_resumed(self, event: Event, data: MergeResumed) -> None:
        for entry_id, node_id in self.entries.items():
            if self.nodes[node_id].held_command:
                self._set_merge(entry_id, MergeStatus.QUEUED)

    def _merge_resealed(self, event: Event, data: MergeResealed) -> None:
        state = self._set_merge(data.entry_id, MergeStatus.QUEUED)
        if state is not None:
            state.head = data.head
            state.behind = tuple(entry_id for entry_id in state.behind if entry_id != data.without)

    def _merge_conflicted(self, event: Event, data: MergeConflicted) -> None:
        state = self._set_merge(data.entry_id, MergeStatus.CONFLICTED, data.reason)
        if state is not None:
            state.merge_files = data.files

    def _merge_failed(self, event: Event, data: MergeFailed) -> None:
        state = self._set_merge(data.entry_id, MergeStatus.FAILED, data.reason)
        if state is not None:
            state.merge_log, state.merge_files, state.merge_evidence = data.log, data.files, data.evidence

    def _merge_cancelled(self, event: Event, data: MergeCancelled) -> None:
        state = self._set_merge(data.entry_id, MergeStatus.CANCELLED, data.reason)
        if state is not None:
            state.lost_footing = data.lost is not None


MIRROR: Mapping[type[Payload], Callable[..., None]] = {
    MergeEnqueued: QueueMirror._merge_enqueued,
    MergeChecking: QueueMirror._merge_checking,
    **dict.fromkeys((MergeSplit, MergeVouched, MergePreempted), QueueMirror._merge_off_check),
    MergeHalted: QueueMirror._merge_halted,
    MergeLanding: QueueMirror._merge_landing,
    MergeLanded: QueueMirror._merge_landed,
    MergeMissed: QueueMirror._merge_missed,
    MergeHeld: QueueMirror._merge_held,
    MergeResumed: QueueMirror._merge_resumed,
    MergeResealed: QueueMirror._merge_resealed,
    MergeConflicted: QueueMirror._merge_conflicted,
    MergeFailed: QueueMirror._merge_failed,
    MergeCancelled: QueueMirror._merge_cancelled,
}
"""Event of the queue -> how a run folds it."""
