"""The graph of the nodes: order, layers, cycles, and the edges that overlapping claims imply.

`Deps` maps each node to the nodes that it waits for. A name that is no key is ignored everywhere, so that a
graph with an unknown dependency can still be examined for its other problems. Nothing here recurses: chains
of 10,000 nodes are fine. Every function needs an acyclic graph except `find_cycle`, `dependents`,
`ancestors` and `descendants`; the others raise `ValueError` on a cycle.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from heapq import heapify, heappop, heappush

from msgspec import Struct

from cli_multi_rapid.core.claims import Overlap, PathClaim
from cli_multi_rapid.core.ids import NodeId

Deps = Mapping[NodeId, Sequence[NodeId]]
Rank = tuple[float, ...]


class ImpliedEdge(Struct, frozen=True, kw_only=True):
    """`after` waits for `before`, because of their claims and not because the plan says so."""

    before: NodeId
    after: NodeId
    reason: str
    first_claim: PathClaim
    """The claim of `before`."""
    second_claim: PathClaim
    """The claim of `after`."""


def dependents(deps: Deps) -> dict[NodeId, list[NodeId]]:
    """Each node's direct dependents, once each and in the mapping's order."""
    reverse: dict[NodeId, list[NodeId]] = {node: [] for node in deps}
    for node, waits_for in deps.items():
        for dep in dict.fromkeys(waits_for):
            if dep in reverse:
                reverse[dep].append(node)
    return reverse


def ancestors(deps: Deps, node: NodeId) -> set[NodeId]:
    """All that the node waits for, directly or not; the node itself only if it is on a cycle."""
    return _reached(deps, node, deps.keys())


def descendants(deps: Deps, node: NodeId) -> set[NodeId]:
    """All that wait for the node, directly or not; the node itself only if it is on a cycle."""
    return _reached(dependents(deps), node, deps.keys())


def _reached(edges: Deps, start: NodeId, known: Set[NodeId]) -> set[NodeId]:
    found: set[NodeId] = set()
    todo = [start]
    while todo:
        new = {node for node in edges[todo.pop()] if node in known} - found
        found |= new
        todo.extend(new)
    return found


def topological_order(deps: Deps, rank: Mapping[NodeId, Rank] | None = None) -> list[NodeId]:
    """All nodes, each after its dependencies: of the ready ones the lowest rank, then the mapping's order.

    `rank`, when given, holds every node. Raises `ValueError` on a cycle.
    """
    following = dependents(deps)
    waiting = _open_deps(deps)
    nodes = list(deps)
    key = {node: (rank[node] if rank is not None else (), place) for place, node in enumerate(nodes)}
    ready = [key[node] for node in nodes if not waiting[node]]
    heapify(ready)
    order: list[NodeId] = []
    while ready:
        node = nodes[heappop(ready)[1]]
        order.append(node)
        for dependent in following[node]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heappush(ready, key[dependent])
    if len(order) < len(nodes):
        stuck = next(node for node in nodes if waiting[node])
        raise ValueError(f"the graph has a cycle, which {stuck!r} is on or behind")
    return order


def _open_deps(deps: Deps) -> dict[NodeId, int]:
    return {node: sum(dep in deps for dep in set(waits_for)) for node, waits_for in deps.items()}


def layers(deps: Deps) -> list[list[NodeId]]:
    """The nodes by the length of the longest path that leads to them; the mapping's order within a layer."""
    depth: dict[NodeId, int] = {}
    for node in topological_order(deps):
        depth[node] = max((depth[dep] + 1 for dep in deps[node] if dep in deps), default=0)
    found: list[list[NodeId]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in deps:
        found[depth[node]].append(node)
    return found


def critical_lengths(deps: Deps, weight: Mapping[NodeId, float]) -> dict[NodeId, float]:
    """For each node the weight of the heaviest path from it (inclusive) through dependents to an end.

    Weights are not negative, and in whatever unit the caller adds up. The mapping's order.
    """
    following = dependents(deps)
    length: dict[NodeId, float] = {}
    for node in reversed(topological_order(deps)):
        length[node] = weight[node] + max((length[dependent] for dependent in following[node]), default=0)
    return {node: length[node] for node in deps}


# Cycles -----------------------------------------------------------------------------------------------------


def find_cycle(deps: Deps) -> tuple[NodeId, ...] | None:
    """A shortest cycle as a path a -> b -> ... in which each waits for the next, and the last for a.

    None when there is none. Of several it is the one whose start comes first in the mapping.
    """
    edges = {node: [dep for dep in dict.fromkeys(deps[node]) if dep in deps] for node in deps}
    if not _Tangle(edges).nodes:
        return None
    part = _strong_parts(edges)
    edges = {node: [dep for dep in edges[node] if part[dep] == part[node]] for node in edges}
    tangle = _Tangle(edges)
    shortest: tuple[NodeId, ...] | None = None
    for node in edges:
        if node in tangle.nodes:
            limit = len(shortest) - 1 if shortest else len(tangle.nodes)
            shortest = _cycle_through(node, tangle.nodes, edges, limit) or shortest
            # All cycles through this node are known now; without it the others may fall apart.
            tangle.remove([node])
    return shortest


def _strong_parts(edges: Mapping[NodeId, Sequence[NodeId]]) -> dict[NodeId, NodeId]:
    """For each node one that stands for its strongly connected part (Kosaraju's two passes)."""
    finished: list[NodeId] = []
    seen: set[NodeId] = set()
    for root in edges:
        path = [(root, iter(edges[root]))] if root not in seen else []
        seen.add(root)
        while path:
            node, rest = path[-1]
            new = next((dep for dep in rest if dep not in seen), None)
            if new is None:
                finished.append(node)
                path.pop()
            else:
                seen.add(new)
                path.append((new, iter(edges[new])))
    reverse = dependents(edges)
    part: dict[NodeId, NodeId] = {}
    for root in reversed(finished):
        todo = [root]
        while todo:
            node = todo.pop()
            if node not in part:
                part[node] = root
                todo.extend(reverse[node])
    return part


class _Tangle:
    """The nodes that can be on a cycle: what is left when ends, and then the new ends, are taken away."""

    __slots__ = ("_edges", "_ins", "_outs", "_reverse", "nodes")

    def __init__(self, edges: dict[NodeId, list[NodeId]]) -> None:
        self._edges = edges
        self._reverse = dependents(edges)
        self._outs = {node: len(waits_for) for node, waits_for in edges.items()}
        self._ins = {node: len(followers) for node, followers in self._reverse.items()}
        self.nodes = set(edges)
        self.remove([node for node in edges if not (self._ins[node] and self._outs[node])])

    def remove(self, nodes: Iterable[NodeId]) -> None:
        """Take nodes away, and all that are on no cycle without them."""
        todo = list(nodes)
        while todo:
            node = todo.pop()
            if node not in self.nodes:
                continue
            self.nodes.remove(node)
            for counts, neighbours in ((self._ins, self._edges[node]), (self._outs, self._reverse[node])):
                for neighbour in neighbours:
                    counts[neighbour] -= 1
                    if not counts[neighbour]:
                        todo.append(neighbour)


def _cycle_through(
    start: NodeId, nodes: Set[NodeId], edges: Mapping[NodeId, Sequence[NodeId]], limit: int
) -> tuple[NodeId, ...] | None:
    """A shortest cycle of at most `limit` nodes through the start: breadth first."""
    came_from: dict[NodeId, NodeId] = {}
    level = [start]
    while level and limit:
        limit -= 1
        reached: list[NodeId] = []
        for node in level:
            for dep in edges[node]:
                if dep == start:
                    return _path_back(start, node, came_from)
                if dep in nodes and dep not in came_from:
                    came_from[dep] = node
                    reached.append(dep)
        level = reached
    return None


def _path_back(start: NodeId, end: NodeId, came_from: Mapping[NodeId, NodeId]) -> tuple[NodeId, ...]:
    path = deque([end])
    while path[0] != start:
        path.appendleft(came_from[path[0]])
    return tuple(path)


# Claims -----------------------------------------------------------------------------------------------------


def implied_edges(
    deps: Deps, overlaps: Sequence[Overlap], rank: Mapping[NodeId, Rank] | None = None
) -> list[ImpliedEdge]:
    """The fewest edges to add so that no two overlapping nodes can run side by side; still acyclic.

    Each leads forward in `topological_order(deps, rank)`. A pair that a path connects already, through the
    plan or through other overlapping pairs, gets none: 1000 nodes that all overlap become a chain. In the
    order of `before`, then `after`.
    Raises `ValueError` on a cycle in `deps` and `KeyError` for an overlap of an unknown node.
    """
    order = topological_order(deps, rank)
    if not overlaps:
        return []
    place = {node: at for at, node in enumerate(order)}
    bit = [1 << at for at in range(len(order))]
    rivals = [0] * len(order)  # bit j of rivals[i]: the nodes at i and j overlap, and i < j
    pairs: dict[int, Overlap] = {}
    for overlap in overlaps:
        low, high = place[overlap.first], place[overlap.second]
        if low > high:
            low, high = high, low
        rivals[low] |= bit[high]
        pairs.setdefault(low * len(order) + high, overlap)
    following = dependents(deps)
    edges: list[ImpliedEdge] = []
    # From the last node to the first, so that what lies behind a place is complete when its turn comes. A
    # path between two places only visits places between them: so the nearest rivals cover the farther ones.
    behind = [0] * len(order)
    for at in range(len(order) - 1, -1, -1):
        reach = 0
        for dependent in following[order[at]]:
            reach |= behind[place[dependent]] | bit[place[dependent]]
        while missing := rivals[at] & ~reach:
            nearest = (missing & -missing).bit_length() - 1
            reach |= behind[nearest] | bit[nearest]
            edges.append(_implied(order[at], order[nearest], pairs[at * len(order) + nearest]))
        behind[at] = reach
    edges.sort(key=lambda edge: (place[edge.before], place[edge.after]))
    return edges


def _implied(before: NodeId, after: NodeId, overlap: Overlap) -> ImpliedEdge:
    first, second = overlap.first_claim, overlap.second_claim
    if overlap.first != before:
        first, second = second, first
    return ImpliedEdge(
        before=before, after=after, reason=_reason(first, second), first_claim=first, second_claim=second
    )


def _reason(first: PathClaim, second: PathClaim) -> str:
    claims = dict.fromkeys(f"{claim.path} ({claim.mode})" for claim in (first, second))
    return "both write " + " and ".join(claims)
