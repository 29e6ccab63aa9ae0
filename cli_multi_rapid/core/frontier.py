"""Which nodes can start, which are blocked and which are done with: kept up to date node by node."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from cli_multi_rapid.core.claims import first_conflict
from cli_multi_rapid.core.facts import ImpliedEdge
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_state import MERGE_DEAD, Footing, NodeState, NodeStatus
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
        self._over: set[NodeId] = set()
        """The nodes that have come to an end, whichever, with all that comes before them."""
        self._awaited = dict.fromkeys(nodes, 0)
        """How many of the edges that lead to a node come from one that is not over."""
        self._whole: set[NodeId] = set()
        """The nodes whose last attempt was built on the work of every node before them."""
        self.running: dict[NodeId, None] = {}
        self.unsettled: set[NodeId] = set()
        self.unqueued: dict[NodeId, None] = {}
        """The nodes whose sealed work has not been given to the merge queue."""
        self.refused: dict[NodeId, None] = {}
        """The nodes whose sealed work left the queue without landing."""
        self.undecided: dict[NodeId, None] = {}
        """The nodes whose last attempt failed and whose next step is not recorded."""
        self._deps: dict[NodeId, dict[NodeId, None]] = {}
        """What a node depends on: its `deps`, and what those of them stand for that changed nothing."""
        for state in nodes.values():
            state.open_edges, state.blocked_by = set(), None
            self._deps[state.node.id] = dict.fromkeys(state.node.deps)
            for dep in self._deps[state.node.id]:
                self._hard[dep].append(state.node.id)
                self._awaited[state.node.id] += 1
        self._earlier: dict[NodeId, tuple[NodeId, ...]] = {}
        for edge in implied:
            self._soft[edge.before].append(edge.after)
            self._earlier[edge.after] = (*self._earlier.get(edge.after, ()), edge.before)
            self._awaited[edge.after] += 1
        for node_id in self._order:
            self.refresh(nodes[node_id])

    def ready(self) -> Iterator[NodeState]:
        """The nodes that wait for nothing but a worker, in dispatch order; most callers need a few."""
        return (self._nodes[self._order[rank]] for rank in self._ready)

    @property
    def ready_count(self) -> int:
        """How many nodes wait for nothing but a worker."""
        return len(self._ready)

    def dependents(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """The nodes that depend on this one, also through those that changed nothing."""
        return tuple(self._hard[node_id])

    def earlier(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """The nodes that come directly before this one because of their claims."""
        return self._earlier.get(node_id, ())

    def later(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """The nodes that come directly after this one because of their claims."""
        return tuple(self._soft[node_id])

    def foundation(self, node_id: NodeId) -> tuple[Footing, ...]:
        """The sealed work that an attempt of the node builds on if it starts now, in dispatch order.

        That of its dependencies; one that completed without a change stands for its own. And what it must
        not contradict: that of all nodes before it with whose claims its own conflict.
        """
        needed = set(self._deps[node_id])
        builds = self._nodes[node_id].node.role is Role.WT  # the others look at the target as it is
        names = needed | self._preceding(node_id, needed) if builds else needed
        order = sorted(names, key=self._rank.__getitem__)
        works = [(name, self._nodes[name].success) for name in order if self._nodes[name].sealed]
        return tuple(
            Footing(node_id=name, attempt=work.attempt, needed=name in needed) for name, work in works if work
        )

    def _preceding(self, node_id: NodeId, needed: set[NodeId]) -> set[NodeId]:
        """The edges are the fewest that keep the order: what they leave out is found behind them."""
        claims, found = self._nodes[node_id].node.path_claims, set(self.earlier(node_id))
        if not claims:
            return found  # nothing can contradict it, however much is behind it
        seen: set[NodeId] = set()
        stack = list(self._before(node_id))
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            other = self._nodes[name]
            unlanded = other.sealed and not other.landed
            if unlanded and name not in found and first_conflict(claims, other.node.path_claims):
                found.add(name)
            holds_the_rest = other.sealed and name in self._whole and (name in found or name in needed)
            if not holds_the_rest:
                stack.extend(self._before(name))
        return found

    def _before(self, node_id: NodeId) -> tuple[NodeId, ...]:
        return (*self._nodes[node_id].node.deps, *self.earlier(node_id))

    def begin(self, state: NodeState) -> None:
        """An attempt of the node starts: remember what it is built on."""
        node_id = state.node.id
        state.foundation = self.foundation(node_id)
        whole = all(name in self._whole and self._nodes[name].sealed for name in self._before(node_id))
        (self._whole.add if whole else self._whole.discard)(node_id)

    def refresh(self, changed: NodeState) -> None:
        """Bring the indexes up to date after a node changed, and after what that blocks or frees."""
        changed.blocked_by = self._blocker(changed)
        stack = [changed]
        while stack:
            state = stack.pop()
            if state.idle:
                self._pass_on(state)
            self._index(state)
            turned = self._turn(state)
            for hard, followers in ((True, self._hard), (False, self._soft)):
                for follower in followers[state.node.id]:
                    after = self._nodes[follower]
                    self._awaited[follower] += turned
                    if self._update_edge(state, after, hard=hard) or self._turns(after):
                        stack.append(after)
                    else:
                        self._index_ready(after)

    def _pass_on(self, state: NodeState) -> None:
        """Who depends on a node that changed nothing depends on what that node depends on."""
        for dep in self._deps[state.node.id]:
            before = self._nodes[dep]
            for follower in () if before.landed else self._hard[state.node.id]:
                if dep not in self._deps[follower]:
                    self._deps[follower][dep] = None
                    self._hard[dep].append(follower)
                    self._awaited[follower] += dep not in self._over
                    self._update_edge(before, self._nodes[follower], hard=True)

    def _turns(self, state: NodeState) -> bool:
        """Whether a node is over by now, or no longer, and the index does not say so."""
        ended = state.dead and state.status is not NodeStatus.RUNNING and not self._awaited[state.node.id]
        return (state.status is NodeStatus.COMPLETED or ended) is not (state.node.id in self._over)

    def _turn(self, state: NodeState) -> int:
        """Say whether a node is over; what that adds to the edges that its followers await."""
        if not self._turns(state):
            return 0
        if state.node.id in self._over:
            self._over.discard(state.node.id)
            return 1
        self._over.add(state.node.id)
        return -1

    def _blocker(self, state: NodeState) -> NodeId | None:
        """A dependency that this node can no longer count on; work that completed in spite of one stands."""
        if state.blocked_by is not None and self._nodes[state.blocked_by].dead:
            return state.blocked_by
        if state.blocked_by is None and state.status is NodeStatus.COMPLETED:
            return None
        return next((dep for dep in self._deps[state.node.id] if self._nodes[dep].dead), None)

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
        if state.status is NodeStatus.COMPLETED and state.merge_status in MERGE_DEAD:
            self.refused[node_id] = None
        else:
            self.refused.pop(node_id, None)
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
            after.blocked_by = self._blocker(after)
        released = self._releases(before, after, hard=hard)
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

    def _releases(self, before: NodeState, after: NodeState, *, hard: bool) -> bool:
        """Whether `after` need no longer wait for `before`.

        A dependency must have completed, and landed when the dependent works on the merged target. A node
        that merely comes first because of claims must be over: it also stands between `after` and what comes
        before itself, with which the claims of `after` may conflict too.
        """
        if not hard:
            return before.node.id in self._over
        if after.node.role is Role.IPT:
            return before.landed
        return before.status is NodeStatus.COMPLETED and not before.dead
