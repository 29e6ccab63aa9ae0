"""The derived indexes are at every moment what one would find by looking at all nodes anew."""

import sys
from collections.abc import Callable
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.ids import EntryId, NodeId
from cli_multi_rapid.core.merge_events import (
    MergeCancelled,
)
from cli_multi_rapid.core.node_events import (
    NodeCancelled,
    NodeReset,
)
from cli_multi_rapid.core.node_state import MergeStatus, NodeState, NodeStatus
from cli_multi_rapid.core.plan import Role
from cli_multi_rapid.core.state import RunState
from tests.examples import examples
from tests.fakes.random_plans import random_limits, random_plan
from tests.fakes.run_world import RunWorld
from tests.fakes.sample_plans import node
from tests.fakes.small_runs import Story, bare, same
from tests.fakes.weather import RunWeather

GONE = {NodeStatus.FAILED, NodeStatus.SKIPPED, NodeStatus.CANCELLED}
REFUSED = {MergeStatus.FAILED, MergeStatus.CONFLICTED, MergeStatus.CANCELLED}


def done(node: NodeState) -> bool:
    return node.status is NodeStatus.COMPLETED


class Oracle:
    """Looks at every node of a state and works out what the indexes ought to say."""

    def __init__(self, state: RunState) -> None:
        assert state.accepted is not None
        self.state = state
        self.nodes = state.nodes
        self.order = state.accepted.order
        self.through: set[NodeId] = set()
        self.soft: dict[NodeId, list[NodeId]] = {node_id: [] for node_id in self.nodes}
        for edge in state.accepted.implied:
            self.soft[edge.after].append(edge.before)

    def note(self) -> None:
        """Who changed nothing stands for its own dependencies from then on."""
        self.through |= {n.node.id for n in self.nodes.values() if n.head is None and done(n)}

    def deps(self, node: NodeState) -> set[NodeId]:
        found: set[NodeId] = set()
        stack = list(node.node.deps)
        while stack:
            name = stack.pop()
            found.add(name)
            stack.extend(self.nodes[name].node.deps if name in self.through else ())
        return found

    def dead(self, node: NodeState) -> bool:
        return node.status in GONE or node.merge_status in REFUSED or self.blocked(node)

    def blocked(self, node: NodeState) -> bool:
        if node.status is NodeStatus.COMPLETED:  # it had gone too far to be stopped
            return node.blocked_by is not None
        return any(self.dead(self.nodes[dep]) for dep in self.deps(node))

    def landed(self, node: NodeState) -> bool:
        return done(node) and (node.head is None or node.merge_status is MergeStatus.MERGED)

    def over(self, node: NodeState) -> bool:
        if node.status is NodeStatus.COMPLETED:
            return True
        before = (*node.node.deps, *self.soft[node.node.id])
        ended = self.dead(node) and node.status is not NodeStatus.RUNNING
        return ended and all(self.over(self.nodes[name]) for name in before)

    def open_edges(self, node: NodeState) -> set[NodeId]:
        found = {name for name in self.soft[node.node.id] if not self.over(self.nodes[name])}
        for dep in self.deps(node):
            before = self.nodes[dep]
            free = before.status is NodeStatus.COMPLETED and not self.dead(before)
            if not (self.landed(before) if node.node.role is Role.IPT else free):
                found.add(dep)
        return found

    def ready(self, node: NodeState) -> bool:
        free = not self.open_edges(node) and not self.blocked(node) and not node.undecided
        return node.status is NodeStatus.PENDING and free

    def settled(self, node: NodeState) -> bool:
        return self.landed(node) or (self.dead(node) and node.status is not NodeStatus.RUNNING)

    def check(self) -> None:
        self.note()
        for one in self.nodes.values():
            assert one.open_edges == self.open_edges(one), one.node.id
            assert (one.blocked_by is not None) == self.blocked(one), one.node.id
            if one.blocked_by is not None:
                assert one.blocked_by in self.deps(one)
                assert self.dead(self.nodes[one.blocked_by])
            assert (one.dead, one.landed, one.settled) == (
                self.dead(one),
                self.landed(one),
                self.settled(one),
            )
        frontier = self.state.frontier
        assert [n.node.id for n in frontier.ready()] == [n for n in self.order if self.ready(self.nodes[n])]
        assert set(frontier.running) == self.those(lambda n: n.status is NodeStatus.RUNNING)
        assert frontier.unsettled == self.those(lambda n: not self.settled(n))
        assert set(frontier.undecided) == self.those(lambda n: n.undecided)
        assert set(frontier.unqueued) == self.those(
            lambda n: n.status is NodeStatus.COMPLETED and n.head is not None and n.merge_status is None
        )

    def those(self, fits: Callable[[NodeState], bool]) -> set[NodeId]:
        return {node_id for node_id, node in self.nodes.items() if fits(node)}


