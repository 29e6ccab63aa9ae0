"""What a new process does first about a run that another one left: nothing is lost, nothing runs on."""

from collections.abc import Mapping

from msgspec import Struct

from cli_multi_rapid.core.facts import FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, NodeId, ToolName
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.node_events import NodeAttemptFailed, WorktreeKept
from cli_multi_rapid.core.node_state import Attempt, NodeState
from cli_multi_rapid.core.run_events import BudgetSettled
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.charges import charge_unseen
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.lanes import Lanes
from cli_multi_rapid.engine.settlement import reading_from_log
from cli_multi_rapid.engine.temp_folders import remove_temp_folders
from cli_multi_rapid.git import RefChange, Repository
from cli_multi_rapid.ports import Adapter, Clock, CostClass
from cli_multi_rapid.process_tree import kill_marked
from cli_multi_rapid.worktrees import SealRefused, Slot, SlotState, Snapshot, SnapshotRefused, Worktrees

_LEFT = frozenset({SlotState.ORPHANED, SlotState.KEPT})
"""Kept as well: the dead process may have come as far as that, and nobody has been told of it."""
_REASON = "the orchestrator stopped while the attempt ran"


class Recovery(Struct, frozen=True, kw_only=True):
    """Takes over from a dead process. Call it with the run's lease held and nothing started."""

    repository: Repository
    worktrees: Worktrees
    lanes: Lanes
    adapters: Mapping[ToolName, Adapter]
    clock: Clock

    def take_over(self, journal: Journal[RunState]) -> None:
        """End the dead process's agents, save what they left, and record their attempts as interrupted."""
        kill_marked(journal.stream)
        for node_id in list(journal.state.frontier.running):
            node = journal.state.nodes[node_id]
            facts = self._interrupted(journal.state, node)
            remove_temp_folders(node.attempts[-1].slot)
            journal.record(*facts)

    def _interrupted(self, state: RunState, node: NodeState) -> list[Payload]:
        attempt = node.attempts[-1]
        node_id = node.node.id
        facts: list[Payload] = []
        adapter = self.adapters.get(attempt.tool)
        reading = reading_from_log(adapter, state.run_id, node)
        usage = self._settle(state, node, attempt, reading.usage if reading else Usage(), facts)
        branch, commit, kept = self._save_work(state, node_id, attempt)
        if kept is not None:
            facts.append(WorktreeKept(node_id=node_id, attempt=attempt.number, path=kept, reason=_REASON))
        facts.append(
            NodeAttemptFailed(
                node_id=node_id,
                attempt=attempt.number,
                failure=FailureClass.INTERRUPTED,
                reason=_REASON,
                branch=branch,
                commit=commit,
                usage=usage,
                session_id=reading.session_id if reading else None,
                slot=kept,
            )
        )
        return facts

    def _settle(
        self, state: RunState, node: NodeState, attempt: Attempt, usage: Usage, facts: list[Payload]
    ) -> Usage:
        """Book what the attempt cost: by its tool's own record, else all that was set aside."""
        reserved = state.ledger.open.get((node.node.id, attempt.number), ZERO)
        adapter = self.adapters.get(attempt.tool)
        usage = charge_unseen(usage, reserved, adapter.cost if adapter else CostClass.PRICED)
        if reserved or usage.cost or usage.tokens or usage.unknown:
            facts.append(
                BudgetSettled(
                    node_id=node.node.id,
                    attempt=attempt.number,
                    tool=attempt.tool,
                    action=node.node.label,
                    usage=usage,
                )
            )
        return usage

    # --- work -------------------------------------------------------------------------------------------

    def _save_work(
        self, state: RunState, node_id: NodeId, attempt: Attempt
    ) -> tuple[Branch | None, Commit | None, str | None]:
        """The branch and commit that hold what the attempt had done, and its slot when that must stay."""
        lane = self.lanes.lane_of(state, node_id)
        remains = Branch(f"{lane}@attempt-{attempt.number}")
        saved = self.repository.branch_tip(remains)
        sealed = None if saved else self.repository.branch_tip(lane)
        if sealed is not None:
            # It was sealed but not yet recorded: the lane's name is needed for the next attempt.
            self.repository.update_refs(
                [
                    RefChange(ref=f"refs/heads/{remains}", old=None, new=sealed),
                    RefChange(ref=f"refs/heads/{lane}", old=sealed, new=None),
                ]
            )
        # `saved`: the dead process, or one that took over before us, came as far as the branch.
        sealed = saved or sealed
        slot = self._orphan(attempt.slot, lane)
        if slot is not None and state.nodes[node_id].node.form is not None:
            self.worktrees.release(slot)  # who is asked may write nothing, so nothing of it is work
            return None, None, None
        if slot is None:
            return (remains, sealed, None) if sealed else (None, None, None)
        return self._seal_remains(slot, remains, sealed, node_id)

    def _seal_remains(
        self, slot: Slot, remains: Branch, sealed: Commit | None, node_id: NodeId
    ) -> tuple[Branch | None, Commit | None, str | None]:
        if sealed is not None:
            self.worktrees.release(slot)
            return remains, sealed, None
        taken = self.worktrees.snapshot(slot, f"[{node_id}] interrupted\n", when=self.clock.now())
        if isinstance(taken, Snapshot):
            if isinstance(self.worktrees.seal(slot, taken, remains), SealRefused):
                self.worktrees.keep(slot)
                return None, None, str(slot.path)
            self.worktrees.release(slot)
            return remains, taken.commit, None
        if isinstance(taken, SnapshotRefused) and slot.path.exists():
            self.worktrees.keep(slot)
            return None, None, str(slot.path)
        self.worktrees.release(slot)
        return None, None, None

    def _orphan(self, name: str, lane: Branch) -> Slot | None:
        for info in self.worktrees.list():
            if info.name == name and info.base is not None and info.state in _LEFT:
                return Slot(path=info.path, name=name, base=info.base, lane=lane)
        return None
