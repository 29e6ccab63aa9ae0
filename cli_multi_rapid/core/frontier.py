"""Which nodes can start, which are blocked and which are done with: kept up to date node by node."""

from bisect import bisect_left, insort
from collections.abc import Iterable

from cli_multi_rapid.core.facts import ImpliedEdge
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.plan import Role


class Frontier:
    """The derived indexes over the nodes of a plan. A change of one node costs the edges around it."""

    def __init__(
        self, nodes: dict[NodeId, NodeState], order: Iterable[NodeId], implied: Iterable[ImpliedEdge]
    ) -> None:
        self._nodes = nodes
        self._order = tuple(order)
        self._rank = {node_id: rank for rank, node_id in enumerate(self._order)}
        self._ready: list[int] = []
        self._hard: dict[NodeId, list[NodeId]] = {node_id: [] for node_id in nodes}
        self._soft: dict[NodeId, list[NodeId]] = {node_id: [] for node_id in nodes}
        self.running: dict[NodeId, None] = {}
        self.unsettled: set[NodeId] = set()
        self.unqueued: dict[NodeId, None] = {}
        """The nodes whose sealed work has not been given to the merge queue."""
        self.undecided: dict[NodeId, None] = {}
        """The nodes whose last attempt failed and whose next step is not recorded."""
        for state in nodes.values():
            state.open_edges, state.blocked_by = set(), None
            for dep in state.node.deps:
                self._hard[dep].append(state.node.id)
        self._earlier: dict[NodeId, tuple[NodeId, ...]] = {}
        for edge in implied:
            self._soft[edge.before].append(edge.after)
            self._earlier[edge.after] = (*self._earlier.get(edge.after, ()), edge.before)
        for node_id in self._order:
            self.refresh(nodes[node_id])

    def ready(self) -> list[NodeState]:
        """The nodes that wait for nothing but a worker, in dispatch order."""
        return [self._nodes[self._order[rank]] for rank in self._ready]

    def dependents(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """The nodes that name this one in their `deps`."""
        return tuple(self._hard[node_id])

    def earlier(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """The nodes that come before this one because of their claims."""
        return self._earlier.get(node_id, ())

    def later(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """The nodes that come after this one because of their claims."""
        return tuple(self._soft[node_id])

    def refresh(self, changed: NodeState) -> None:
        """Bring the indexes up to date after a node changed, and after what that blocks or frees."""
        stack = [changed]
        while stack:
            state = stack.pop()
            self._index(state)
            for hard, followers in ((True, self._hard), (False, self._soft)):
                for follower in followers[state.node.id]:
                    after = self._nodes[follower]
                    if self._update_edge(state, after, hard=hard):
                        stack.append(after)
                    else:
                        self._index_ready(after)

    def _index(self, state: NodeState) -> None:
        node_id = state.node.id
        (self.unsettled.discard if state.settled else self.unsettled.add)(node_id)
        if state.status is NodeStatus.RUNNING:
            self.running[node_id] = None
        else:
            self.running.pop(node_id, None)
        if state.status is NodeStatus.COMPLETED and state.head and state.merge_status is None:
            self.unqueued[node_id] = None
        else:
            self.unqueued.pop(node_id, None)
        if state.undecided:
            self.undecided[node_id] = None
        else:
            self.undecided.pop(node_id, None)
        self._index_ready(state)

    def _update_edge(self, before: NodeState, after: NodeState, *, hard: bool) -> bool:
        """Open or close one edge; returns whether that blocked or freed the later node."""
        was_blocked = after.blocked_by
        if hard and before.dead and after.status is not NodeStatus.COMPLETED:
            after.blocked_by = after.blocked_by or before.node.id
        elif hard and after.blocked_by == before.node.id:
            after.blocked_by = next((d for d in after.node.deps if self._nodes[d].dead), None)
        released = _releases(before, after, hard=hard)
        (after.open_edges.discard if released else after.open_edges.add)(before.node.id)
        return after.blocked_by != was_blocked

    def _index_ready(self, state: NodeState) -> None:
        rank = self._rank[state.node.id]
        place = bisect_left(self._ready, rank)
        listed = place < len(self._ready) and self._ready[place] == rank
        free = not state.open_edges and state.blocked_by is None and not state.undecided
        ready = state.status is NodeStatus.PENDING and free
        if ready and not listed:
            insort(self._ready, rank)
        elif listed and not ready:
            del self._ready[place]


def _releases(before: NodeState, after: NodeState, *, hard: bool) -> bool:
    """Whether `after` need no longer wait for `before`.

    A dependency must have completed, and landed when the dependent works on the merged target. A node that
    merely comes first because of claims must have come to an end, whichever.
    """
    completed = before.status is NodeStatus.COMPLETED
    if not hard:
        return completed or (before.dead and before.status is not NodeStatus.RUNNING)
    return before.landed if after.node.role is Role.IPT else completed and not before.dead
