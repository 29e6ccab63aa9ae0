"""The decision of what to do next: `decide(state, limits, now) -> intents`, pure and without memory."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct, field

from cli_multi_rapid.core import breaker, budget, dag
from cli_multi_rapid.core.affordability import refuse
from cli_multi_rapid.core.amendment import amend
from cli_multi_rapid.core.breaker import BreakerRules, Closes, Opens
from cli_multi_rapid.core.budget import BudgetRules, CannotFit, Fits, NotNow
from cli_multi_rapid.core.claims import find_overlaps, first_conflict
from cli_multi_rapid.core.facts import FailureClass, ImpliedEdge, RunStatus
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.intents import (
    AmendPlan,
    AskApproval,
    CancelNode,
    CloseBreaker,
    Enqueue,
    ExcuseNode,
    FailNode,
    FinishRun,
    Intent,
    OpenBreaker,
    RetryNode,
    ReworkNode,
    StartAttempt,
    StopAttempt,
    WakeAt,
    WarnBudget,
    Withdraw,
)
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.node_state import MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.plan import Approval, FixPolicy, MergeWhen, Node, Plan, Role
from cli_multi_rapid.core.purse import Purse
from cli_multi_rapid.core.remedy import Amendment, Surroundings, Unplanned, next_remedy
from cli_multi_rapid.core.remedy_money import Unpaid
from cli_multi_rapid.core.retry import GiveUp, TryAgain, after_failure, is_waiting, worn_out
from cli_multi_rapid.core.reviewed import has_nothing_to_review
from cli_multi_rapid.core.rework import after_lost_footing, after_refusal
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.run_end import can_land, end_of
from cli_multi_rapid.core.selection import Later, Nobody, Scene, choose, next_fallback
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import PlanAmended

_DEFAULT_WEIGHT_S = 60.0
"""The assumed duration of a node without an estimate; only the ratio to other nodes matters."""


_NOTHING_TO_REVIEW = "not started: nothing of the work before it has landed, so there is nothing to review"


class Limits(Struct, frozen=True, kw_only=True):
    """What a run may use at once, and how it treats failure."""

    workers: int = 4
    budget: BudgetRules = field(default_factory=BudgetRules)
    tools: Mapping[ToolName, ToolFacts] = field(default_factory=dict)
    breaker: BreakerRules = field(default_factory=BreakerRules)
    fail_fast: bool = False
    fix: FixPolicy = field(default_factory=FixPolicy)
    """What is added to a run whose landed tree does not pass its verification."""
    queue_halted: str | None = None
    """Why the merge queue lands nothing at present; None when it works."""


def prepare(plan: Plan) -> tuple[tuple[NodeId, ...], tuple[ImpliedEdge, ...]]:
    """The dispatch order of a plan's nodes and the edges implied by their claims.

    Order: priority, then the longer critical path, then the plan's own order.
    """
    deps = {node.id: node.deps for node in plan.nodes}
    weights = {node.id: node.est_duration_s or _DEFAULT_WEIGHT_S for node in plan.nodes}
    critical = dag.critical_lengths(deps, weights)
    rank = {node.id: (node.priority, -critical[node.id]) for node in plan.nodes}
    by_priority = {node.id: (node.priority, place) for place, node in enumerate(plan.nodes)}
    overlaps = find_overlaps({node.id: node.path_claims for node in plan.nodes if node.role is Role.WT})
    implied = tuple(
        ImpliedEdge(before=edge.before, after=edge.after, reason=edge.reason)
        for edge in dag.implied_edges(deps, overlaps, by_priority)
    )
    return tuple(dag.topological_order(deps, rank)), implied


def decide(state: RunState, limits: Limits, now: datetime) -> list[Intent]:
    """Every intent that follows from the state at this time. Empty: wait for something to happen."""
    if state.plan is None:
        return []
    if state.cancelling is not None:
        return list(_wind_down(state, state.cancelling))
    first = [*_breaker_steps(state, limits, now), *_reworks(state, state.plan, limits, now)]
    if first:
        return first  # what follows depends on them, and comes when they are recorded
    intents: list[Intent] = [
        *_budget_notices(state, limits.budget),
        *_next_steps(state, state.plan, limits, now),
    ]
    if limits.fail_fast and any(node.dead for node in state.nodes.values()):
        # What an undecided node's failure means is being said above; it is called off when it comes again.
        waiting = _cancel_pending(state, "another node failed (--fail-fast)")
        intents.extend(call for call in waiting if call.node_id not in state.frontier.undecided)
    elif not state.paused and not (limits.fail_fast and _gives_up(intents)):
        intents.extend(_starts(state, state.plan, limits, now))
    intents.extend(_enqueues(state, state.plan))
    if not any(_is_action(intent) for intent in intents) and _at_rest(state):
        intents.extend(_finish(state, state.plan, limits))
    return intents


def _gives_up(intents: list[Intent]) -> bool:
    """Whether a node is about to fail for good: with --fail-fast nothing may start beside that."""
    return any(isinstance(intent, FailNode) for intent in intents)


def _at_rest(state: RunState) -> bool:
    return not state.frontier.running and not (state.paused and state.frontier.unsettled)


def _is_action(intent: Intent) -> bool:
    return not isinstance(intent, WarnBudget)


def _budget_notices(state: RunState, rules: BudgetRules) -> Iterator[Intent]:
    percent = budget.percent_spent(state.ledger)
    if budget.has_spent(state.ledger, rules.warn_pct) and not state.ledger.warned:
        yield WarnBudget(percent=percent, halt=False)
    if budget.has_spent(state.ledger, rules.halt_pct) and not state.ledger.halted:
        yield WarnBudget(percent=percent, halt=True)


def _breaker_steps(state: RunState, limits: Limits, now: datetime) -> Iterator[Intent]:
    """The breakers of agents that must open or close."""
    for tool, found in state.tools.breakers.items():
        facts = limits.tools.get(tool)
        if facts is None or not facts.agent:
            continue
        match breaker.next_step(found, limits.breaker, now):
            case Opens() as opens:
                yield OpenBreaker(
                    tool=tool,
                    until=opens.until,
                    failures=found.failures,
                    failed_trials=opens.failed_trials,
                    failure=found.last,
                    reason=opens.reason,
                )
            case Closes():
                yield CloseBreaker(tool=tool, reason="it came to the end of its work again")
            case None:
                pass


def _reworks(state: RunState, plan: Plan, limits: Limits, now: datetime) -> Iterator[Intent]:
    """Sealed work that cannot land and is to be done again."""
    scene = _scene(state, limits, now)
    for node_id in state.frontier.refused:
        node_state = state.nodes[node_id]
        repeats = plan.retries_of(node_state.node)
        fallback = next_fallback(node_state, scene, worn_out(node_state, repeats))
        again = after_refusal(node_state, state.nodes, repeats, fallback)
        if again is not None:
            yield ReworkNode(node_id=node_id, reason=again.reason, evidence=again.evidence, tool=again.tool)


def _scene(state: RunState, limits: Limits, now: datetime) -> Scene:
    """What is known of the tools; who uses them is counted as attempts start."""
    running = (state.nodes[node_id] for node_id in state.frontier.running)
    in_use = Counter(node.attempts[-1].tool for node in running)
    return Scene(tools=limits.tools, book=state.tools, in_use=in_use, rules=limits.breaker, now=now)


def _next_steps(state: RunState, plan: Plan, limits: Limits, now: datetime) -> Iterator[Intent]:
    """Another try or the end, for every node whose last attempt failed."""
    scene = _scene(state, limits, now)
    for node_id in state.frontier.undecided:
        node_state = state.nodes[node_id]
        retries = plan.retries_of(node_state.node)
        fallback = next_fallback(node_state, scene, worn_out(node_state, retries))
        match after_failure(node_state, retries, fallback, now):
            case TryAgain() as again:
                yield RetryNode(
                    node_id=node_id, not_before=again.not_before, reason=again.reason, tool=again.tool
                )
            case GiveUp() as end:
                failure = node_state.failure or FailureClass.TOOL_FAILED
                yield FailNode(node_id=node_id, failure=failure, reason=end.reason)


def _starts(state: RunState, plan: Plan, limits: Limits, now: datetime) -> Iterator[Intent]:
    """Fill the free workers with ready nodes, in order, as far as tools and money allow."""
    running = [state.nodes[node_id] for node_id in state.frontier.running]
    scene = _scene(state, limits, now)
    purse = Purse(state, limits.budget, limits.tools, limits.workers)
    wakes: list[datetime] = []
    for node_state in state.frontier.ready() if len(running) < limits.workers else ():
        if len(running) >= limits.workers:
            break
        if node_state.not_before is not None and is_waiting(node_state, now):
            wakes.append(node_state.not_before)
            continue
        if _claims_are_taken(node_state.node, running) or _awaits_rivals(state, node_state):
            continue  # a node with the same claims that comes later went first, because this one was reset
        if has_nothing_to_review(state, node_state.node.id):
            yield ExcuseNode(node_id=node_state.node.id, reason=_NOTHING_TO_REVIEW)
            continue
        worn = worn_out(node_state, plan.retries_of(node_state.node))
        intent = _start(node_state, worn, scene, purse)
        if isinstance(intent, Later):
            wakes.extend(() if intent.until is None else (intent.until,))
        elif intent is not None:
            yield intent
        if isinstance(intent, StartAttempt):
            scene.take(intent.tool)
            running.append(node_state)
            purse.take(intent)
    if wakes:
        yield WakeAt(time=min(wakes))


def _awaits_rivals(state: RunState, node_state: NodeState) -> bool:
    """Whether a node that is done again should first see what its last work would be in conflict with.

    Nodes that come later because of claims did not wait for this round of it: their work is in the queue.
    """
    node = node_state.node
    if node_state.rework is None or node.role is Role.IPT:
        return False
    below = {footing.node_id for footing in state.frontier.foundation(node.id)}
    queued = (state.nodes[node_id] for node_id in state.frontier.unsettled - below)
    return any(
        other.sealed and other.merge_status and first_conflict(node.path_claims, other.node.path_claims)
        for other in queued
    )


def _start(
    node_state: NodeState, worn: frozenset[ToolName], scene: Scene, purse: Purse
) -> Intent | Later | None:
    node = node_state.node
    if node.approval is Approval.BEFORE and "before" not in node_state.granted:
        return AskApproval(node_id=node.id, what="before")
    choice = choose(node_state, scene, worn, purse.means.refusals(node_state))
    if isinstance(choice, Later):
        return choice
    if isinstance(choice, Nobody):
        return FailNode(node_id=node.id, failure=choice.failure, reason=choice.reason)
    if isinstance(choice, CannotFit):
        return refuse(node, choice)
    match purse.means.fit(node_state, choice.tool):
        case CannotFit() as refusal:
            return refuse(node, refusal)
        case NotNow():
            return None
        case Fits() as fits:
            is_free = purse.means.price_of(choice.tool).free
            allowed = None if is_free else purse.allow(node_state, fits.amount)
            return StartAttempt(
                node_id=node.id,
                attempt=len(node_state.attempts) + 1,
                tool=choice.tool,
                reason=choice.reason,
                reserve=fits.amount,
                reserve_source=fits.source,
                cap=allowed.cap if allowed else None,
                lent=allowed.lent if allowed else ZERO,
            )


def _claims_are_taken(node: Node, running: list[NodeState]) -> bool:
    """Whether a running node may write what this one may write; what lands nothing takes nothing."""
    if node.role is Role.IPT:
        return False
    rivals = (other.node.path_claims for other in running if other.node.role is Role.WT)
    return any(first_conflict(node.path_claims, claims) for claims in rivals)


def _enqueues(state: RunState, plan: Plan) -> Iterator[Intent]:
    """Give sealed work to the queue: at once, or when every node has done its part."""
    if plan.merge_policy.when is MergeWhen.AFTER_ALL and not _work_is_over(state):
        return
    for node_id in state.frontier.unqueued:
        node_state = state.nodes[node_id]
        stale = after_lost_footing(node_state, state.nodes)
        if stale is not None:
            yield ReworkNode(node_id=node_id, reason=stale.reason, evidence="", tool=None)
            continue
        if needs_consent(plan, node_state) and not node_state.requested & {"landing"}:
            yield AskApproval(node_id=node_id, what="landing")
        yield Enqueue(node_id=node_id)


def needs_consent(plan: Plan, node_state: NodeState) -> bool:
    """Whether a person must agree before this node's work lands."""
    wanted = node_state.node.approval is Approval.LANDING or not plan.merge_policy.auto_merge
    return wanted and "landing" not in node_state.granted


