"""Which of the tools that may do a node's work can be paid, each by its own price and its own model."""

from collections.abc import Mapping

from msgspec import Struct

from cli_multi_rapid.core import budget
from cli_multi_rapid.core.budget import BudgetRules, CannotFit, Fits, NotNow
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.intents import RefuseForBudget
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.routing import ToolFacts, done_by, pool

_UNKNOWN = Price(known=False)
"""Of a tool that nobody has heard of."""


class Means(Struct, frozen=True, kw_only=True):
    """The money of a run, and what tools cost."""

    tools: Mapping[ToolName, ToolFacts]
    ledger: Ledger
    rules: BudgetRules

    def price_of(self, tool: ToolName) -> Price:
        """What is known of a tool's price."""
        facts = self.tools.get(tool)
        return _UNKNOWN if facts is None else facts.price

    def fit(self, node_state: NodeState, tool: ToolName) -> Fits | NotNow | CannotFit:
        """Hold a node, done by this tool, against every limit."""
        node, price = done_by(node_state.node, tool), self.price_of(tool)
        return budget.fit(node, price, self.ledger, self.rules, node_state.spent)

    def refusals(self, node_state: NodeState) -> dict[ToolName, CannotFit]:
        """The tools of a node's pool that no limit has room for, whatever becomes of the reservations."""
        verdicts = ((tool, self.fit(node_state, tool)) for tool in pool(node_state.node, self.tools))
        return {tool: verdict for tool, verdict in verdicts if isinstance(verdict, CannotFit)}


def refuse(node: Node, verdict: CannotFit) -> RefuseForBudget:
    """The end of a node that the budget has no room for."""
    return RefuseForBudget(
        node_id=node.id,
        needed=verdict.needed,
        available=verdict.available,
        limit_name=verdict.limit_name,
        reason=verdict.reason,
    )
