"""What a run's log says of decisions that are done when they are recorded. Pure."""

from typing import assert_never

from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.intents import (
    AmendPlan,
    AskApproval,
    CancelNode,
    CloseBreaker,
    ExcuseNode,
    FailNode,
    OpenBreaker,
    RefuseForBudget,
    RetryNode,
    ReworkNode,
    WarnBudget,
)
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.node_events import (
    NodeCancelled,
    NodeFailed,
    NodeRetryScheduled,
    NodeReworkScheduled,
    NodeSkipped,
)
from cli_multi_rapid.core.run_events import ApprovalRequested, BudgetHalted, BudgetRefused, BudgetWarned
from cli_multi_rapid.core.tool_events import BreakerClosed, BreakerOpened
from cli_multi_rapid.core.verification_events import NodeExcused

Told = (
    RetryNode
    | ReworkNode
    | FailNode
    | ExcuseNode
    | CancelNode
    | AskApproval
    | RefuseForBudget
    | OpenBreaker
    | CloseBreaker
    | WarnBudget
    | AmendPlan
)
"""The intents that are done when they are recorded."""


def facts_of(intent: Told, ledger: Ledger) -> tuple[Payload, ...]:
    """The events that carry out an intent."""
    match intent:
        case RetryNode(node_id=node_id, not_before=time, reason=reason, tool=tool):
            return (NodeRetryScheduled(node_id=node_id, not_before=time, reason=reason, tool=tool),)
        case ReworkNode(node_id=node_id, reason=reason, evidence=evidence, tool=tool):
            return (NodeReworkScheduled(node_id=node_id, reason=reason, evidence=evidence, tool=tool),)
        case FailNode(node_id=node_id, failure=failure, reason=reason):
            return (NodeFailed(node_id=node_id, failure=failure, reason=reason),)
        case ExcuseNode() | CancelNode():
            kind = NodeExcused if isinstance(intent, ExcuseNode) else NodeCancelled
            return (kind(node_id=intent.node_id, reason=intent.reason),)
        case AskApproval(node_id=node_id, what=what):
            return (ApprovalRequested(node_id=node_id, what=what),)
        case RefuseForBudget():
            return _refusal(intent)
        case OpenBreaker() | CloseBreaker():
            return (_of_breaker(intent),)
        case WarnBudget():
            return _notice(intent, ledger)
        case AmendPlan(amended=amended):
            return (amended,)
        case _:
            assert_never(intent)


def _refusal(intent: RefuseForBudget) -> tuple[Payload, ...]:
    refused = BudgetRefused(
        node_id=intent.node_id,
        needed=intent.needed,
        available=intent.available,
        limit_name=intent.limit_name,
    )
    return refused, NodeSkipped(node_id=intent.node_id, reason=intent.reason, by_budget=True)


def _of_breaker(intent: OpenBreaker | CloseBreaker) -> BreakerOpened | BreakerClosed:
    if isinstance(intent, CloseBreaker):
        return BreakerClosed(tool=intent.tool, reason=intent.reason)
    return BreakerOpened(
        tool=intent.tool,
        until=intent.until,
        failures=intent.failures,
        failed_trials=intent.failed_trials,
        failure=intent.failure,
        reason=intent.reason,
    )


def _notice(intent: WarnBudget, ledger: Ledger) -> tuple[Payload, ...]:
    if ledger.limit is None:
        return ()
    notice = BudgetHalted if intent.halt else BudgetWarned
    return (notice(spent=ledger.spent, limit=ledger.limit, percent=intent.percent),)
