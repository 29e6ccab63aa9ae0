"""What a whole plan will probably cost and take, held against its budget before anything starts.

The budget's own rules are applied, as if each node cost exactly what is set aside for it: what this says
fits is what a run would start.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core import budget, dag
from cli_multi_rapid.core.budget import BudgetRules, CannotFit, Fits, NotNow
from cli_multi_rapid.core.built_in_tools import ACTIONS, PYTHON, SHELL, VERIFY
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import MicroUsd, Price, format_usd
from cli_multi_rapid.core.plan import Node, Plan, Prompt
from cli_multi_rapid.core.routing import done_by
from cli_multi_rapid.core.scheduler import prepare

ASSUMED_AGENT_S = 300.0
"""Duration of an agent's node without an estimate: the middle of what agents take for one task."""
ASSUMED_COMMAND_S = 30.0
"""The same for commands, scripts, steps and verifications."""

_FREE: Final = frozenset((SHELL, PYTHON, ACTIONS, VERIFY))


class NodeEstimate(Struct, frozen=True, kw_only=True):
    """What one node is expected to cost and take."""

    node_id: NodeId
    cost: MicroUsd
    cost_source: str
    """Where the figure comes from: est_cost, max_cost, free, typical or config."""
    duration_s: float
    duration_assumed: bool
    """True: the plan names no duration."""


class LeftOut(Struct, frozen=True, kw_only=True):
    """A node that the budget leaves no room for."""

    node_id: NodeId
    reason: str


class Estimate(Struct, frozen=True, kw_only=True):
    """Cost, time, and what fits. Durations are seconds; every node costs one attempt."""

    nodes: tuple[NodeEstimate, ...]
    """In plan order."""
    total: MicroUsd
    budget: MicroUsd | None
    critical_path: tuple[NodeId, ...]
    """The longest chain of nodes that wait for each other, by deps or by claims."""
    critical_s: float
    """How long that chain takes: no number of workers is faster."""
    work_s: float
    """How long one worker takes for everything."""
    fitting: tuple[NodeId, ...]
    """What would start within the budget, in the order of priority."""
    left_out: tuple[LeftOut, ...]
    """The others, with reasons, in the same order."""
    by_id: Mapping[NodeId, NodeEstimate]

    @property
    def fits(self) -> bool:
        """Whether every node can run."""
        return not self.left_out

    @property
    def fitting_total(self) -> MicroUsd:
        """What the nodes that fit cost together."""
        return MicroUsd(sum(self.by_id[node_id].cost for node_id in self.fitting))

    def duration_s(self, workers: int) -> float:
        """The least time that so many workers can need."""
        return max(self.critical_s, self.work_s / max(1, workers))

    def to_text(self) -> str:
        """The comparison with the budget in one sentence, for the question before the start."""
        cost = f"the plan is estimated at {format_usd(self.total)}"
        if self.budget is None:
            return f"{cost}; there is no budget"
        if self.fits:
            return f"{cost} of a budget of {format_usd(self.budget)}"
        count = f"{len(self.fitting)} of {len(self.nodes)} nodes fit ({format_usd(self.fitting_total)})"
        return f"{cost}, the budget is {format_usd(self.budget)}: {count}"


