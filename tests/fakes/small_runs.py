"""Runs of a few plain nodes, told event by event."""

from cli_multi_rapid.core.claims import PathClaim
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import FailureClass, ImpliedEdge, Payload
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, EventId, NodeId, ToolName
from cli_multi_rapid.core.merge_events import MergeEnqueued, MergeEntry, MergeFailed, MergeLanded
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeFailed, NodeStarted, NodeSucceeded
from cli_multi_rapid.core.plan import MergePolicy, Node, Plan
from cli_multi_rapid.core.run_events import PlanAccepted
from cli_multi_rapid.core.scheduler import prepare
from cli_multi_rapid.core.state import RunState
from tests.fakes.sample_plans import MAIN, RUN, START, node, tree_id


class Story:
    """A run of a few nodes, told event by event."""

    def __init__(self, *nodes: Node, implied: tuple[tuple[str, str], ...] | None = None) -> None:
        policy = MergePolicy(target=MAIN)
        plan = Plan(plan_id="p", name="p", nodes=nodes, merge_policy=policy, branch_base=MAIN)
        order, edges = prepare(plan)
        if implied is not None:
            edges = tuple(
                ImpliedEdge(before=NodeId(one), after=NodeId(other), reason="both") for one, other in implied
            )
        self.state = RunState(RUN)
        self.tell(PlanAccepted(plan=plan, order=order, implied=edges, digest="d", source="test"))

    def tell(self, *facts: Payload) -> "Story":
        """These facts happen."""
        for fact in facts:
            seq = self.state.seq + 1
            event_id = EventId(str(seq))
            self.state.apply(Event(id=event_id, seq=seq, run_id=RUN, time=START, source="test", data=fact))
        return self

    def start(self, name: str) -> "Story":
        """An attempt begins."""
        number = len(self.state.nodes[NodeId(name)].attempts) + 1
        return self.tell(
            NodeStarted(
                node_id=NodeId(name), attempt=number, tool=ToolName("t"), reason="", slot="s", log="l"
            )
        )

    def succeed(self, name: str, *, idle: bool = False) -> "Story":
        """The running attempt ends well; `idle`: with nothing to land."""
        head = None if idle else Commit(tree_id(name))
        return self.tell(NodeSucceeded(node_id=NodeId(name), attempt=1, commit=head))

    def do(self, name: str, *, idle: bool = False) -> "Story":
        """Start and succeed."""
        return self.start(name).succeed(name, idle=idle)

    def lose(self, name: str) -> "Story":
        """The running attempt fails for good."""
        failure = FailureClass.TOOL_FAILED
        return self.tell(
            NodeAttemptFailed(node_id=NodeId(name), attempt=1, failure=failure, reason="no"),
            NodeFailed(node_id=NodeId(name), failure=failure, reason="no"),
        )

    def enqueue(self, name: str, *, behind: tuple[str, ...] = ()) -> "Story":
        """The sealed work joins the queue, `behind` what it depends on."""
        entry = MergeEntry(
            id=EntryId(name),
            branch=Branch(name),
            head=Commit("h"),
            base=Commit("b"),
            target=MAIN,
            node_id=NodeId(name),
            deps=tuple(map(EntryId, behind)),
        )
        return self.tell(MergeEnqueued(entry=entry))

    def land(self, name: str) -> "Story":
        """The work joins the queue and is on the target."""
        return self.enqueue(name).land_entry(name)

    def land_entry(self, name: str) -> "Story":
        """The queued work is on the target."""
        landed = MergeLanded(entries=(EntryId(name),), commit=Commit("c"), tree=tree_id())
        return self.tell(landed)

    def eject(self, name: str) -> "Story":
        """The queue refuses the work."""
        return self.enqueue(name).tell(MergeFailed(entry_id=EntryId(name), reason="red"))

    @property
    def ready(self) -> list[str]:
        """The nodes that can start, in order."""
        return [str(node.node.id) for node in self.state.frontier.ready()]

    def blocked_by(self, name: str) -> str | None:
        """The dead dependency of a node."""
        return self.state.nodes[NodeId(name)].blocked_by


def same(name: str, *deps: str) -> Node:
    """A node that claims what all others of its kind claim."""
    return node(name, *deps, path_claims=(PathClaim(path="src/**"),))


def bare(name: str, *deps: str) -> Node:
    """A node that claims nothing."""
    return Node(id=NodeId(name), label=name, tool=ToolName("t"), deps=tuple(map(NodeId, deps)))
