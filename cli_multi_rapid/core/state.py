"""The state of a run: what its events add up to.

One event is folded in O(edges of its node). What is derived is never stored. An illegal transition raises.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, RunStatus
from cli_multi_rapid.core.frontier import Frontier
from cli_multi_rapid.core.ids import EntryId, EventId, NodeId, RunId
from cli_multi_rapid.core.ledger import Ledger
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
from cli_multi_rapid.core.node_events import (
    ContextInjected,
    NodeAttemptFailed,
    NodeBased,
    NodeCancelled,
    NodeFailed,
    NodeReset,
    NodeRetryScheduled,
    NodeReworkScheduled,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
)
from cli_multi_rapid.core.node_state import TRANSITIONS, Attempt, MergeStatus, NodeState
from cli_multi_rapid.core.plan import Plan, Role
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    BudgetChanged,
    BudgetHalted,
    BudgetReserved,
    BudgetSettled,
    BudgetWarned,
    CommandGiven,
    PlanAccepted,
    PlanDrafted,
    RunCancelling,
    RunFinished,
    RunPaused,
    RunStarted,
    RunUnpaused,
)
from cli_multi_rapid.core.tool_book import ToolBook


class IllegalTransition(Exception):
    """An event that cannot follow the state. Nothing was changed."""


class RunState:
    """The fold of a run's events. Read it, and change it only through `apply`."""

    def __init__(self, run_id: RunId) -> None:
        self.run_id = run_id
        self.seq = 0
        self.plan: Plan | None = None
        self.source = ""
        self.accepted: PlanAccepted | None = None
        self.nodes: dict[NodeId, NodeState] = {}
        self.started: RunStarted | None = None
        self.created_at: datetime | None = None
        self.updated_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.finished: RunFinished | None = None
        self.paused = False
        self.cancelling: str | None = None
        self.ledger = Ledger()
        self.commands: list[tuple[EventId, CommandGiven]] = []
        """What people asked for and the loop has not answered yet: see `answered`."""
        self.mirrored: set[EventId] = set()
        """The queue events that this run's stream already tells."""
        self.entries: dict[EntryId, NodeId] = {}
        self.tools = ToolBook()
        self.frontier = Frontier({}, (), ())

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        return self.finished.status if self.finished else RunStatus.RUNNING

    def apply(self, event: Event) -> None:
        """Fold one event. Raises `IllegalTransition` and changes nothing when it cannot follow."""
        handler = _HANDLERS.get(type(event.data))
        if handler is not None:
            handler(self, event, event.data)
        self.tools.apply(event)
        if event.causation_id is not None:
            self.mirrored.add(event.causation_id)
        self.seq = event.seq
        self.updated_at = event.time

    # --- transitions --------------------------------------------------------------------------------------

    def _move(self, node_id: NodeId, payload: Payload) -> NodeState:
        """The one gate for changes of a node's status."""
        state = self.nodes.get(node_id)
        if state is None:
            raise IllegalTransition(f"{payload.type}: this run has no node {node_id}")
        target = TRANSITIONS.get((state.status, type(payload)))
        if target is None:
            raise IllegalTransition(f"{payload.type} cannot follow {state.status} of {node_id}")
        state.status = target
        return state

    # --- plan and run -------------------------------------------------------------------------------------

    def _plan_accepted(self, event: Event, data: PlanAccepted) -> None:
        """Take a plan; nodes that an earlier plan of this run had keep their state."""
        _check_graph(data)
        known = self.nodes
        self.plan, self.accepted, self.source = data.plan, data, data.source
        self.created_at = self.created_at or event.time
        self.nodes = {node.id: known.get(node.id) or NodeState(node=node) for node in data.plan.nodes}
        for node in data.plan.nodes:
            self.nodes[node.id].node = node
        self.entries = {entry: node for entry, node in self.entries.items() if node in self.nodes}
        self.frontier = Frontier(self.nodes, data.order, data.implied)
        if self.ledger.limit is None:
            self.ledger.limit = data.plan.budget

    def _plan_drafted(self, event: Event, data: PlanDrafted) -> None:
        self.created_at = self.created_at or event.time

    def _run_started(self, event: Event, data: RunStarted) -> None:
        self.started, self.finished, self.finished_at, self.cancelling = data, None, None, None
        self.ledger.limit = data.budget

    def _run_paused(self, event: Event, data: RunPaused) -> None:
        self.paused = True

    def _run_unpaused(self, event: Event, data: RunUnpaused) -> None:
        self.paused = False

    def _run_cancelling(self, event: Event, data: RunCancelling) -> None:
        self.cancelling = data.reason

    def _run_finished(self, event: Event, data: RunFinished) -> None:
        self.finished, self.finished_at = data, event.time

    def _command_given(self, event: Event, data: CommandGiven) -> None:
        self.commands.append((event.id, data))

    def unanswered(self) -> list[tuple[EventId, CommandGiven]]:
        """The commands that no later event names as its cause, oldest first."""
        self.commands = [item for item in self.commands if item[0] not in self.mirrored]
        return list(self.commands)

    # --- nodes --------------------------------------------------------------------------------------------

    def _node_started(self, event: Event, data: NodeStarted) -> None:
        state = self._move(data.node_id, data)
        state.tries += 1
        state.not_before, state.reason, state.failure = None, "", None
        state.attempts.append(Attempt.begun(data, event.time))
        self.frontier.begin(state)
        self.frontier.refresh(state)

    def _node_based(self, event: Event, data: NodeBased) -> None:
        self._move(data.node_id, data).attempts[-1].base = data.base

    def _node_succeeded(self, event: Event, data: NodeSucceeded) -> None:
        state = self._move(data.node_id, data)
        state.attempts[-1].end(data, event.time)
        state.success, state.reason = data, data.summary
        state.head = data.commit if state.node.role is Role.WT else None
        self.ledger.release(data.node_id, data.attempt)
        self.frontier.refresh(state)

    def _node_attempt_failed(self, event: Event, data: NodeAttemptFailed) -> None:
        state = self._move(data.node_id, data)
        state.attempts[-1].end(data, event.time)
        state.failure, state.reason, state.undecided = data.failure, data.reason, True
        self.ledger.release(data.node_id, data.attempt)
        self.frontier.refresh(state)

    def _node_retry_scheduled(self, event: Event, data: NodeRetryScheduled) -> None:
        state = self._move(data.node_id, data)
        state.not_before, state.next_tool = data.not_before, data.tool or state.next_tool
        state.undecided = False
        self.frontier.refresh(state)

    def _node_rework_scheduled(self, event: Event, data: NodeReworkScheduled) -> None:
        state = self._move(data.node_id, data)
        state.give_back(data)
        self.frontier.refresh(state)

    def _node_failed(self, event: Event, data: NodeFailed) -> None:
        state = self._move(data.node_id, data)
        state.failure, state.reason, state.undecided = data.failure, data.reason, False
        state.requested = set()
        self.frontier.refresh(state)

    def _node_ended(self, event: Event, data: NodeSkipped | NodeCancelled) -> None:
        state = self._move(data.node_id, data)
        state.reason, state.undecided, state.requested = data.reason, False, set()
        state.by_budget = isinstance(data, NodeSkipped) and data.by_budget
        self.frontier.refresh(state)

    def _node_reset(self, event: Event, data: NodeReset) -> None:
        state = self._move(data.node_id, data)
        state.start_over(data.reason)
        self.frontier.refresh(state)

    def _context_injected(self, event: Event, data: ContextInjected) -> None:
        if data.node_id is not None and data.node_id not in self.nodes:
            raise IllegalTransition(f"{data.type}: this run has no node {data.node_id}")
        for state in self.nodes.values() if data.node_id is None else [self.nodes[data.node_id]]:
            state.context.append(data.text)

    def _approval_requested(self, event: Event, data: ApprovalRequested) -> None:
        state = self._move(data.node_id, data)
        state.requested.add(data.what)
        self.frontier.refresh(state)

    def _approval_granted(self, event: Event, data: ApprovalGranted) -> None:
        state = self._move(data.node_id, data)
        state.requested.discard(data.what)
        state.granted.add(data.what)
        self.frontier.refresh(state)

    def _approval_rejected(self, event: Event, data: ApprovalRejected) -> None:
        state = self._move(data.node_id, data)
        state.requested.discard(data.what)
        state.reason = data.reason
        self.frontier.refresh(state)

    # --- money --------------------------------------------------------------------------------------------

    def _budget_reserved(self, event: Event, data: BudgetReserved) -> None:
        self.ledger.reserve(data.node_id, data.attempt, data.amount, data.lent)

    def _budget_settled(self, event: Event, data: BudgetSettled) -> None:
        self.ledger.settle(data.node_id, data.attempt, data.usage.cost)
        if data.node_id in self.nodes:  # else it is the planner's
            self.nodes[data.node_id].pay(data.usage)

    def _budget_warned(self, event: Event, data: BudgetWarned) -> None:
        self.ledger.warned = True

    def _budget_halted(self, event: Event, data: BudgetHalted) -> None:
        self.ledger.halted = True

    def _budget_changed(self, event: Event, data: BudgetChanged) -> None:
        self.ledger.change_limit(data.limit)

    # --- the mirror of the merge queue --------------------------------------------------------------------

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


