"""The plan of a run after nodes were added to it. The nodes that were there stay as they are."""

from collections.abc import Sequence

from msgspec.structs import replace

from cli_multi_rapid.core.facts import ImpliedEdge
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.plan import Node, Plan, Role


def amend(plan: Plan, added: Sequence[Node], again: Sequence[NodeId]) -> Plan:
    """The plan with more nodes; those in `again` depend on all of them. Raises `ValueError` if it cannot be.

    No cycle can come of it: what is added depends on other added nodes and on nodes that none of `again`
    comes before, and only `again`, which verify and land nothing, get new dependencies.
    """
    names = {node.id for node in plan.nodes}
    new = {node.id for node in added}
    if len(new) != len(added) or new & names:
        raise ValueError("an added node has the id of another")
    if missing := {dep for node in added for dep in node.deps} - names - new:
        raise ValueError(f"an added node depends on {', '.join(sorted(missing))}, and there is no such node")
    for node_id in again:
        if node_id not in names or plan.by_id[node_id].role is not Role.IPT:
            raise ValueError(f"{node_id} verifies nothing")
    if behind := _behind(plan, again) & {dep for node in added for dep in node.deps}:
        raise ValueError(f"an added node would wait for {', '.join(sorted(behind))}, and that for it")
    if not _is_ordered(added):
        raise ValueError("the added nodes wait for each other")
    more = tuple(node.id for node in added)
    old = (
        replace(node, deps=(*node.deps, *more)) if node.id in again else node
        for node in plan.nodes
    )  # fmt: skip
    return replace(plan, nodes=(*old, *added))


def _behind(plan: Plan, first: Sequence[NodeId]) -> set[NodeId]:
    """These nodes and all that depend on them."""
    found = set(first)
    grown = True
    while grown:
        more = {node.id for node in plan.nodes if node.id not in found and not found.isdisjoint(node.deps)}
        grown = bool(more)
        found |= more
    return found


def _is_ordered(nodes: Sequence[Node]) -> bool:
    """Whether no node waits, through others of these, for itself."""
    names = {node.id for node in nodes}
    left = {node.id: {dep for dep in node.deps if dep in names} for node in nodes}
    while ready := [name for name, deps in left.items() if not deps]:
        for name in ready:
            del left[name]
        for deps in left.values():
            deps.difference_update(ready)
    return not left


def fits(plan: Plan, order: Sequence[NodeId], implied: Sequence[ImpliedEdge]) -> bool:
    """Whether an order and edges belong to this plan. Those of a validated and prepared plan always do."""
    names = {node.id for node in plan.nodes}
    told = {dep for node in plan.nodes for dep in node.deps}
    told.update(end for edge in implied for end in (edge.before, edge.after))
    return len(names) == len(plan.nodes) and sorted(order) == sorted(names) and told <= names