def estimate(
    plan: Plan,
    *,
    budget_limit: MicroUsd | None = None,
    prices: Mapping[ToolName, Price] | None = None,
    rules: BudgetRules | None = None,
    who_can: Callable[[Node], Sequence[ToolName]] | None = None,
) -> Estimate:
    """Estimate a plan. `budget_limit` is in place of the plan's own budget when given.

    `prices` says which tools cost nothing and what others typically cost; one that is not listed costs what
    the rules allow a node. `who_can` names every tool that may do a node: one that can be paid will do.
    """
    limit = plan.budget if budget_limit is None else budget_limit
    known, rules = prices or {}, rules or BudgetRules()
    nodes = {node.id: _estimate_node(node, known, rules) for node in plan.nodes}
    order, implied = prepare(plan)
    deps: dict[NodeId, list[NodeId]] = {node.id: list(node.deps) for node in plan.nodes}
    for edge in implied:
        deps[edge.after].append(edge.before)
    path = _critical_path(deps, {name: node.duration_s for name, node in nodes.items()})
    fitting, left_out = _fill(
        plan, order, _Till(prices=known, rules=rules, who_can=who_can), Ledger(limit=limit)
    )
    return Estimate(
        nodes=tuple(nodes.values()),
        total=MicroUsd(sum(node.cost for node in nodes.values())),
        budget=limit,
        critical_path=path,
        critical_s=sum(nodes[name].duration_s for name in path),
        work_s=sum(node.duration_s for node in nodes.values()),
        fitting=fitting,
        left_out=left_out,
        by_id=nodes,
    )


class _Till(Struct, frozen=True, kw_only=True):
    """What decides whether a node can be paid."""

    prices: Mapping[ToolName, Price]
    rules: BudgetRules
    who_can: Callable[[Node], Sequence[ToolName]] | None

    def fit(self, node: Node, ledger: Ledger) -> Fits | NotNow | CannotFit:
        """By its own tool, or else by the first that may stand in for it and fits."""
        verdict = budget.fit(node, _price(node, self.prices), ledger, self.rules)
        if self.who_can is None or not isinstance(verdict, CannotFit):
            return verdict
        others = (done_by(node, tool) for tool in self.who_can(node))
        verdicts = (budget.fit(other, _price(other, self.prices), ledger, self.rules) for other in others)
        return next((found for found in verdicts if isinstance(found, Fits)), verdict)


def _price(node: Node, prices: Mapping[ToolName, Price]) -> Price:
    return prices.get(node.tool, Price(free=node.tool in _FREE))


def _estimate_node(node: Node, prices: Mapping[ToolName, Price], rules: BudgetRules) -> NodeEstimate:
    reserved = budget.reservation(node, _price(node, prices), rules)
    is_agent = isinstance(node.work, Prompt) and node.tool not in _FREE
    assumed = ASSUMED_AGENT_S if is_agent else ASSUMED_COMMAND_S
    return NodeEstimate(
        node_id=node.id,
        cost=reserved.amount,
        cost_source=reserved.source,
        duration_s=assumed if node.est_duration_s is None else node.est_duration_s,
        duration_assumed=node.est_duration_s is None,
    )


def _critical_path(deps: dag.Deps, weight: Mapping[NodeId, float]) -> tuple[NodeId, ...]:
    """The heaviest chain, from its start to its end."""
    length = dag.critical_lengths(deps, weight)
    following = dag.dependents(deps)
    starts = [node for node, waits_for in deps.items() if not waits_for]
    path: list[NodeId] = []
    while starts:
        path.append(max(starts, key=lambda node: length[node]))
        starts = following[path[-1]]
    return tuple(path)


def _fill(
    plan: Plan,
    order: tuple[NodeId, ...],
    till: "_Till",
    ledger: Ledger,
) -> tuple[tuple[NodeId, ...], tuple[LeftOut, ...]]:
    """Start the nodes one after the other, as long as the budget lets them."""
    fitting: dict[NodeId, None] = {}
    left_out: list[LeftOut] = []
    for node_id in order:
        node = plan.by_id[node_id]
        missing = next((dep for dep in node.deps if dep not in fitting), None)
        if missing is not None:
            left_out.append(LeftOut(node_id=node_id, reason=f"waits for {missing}, which is left out"))
            continue
        verdict = till.fit(node, ledger)
        if isinstance(verdict, Fits):
            ledger.settle(node_id, 1, verdict.amount)
            fitting[node_id] = None
        else:
            # Nothing is set aside for running nodes here, so `NotNow` cannot be the answer.
            reason = verdict.reason if isinstance(verdict, CannotFit) else "does not fit the budget"
            left_out.append(LeftOut(node_id=node_id, reason=reason))
    return tuple(fitting), tuple(left_out)