def _check_graph(data: PlanAccepted) -> None:
    """Refuse an order or edges that do not belong to the plan. A validated and prepared plan always fits."""
    names = {node.id for node in data.plan.nodes}
    told = {dep for node in data.plan.nodes for dep in node.deps}
    told.update(end for edge in data.implied for end in (edge.before, edge.after))
    if len(names) != len(data.plan.nodes) or sorted(data.order) != sorted(names) or not told <= names:
        raise IllegalTransition(f"{data.type}: the order or the edges name other nodes than the plan has")


_HANDLERS: Mapping[type[Payload], Callable[..., None]] = {
    PlanDrafted: RunState._plan_drafted,
    PlanAccepted: RunState._plan_accepted,
    RunStarted: RunState._run_started,
    RunPaused: RunState._run_paused,
    RunUnpaused: RunState._run_unpaused,
    RunCancelling: RunState._run_cancelling,
    RunFinished: RunState._run_finished,
    CommandGiven: RunState._command_given,
    NodeStarted: RunState._node_started,
    NodeBased: RunState._node_based,
    NodeSucceeded: RunState._node_succeeded,
    NodeAttemptFailed: RunState._node_attempt_failed,
    NodeRetryScheduled: RunState._node_retry_scheduled,
    NodeReworkScheduled: RunState._node_rework_scheduled,
    NodeFailed: RunState._node_failed,
    **dict.fromkeys((NodeSkipped, NodeCancelled), RunState._node_ended),
    NodeReset: RunState._node_reset,
    ContextInjected: RunState._context_injected,
    ApprovalRequested: RunState._approval_requested,
    ApprovalGranted: RunState._approval_granted,
    ApprovalRejected: RunState._approval_rejected,
    BudgetReserved: RunState._budget_reserved,
    BudgetSettled: RunState._budget_settled,
    BudgetWarned: RunState._budget_warned,
    BudgetHalted: RunState._budget_halted,
    BudgetChanged: RunState._budget_changed,
    MergeEnqueued: RunState._merge_enqueued,
    MergeChecking: RunState._merge_checking,
    **dict.fromkeys((MergeSplit, MergeVouched, MergePreempted), RunState._merge_off_check),
    MergeHalted: RunState._merge_halted,
    MergeLanding: RunState._merge_landing,
    MergeLanded: RunState._merge_landed,
    MergeMissed: RunState._merge_missed,
    MergeHeld: RunState._merge_held,
    MergeResumed: RunState._merge_resumed,
    MergeResealed: RunState._merge_resealed,
    MergeConflicted: RunState._merge_conflicted,
    MergeFailed: RunState._merge_failed,
    MergeCancelled: RunState._merge_cancelled,
}
"""Event -> how it is folded. What is not listed changes no state and is kept for the record."""