def _work_is_over(state: RunState) -> bool:
    """Whether nothing more can be done before something lands."""
    frontier = state.frontier
    if frontier.running or frontier.undecided:
        return False
    if not all(_awaits_rivals(state, node_state) for node_state in frontier.ready()):
        return False
    waiting = (state.nodes[node_id] for node_id in frontier.unsettled)
    return not any(node.status is NodeStatus.WAITING for node in waiting)


def _cancel_pending(state: RunState, reason: str) -> Iterator[CancelNode]:
    for node_state in state.nodes.values():
        if node_state.status in (NodeStatus.PENDING, NodeStatus.WAITING) and node_state.blocked_by is None:
            yield CancelNode(node_id=node_state.node.id, reason=reason)


def _wind_down(state: RunState, reason: str) -> Iterator[Intent]:
    """A run that is being cancelled: end what runs, call off what waits, then finish."""
    if state.frontier.running:
        for node_id in state.frontier.running:
            yield StopAttempt(node_id=node_id, reason=reason)
        return
    queued = [
        node
        for node in state.nodes.values()
        if node.status is NodeStatus.COMPLETED and not node.dead and not node.landed and node.entry_id
    ]
    for node in queued:
        yield Withdraw(node_id=node.node.id, reason=reason)
    pending = list(_cancel_pending(state, reason))
    yield from pending
    if not pending and not queued:
        yield FinishRun(status=RunStatus.CANCELLED, exit_code=1, reason=reason)