@given(st.integers(0, 2**32))
@settings(max_examples=examples(60))
def test_after_every_event_of_any_run_the_indexes_are_what_all_nodes_say(seed: int) -> None:
    random = Random(seed)
    weather = RunWeather(
        fails=0.3, idle=0.2, dear=0.1, people=random.choice([0, 0.2]), crashes=0.05, flake=0.1, held=0.1
    )
    world = RunWorld(plan=random_plan(random), limits=random_limits(random), weather=weather, random=random)
    oracle = Oracle(world.state)
    world.observers.append(lambda _state, _event: oracle.check())
    world.live()


# --- small histories ----------------------------------------------------------------------------------------


def test_a_verifying_node_waits_until_what_it_depends_on_has_landed() -> None:
    story = Story(node("a"), node("v", "a", role=Role.IPT), node("w", "a")).do("a")
    assert story.ready == ["w"]
    assert story.land("a").ready == ["v", "w"]


def test_a_node_with_the_same_claims_waits_for_the_end_of_the_first_and_not_for_its_landing() -> None:
    story = Story(same("a"), same("b"))
    assert story.ready == ["a"]
    assert story.start("a").ready == []
    assert story.succeed("a").ready == ["b"]


def test_a_failed_node_with_the_same_claims_makes_way() -> None:
    assert Story(same("a"), same("b")).start("a").lose("a").ready == ["b"]


def test_behind_a_called_off_node_one_still_waits_for_whom_that_one_waited() -> None:
    story = Story(same("a"), same("b"), same("c"))  # the edges are a -> b -> c: none from a to c is needed
    story.start("a").tell(NodeCancelled(node_id=NodeId("b"), reason="not needed"))
    assert story.ready == [], "c would write beside a"
    assert story.succeed("a").ready == ["c"]


def test_behind_a_blocked_node_one_still_waits_for_whom_that_one_waited() -> None:
    story = Story(same("a"), node("d"), same("b", "d"), same("c"), implied=(("a", "b"), ("b", "c")))
    story.start("a").start("d").lose("d")
    assert story.blocked_by("b") == "d"
    assert story.ready == []
    assert story.succeed("a").ready == ["c"]
    story.tell(NodeReset(node_id=NodeId("d"), reason="again"))
    assert story.ready == ["d"], "b may come after all, and c comes after it"


def below(story: Story, name: str) -> list[tuple[str, bool]]:
    """What an attempt of this node would be built on, and whether it depends on that."""
    found = story.state.frontier.foundation(NodeId(name))
    return [(str(footing.node_id), footing.needed) for footing in found]


def test_behind_a_called_off_node_one_builds_on_the_work_of_whom_that_one_waited_for() -> None:
    story = Story(same("a"), same("b"), same("c"), bare("x")).do("a")
    frontier = story.state.frontier
    assert (frontier.earlier(NodeId("c")), frontier.later(NodeId("a"))) == (("b",), ("b",))
    assert below(story, "c") == [("a", False)]
    assert below(story, "x") == []
    assert below(story.do("b"), "c") == [("b", False)]


def test_who_depends_on_a_node_that_changed_nothing_builds_on_what_that_one_was_built_on() -> None:
    story = Story(bare("a"), bare("look", "a"), bare("z", "look")).do("a")
    assert below(story.do("look", idle=True), "z") == [("a", True)]
    assert story.state.frontier.dependents(NodeId("a")) == ("look", "z")


def test_a_refused_landing_blocks_also_who_depends_on_it_through_a_node_that_changed_nothing() -> None:
    nodes = (bare("a"), bare("look", "a"), bare("z", "look"), replace(bare("v", "look"), role=Role.IPT))
    story = Story(*nodes).do("a").do("look", idle=True)
    assert story.ready == ["z"], "v looks at the target, and the work of a is not there"
    story.eject("a")
    assert (story.ready, story.blocked_by("z"), story.blocked_by("v")) == ([], "a", "a")
    assert story.tell(NodeReset(node_id=NodeId("a"), reason="again")).ready == ["a"]
    assert story.do("a").ready == ["z"]


def test_one_builds_on_all_rivals_behind_somebody_who_was_not_built_on_them() -> None:
    # `look` changes nothing, so the work of `a` does not reach `b`, which does not care; but `z` does.
    look, b, z = same("look"), bare("b", "look"), same("z", "b")
    story = Story(same("a"), look, b, z, implied=(("a", "look"),)).do("a").do("look", idle=True).do("b")
    assert below(story, "b") == []
    assert set(below(story, "z")) == {("a", False), ("b", True)}


