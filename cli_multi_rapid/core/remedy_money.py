"""Whether what is added to a run can be paid, all of it together, before any of it is added. Pure."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.affordability import Means
from cli_multi_rapid.core.budget import BudgetRules, CannotFit, Fits
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.routing import ToolFacts, pool
from cli_multi_rapid.core.state import RunState


class Unpaid(Struct, frozen=True, kw_only=True):
    """There is something to add, and the budget has no room for it."""

    reason: str
    limit_name: str
    """`run`, `day`, or another that `CannotFit` names."""
    needed: MicroUsd
    """What all that would run sets aside."""


def unpaid(
    state: RunState, nodes: Sequence[Node], tools: Mapping[ToolName, ToolFacts], rules: BudgetRules
) -> Unpaid | None:
    """Why the budget has no room for all that would run: the new nodes, and the verification after them."""
    ledger = replace(state.ledger)
    means = Means(tools=tools, ledger=ledger, rules=rules)
    for node in nodes:
        verdicts = [means.fit(NodeState(node=node), tool) for tool in pool(node, tools)]
        amounts = [verdict.amount for verdict in verdicts if isinstance(verdict, Fits)]
        if verdicts and not amounts:
            refusals = [verdict for verdict in verdicts if isinstance(verdict, CannotFit)]
            needed = _needed(nodes, tools, rules)
            why = refusals[0].reason if refusals else "what is left does not do for all of them"
            return Unpaid(
                reason=f"a fix does not fit the budget: {node.id}: {why}",
                limit_name=refusals[0].limit_name if refusals else _shorter(state, needed),
                needed=needed,
            )
        ledger.reserved = MicroUsd(ledger.reserved + min(amounts, default=0))
    return None


def _needed(nodes: Sequence[Node], tools: Mapping[ToolName, ToolFacts], rules: BudgetRules) -> MicroUsd:
    """What these nodes set aside where no limit stands in the way."""
    free = Means(tools=tools, ledger=Ledger(), rules=replace(rules, day_limit=None, allow_unpriced=True))
    fits = ([free.fit(NodeState(node=node), tool) for tool in pool(node, tools)] for node in nodes)
    amounts = ([fit.amount for fit in each if isinstance(fit, Fits)] for each in fits)
    return MicroUsd(sum(min(each, default=ZERO) for each in amounts))


def _shorter(state: RunState, needed: MicroUsd) -> str:
    """Of the limits that nodes share, the one that has no room for so much."""
    left = state.ledger.available
    return "run" if left is not None and needed > left else "day"
