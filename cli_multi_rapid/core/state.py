"""The state of a run: what its events add up to.

One event is folded in O(edges of its node). What is derived is never stored. An illegal transition raises.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from cli_multi_rapid.core.amendment import amend, fits
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import ImpliedEdge, Payload, RunStatus
from cli_multi_rapid.core.frontier import Frontier
from cli_multi_rapid.core.ids import Commit, EntryId, EventId, NodeId, RunId
from cli_multi_rapid.core.ledger import Ledger
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
from cli_multi_rapid.core.node_state import TRANSITIONS, Attempt, NodeState, Waiver
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
from cli_multi_rapid.core.run_mirror import MIRROR, QueueMirror
from cli_multi_rapid.core.tool_book import ToolBook
from cli_multi_rapid.core.verification_events import (
    FindingRestored,
    FindingWaived,
    NodeExcused,
    NodeVerified,
    PlanAmended,
    PlanProposed,
)


class IllegalTransition(Exception):
    """An event that cannot follow the state. Nothing was changed."""


class RunState(QueueMirror):
    """The fold of a run's events. Read it, and change it only through `apply`."""

    def __init__(self, run_id: RunId) -> None:
        self.run_id = run_id
        self.seq = 0
        self.plan: Plan | None = None
        self.source = ""
        self.accepted: PlanAccepted | None = None
        self.nodes: dict[NodeId, NodeState] = {}
        self.amendments: list[PlanAmended] = []
        """How nodes came to the plan that it did not have when it was accepted, the oldest first."""
        self.started: RunStarted | None = None
        self.base: Commit | None = None
        """The tip of the target when the run was taken up first."""
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
        if not fits(data.plan, data.order, data.implied):
            raise IllegalTransition(f"{data.type}: the order or the edges name other nodes than the plan has")
        self.accepted, self.source, self.amendments = data, data.source, []
        self.created_at = self.created_at or event.time
        self._take(data.plan, data.order, data.implied)
        if self.ledger.limit is None:
            self.ledger.limit = data.plan.budget

    def _take(self, plan: Plan, order: tuple[NodeId, ...], implied: tuple[ImpliedEdge, ...]) -> None:
        known = self.nodes
        self.plan = plan
        self.nodes = {node.id: known.get(node.id) or NodeState(node=node) for node in plan.nodes}
        for node in plan.nodes:
            self.nodes[node.id].node = node
        self.entries = {entry: node for entry, node in self.entries.items() if node in self.nodes}
        self.frontier = Frontier(self.nodes, order, implied)

    def _plan_amended(self, event: Event, data: PlanAmended) -> None:
        """Add nodes, and begin the verification anew behind them."""
        plan = self._amended(data)
        for node_id in data.again:
            self._move(node_id, data).start_over(data.reason)
        self.amendments.append(data)
        self._take(plan, data.order, data.implied)

    def _amended(self, data: PlanAmended) -> Plan:
        if self.plan is None:
            raise IllegalTransition(f"{data.type}: there is no plan")
        try:
            plan = amend(self.plan, data.nodes, data.again)
        except ValueError as error:
            raise IllegalTransition(f"{data.type}: {error}") from error
        movable = all((self.nodes[name].status, type(data)) in TRANSITIONS for name in data.again)
        if not (movable and fits(plan, data.order, data.implied)):
            raise IllegalTransition(f"{data.type} does not follow what the run has come to")
        return plan

    @property
    def order(self) -> tuple[NodeId, ...]:
        """Every node of the plan as it is now: the dispatch order among ready nodes."""
        last = self.amendments[-1] if self.amendments else self.accepted
        return last.order if last else ()

    @property
    def implied(self) -> tuple[ImpliedEdge, ...]:
        """The order that follows from the claims of the plan as it is now."""
        last = self.amendments[-1] if self.amendments else self.accepted
        return last.implied if last else ()

    def _plan_drafted(self, event: Event, data: PlanDrafted) -> None:
        self.created_at = self.created_at or event.time

    def _run_started(self, event: Event, data: RunStarted) -> None:
        self.started, self.finished, self.finished_at, self.cancelling = data, None, None, None
        self.ledger.limit = data.budget
        self.base = self.base or data.base

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

    def _node_verified(self, event: Event, data: NodeVerified) -> None:
        self._move(data.node_id, data).attempts[-1].verified = data

    def _plan_proposed(self, event: Event, data: PlanProposed) -> None:
        self._move(data.node_id, data).attempts[-1].proposal = data

    def _finding_waived(self, event: Event, data: FindingWaived) -> None:
        self._move(data.finding.node_id, data).waived[data.finding] = Waiver(fact=data, time=event.time)

    def _finding_restored(self, event: Event, data: FindingRestored) -> None:
        before = self.nodes.get(data.finding.node_id)
        if before is None or data.finding not in before.waived:
            raise IllegalTransition(f"{data.type}: {data.finding.name} is not waived")
        state = self._move(data.finding.node_id, data)
        del state.waived[data.finding]
        if state.excused:
            state.accuse_again()
        self.frontier.refresh(state)

    def _node_excused(self, event: Event, data: NodeExcused) -> None:
        state = self._move(data.node_id, data)
        state.excuse(data.reason)
        self.frontier.refresh(state)

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


_HANDLERS: Mapping[type[Payload], Callable[..., None]] = {
    PlanDrafted: RunState._plan_drafted,
    PlanAccepted: RunState._plan_accepted,
    PlanAmended: RunState._plan_amended,
    RunStarted: RunState._run_started,
    RunPaused: RunState._run_paused,
    RunUnpaused: RunState._run_unpaused,
    RunCancelling: RunState._run_cancelling,
    RunFinished: RunState._run_finished,
    CommandGiven: RunState._command_given,
    NodeStarted: RunState._node_started,
    NodeBased: RunState._node_based,
    NodeVerified: RunState._node_verified,
    PlanProposed: RunState._plan_proposed,
    FindingWaived: RunState._finding_waived,
    FindingRestored: RunState._finding_restored,
    NodeExcused: RunState._node_excused,
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
    **MIRROR,
}
"""Event -> how it is folded. What is not listed changes no state and is kept for the record."""