def test_one_builds_on_all_rivals_behind_somebody_whose_work_one_does_not_need() -> None:
    # `b` is no rival of `z`, so its work does not come with `look`, and neither does that of `a` inside it.
    a, z = same("a"), same("z")
    nodes = (a, bare("b", "a"), same("look", "b"), z)
    story = Story(*nodes, implied=(("look", "z"),)).do("a").do("b").do("look", idle=True)
    assert below(story, "z") == [("a", False)]


def test_what_has_landed_or_was_refused_is_not_built_on_because_of_claims() -> None:
    story = (
        Story(same("a"), same("b"), same("c"), implied=(("a", "b"), ("b", "c"))).do("a").do("b").eject("b")
    )
    assert below(story, "c") == [("a", False)]
    assert below(story.land("a"), "c") == []


def test_an_attempt_remembers_what_it_was_built_on() -> None:
    story = Story(bare("a"), bare("b", "a")).do("a").start("b").eject("a")
    story.tell(NodeReset(node_id=NodeId("a"), reason="again"))
    (footing,) = story.state.nodes[NodeId("b")].foundation
    assert (footing.node_id, footing.attempt, footing.needed) == ("a", 1, True)
    assert story.state.nodes[NodeId("a")].queued_as == {1: "a"}


def test_a_refused_landing_blocks_who_has_not_started_and_not_who_is_done() -> None:
    story = Story(node("a"), node("done", "a"), node("later", "a")).do("a").do("done").eject("a")
    assert (story.blocked_by("done"), story.blocked_by("later")) == (None, "a")


def test_who_is_started_over_behind_a_refused_landing_is_blocked() -> None:
    story = Story(node("a"), node("b", "a"), node("c", "b")).do("a").do("b").eject("a").enqueue("b")
    story.tell(MergeCancelled(entry_id=EntryId("b"), reason="a did not land"))
    story.tell(NodeReset(node_id=NodeId("b"), reason="again"))
    assert (story.blocked_by("b"), story.blocked_by("c")) == ("a", "b")
    assert story.ready == []
    story.tell(NodeReset(node_id=NodeId("a"), reason="again too"))
    assert (story.blocked_by("b"), story.blocked_by("c"), story.ready) == (None, None, ["a"])


def test_the_next_dead_dependency_takes_over_when_the_first_is_started_over() -> None:
    story = Story(node("a"), node("b"), node("c", "a", "b")).start("a").start("b").lose("b").lose("a")
    assert story.blocked_by("c") == "b"
    assert story.tell(NodeReset(node_id=NodeId("b"), reason="again")).blocked_by("c") == "a"


def test_work_that_completed_behind_a_dead_dependency_stays_dead_until_that_one_is_started_over() -> None:
    story = Story(node("a"), node("b", "a"), node("c", "b")).do("a").start("b").eject("a").succeed("b")
    assert (story.blocked_by("b"), story.blocked_by("c")) == ("a", "b")
    story.tell(NodeReset(node_id=NodeId("a"), reason="again"))
    assert (story.blocked_by("b"), story.blocked_by("c")) == (None, None)


# --- many nodes ---------------------------------------------------------------------------------------------

MANY = 10_000


def chain() -> Story:
    return Story(*(bare(f"n{i}", *([f"n{i - 1}"] if i else [])) for i in range(MANY)))


def fan() -> Story:
    return Story(bare("n0"), *(bare(f"n{i}", "n0") for i in range(1, MANY)))


def funnel() -> Story:
    return Story(
        bare("n0"), *(bare(f"n{i}") for i in range(1, MANY)), bare("end", *map("n{}".format, range(MANY)))
    )


@pytest.mark.parametrize("make", [chain, fan, funnel])
def test_ten_thousand_nodes_are_blocked_and_freed_quickly_and_without_recursion(
    make: Callable[[], Story],
) -> None:
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    began = process_time()
    try:
        story = make()
        for _ in range(3):
            story.start("n0").lose("n0")
            assert sum(1 for n in story.state.nodes.values() if n.blocked_by) == (
                1 if make is funnel else MANY - 1
            )
            story.tell(NodeReset(node_id=NodeId("n0"), reason="again"))
            assert not any(n.blocked_by for n in story.state.nodes.values())
    finally:
        sys.setrecursionlimit(depth)
    assert process_time() - began < 10


def test_ten_thousand_nodes_are_worked_off_quickly() -> None:
    began = process_time()
    story = fan()
    for number in range(MANY):
        story.do(f"n{number}")
    assert story.ready == []
    story = funnel()
    for number in range(MANY):
        story.do(f"n{number}")
    assert story.ready == ["end"]
    assert process_time() - began < 20