# --- the end of a run -------------------------------------------------------------------------------------


def _finish(state: RunState, plan: Plan, limits: Limits) -> Iterator[Intent]:
    """End the run when nothing can move without a person, or nothing is left, unless there is more to add."""
    if limits.queue_halted is None and can_land(state):
        return
    remedy: Amendment | Unpaid | Unplanned | None = None
    if limits.queue_halted is None and not limits.fail_fast:
        around = Surroundings(policy=limits.fix, tools=limits.tools, budget=limits.budget)
        remedy = next_remedy(state, plan, around)
    yield _amend(plan, remedy) if isinstance(remedy, Amendment) else outcome(state, limits, remedy)


def _amend(plan: Plan, found: Amendment) -> AmendPlan:
    order, implied = prepare(amend(plan, found.nodes, found.again))
    amended = PlanAmended(
        kind=found.kind,
        number=found.number,
        nodes=found.nodes,
        again=found.again,
        causes=found.causes,
        reason=found.reason,
        order=order,
        implied=implied,
        fixes=found.fixes,
    )
    return AmendPlan(amended=amended)


def outcome(state: RunState, limits: Limits, remedy: Unpaid | Unplanned | None = None) -> FinishRun:
    """How a run that has come to rest ended. `remedy`: what would be added to it and cannot be."""
    return end_of(state, limits.queue_halted, remedy)


def unlanded(state: RunState) -> list[NodeState]:
    """The nodes with finished work that is not on the target: their branches are kept and named."""
    return [
        n for n in state.nodes.values() if n.head is not None and n.merge_status is not MergeStatus.MERGED
    ]
