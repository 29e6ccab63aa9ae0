"""The fold of a run: the same events always give the same state, and what cannot follow changes nothing."""

from datetime import datetime, timedelta
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.events import Event, Unknown
from cli_multi_rapid.core.facts import FailureClass, ImpliedEdge, Payload, RunStatus, Usage
from cli_multi_rapid.core.ids import Branch, CheckId, EntryId, EventId, NodeId, ToolName
from cli_multi_rapid.core.merge_events import (
    CheckStarted,
    MergeLanded,
)
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import (
    ContextInjected,
    NodeAttemptFailed,
    NodeBased,
    NodeCancelled,
    NodeFailed,
    NodeReset,
    NodeRetryScheduled,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
)
from cli_multi_rapid.core.node_state import TRANSITIONS, MergeStatus, NodeStatus
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    BudgetChanged,
    BudgetReserved,
    BudgetSettled,
    CommandGiven,
    PlanAccepted,
    RunFinished,
    RunStarted,
)
from cli_multi_rapid.core.state import IllegalTransition, RunState
from tests.examples import examples
from tests.fakes.pictures import picture
from tests.fakes.random_plans import random_limits, random_plan
from tests.fakes.run_stories import STORIES
from tests.fakes.run_world import RunWorld
from tests.fakes.sample_plans import RUN, START, commit_id, oauth_plan, tree_id
from tests.fakes.small_runs import Story, bare
from tests.fakes.weather import RunWeather

A = NodeId("a")
ENTRY = EntryId("a")
MOVES: tuple[Payload, ...] = (
    NodeStarted(node_id=A, attempt=1, tool=ToolName("t"), reason="", slot="s", log="l"),
    NodeBased(node_id=A, attempt=1, base=commit_id(), tip=commit_id()),
    NodeSucceeded(node_id=A, attempt=1, commit=commit_id()),
    NodeAttemptFailed(node_id=A, attempt=1, failure=FailureClass.TIMED_OUT, reason="late"),
    NodeRetryScheduled(node_id=A, not_before=START, reason="again"),
    NodeFailed(node_id=A, failure=FailureClass.TIMED_OUT, reason="late"),
    NodeSkipped(node_id=A, reason="no money", by_budget=True),
    NodeCancelled(node_id=A, reason="no"),
    NodeReset(node_id=A, reason="again"),
    ApprovalRequested(node_id=A, what="before"),
    ApprovalGranted(node_id=A, what="before", by="ada"),
    ApprovalRejected(node_id=A, what="before", by="ada", reason="no"),
)
WAYS = {
    NodeStatus.PENDING: (),
    NodeStatus.RUNNING: (MOVES[0],),
    NodeStatus.WAITING: (MOVES[9],),
    NodeStatus.COMPLETED: (MOVES[0], MOVES[2]),
    NodeStatus.FAILED: (MOVES[5],),
    NodeStatus.SKIPPED: (MOVES[6],),
    NodeStatus.CANCELLED: (MOVES[7],),
}


def event(payload: Payload, seq: int = 1) -> Event:
    return Event(id=EventId(f"x{seq}"), seq=seq, run_id=RUN, time=START, source="test", data=payload)


def fold(events: list[Event]) -> RunState:
    state = RunState(events[0].run_id if events else RUN)
    for one in events:
        state.apply(one)
    return state


def lived(seed: int) -> RunWorld:
    """Any run at all."""
    random = Random(seed)
    weather = RunWeather(fails=0.3, idle=0.1, dear=0.1, people=0.2, crashes=0.05, flake=0.1, held=0.1)
    world = RunWorld(plan=random_plan(random), limits=random_limits(random), weather=weather, random=random)
    world.live()
    return world


# --- total and deterministic --------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=examples(20))
def test_prefix_and_rest_are_the_whole(seed: int, where: float) -> None:
    world = lived(seed)
    split = int(where * len(world.events))
    state = fold(world.events[:split])
    middle = picture(state)
    for one in world.events[split:]:
        state.apply(one)
    assert picture(state) == picture(world.state) == picture(fold(world.events))
    assert middle == picture(fold(world.events[:split]))
    assert state.seq == len(world.events)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_known_story_folds_the_same_whatever_was_read_at_once(name: str) -> None:
    events = STORIES[name]().events
    whole = picture(fold(events))
    for split in range(0, len(events), 5):
        state = fold(events[:split]) if split else RunState(events[0].run_id)
        for one in events[split:]:
            state.apply(one)
        assert picture(state) == whole


@given(st.integers(0, 2**32))
@settings(max_examples=examples(20))
def test_whatever_cannot_follow_changes_nothing(seed: int) -> None:
    world, random = lived(seed), Random(seed)
    state = fold(world.events[: random.randint(1, len(world.events))])
    before = picture(state)
    for payload in MOVES:
        node_id = random.choice(list(state.nodes))
        if (state.nodes[node_id].status, type(payload)) in TRANSITIONS:
            continue
        aimed = replace(cast(Any, payload), node_id=node_id)
        with pytest.raises(IllegalTransition):
            state.apply(event(aimed, state.seq + 1))
        assert picture(state) == before


@pytest.mark.parametrize("payload", MOVES, ids=lambda payload: payload.type)
@pytest.mark.parametrize("status", WAYS)
def test_a_node_moves_as_the_table_says_and_not_otherwise(status: NodeStatus, payload: Payload) -> None:
    story = Story(bare("a"), bare("b", "a")).tell(*WAYS[status])
    assert story.state.nodes[A].status is status
    expected, before = TRANSITIONS.get((status, type(payload))), picture(story.state)
    if expected is not None:
        story.tell(payload)
        assert story.state.nodes[A].status is expected
        return
    with pytest.raises(IllegalTransition, match=f"{payload.type} cannot follow {status} of a"):
        story.tell(payload)
    assert picture(story.state) == before


@pytest.mark.parametrize("payload", [*MOVES, ContextInjected(node_id=A, text="t")], ids=lambda p: p.type)
def test_a_fact_about_a_node_that_is_not_there_is_refused(payload: Payload) -> None:
    story = Story(bare("b"))
    before = picture(story.state)
    with pytest.raises(IllegalTransition, match="this run has no node a"):
        story.tell(payload)
    assert picture(story.state) == before


@pytest.mark.parametrize(
    "payload",
    [
        Unknown(name="node.dreamt", of_version=7, data={}),
        CheckStarted(check=CheckId("c"), tree=tree_id(), key="k"),
    ],
)
def test_what_is_not_folded_is_passed_over_and_counted(payload: Payload) -> None:
    story = Story(bare("a"))
    before = picture(story.state)
    late = START + timedelta(hours=1)
    seq = story.state.seq + 1
    story.state.apply(Event(id=EventId("u"), seq=seq, run_id=RUN, time=late, source="t", data=payload))
    assert picture(story.state) == {**before, "seq": seq, "updated_at": late}


# --- plans --------------------------------------------------------------------------------------------------


def accepted(plan: Plan, order: str, *implied: tuple[str, str]) -> PlanAccepted:
    edges = tuple(ImpliedEdge(before=NodeId(a), after=NodeId(b), reason="r") for a, b in implied)
    return PlanAccepted(
        plan=plan, order=tuple(map(NodeId, order.split())), implied=edges, digest="d", source="s"
    )


def plan_of(*names: str) -> Plan:
    plan = Story(*map(bare, names)).state.plan
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    "wrong",
    [
        accepted(plan_of("a", "b"), "a"),
        accepted(plan_of("a", "b"), "a b c"),
        accepted(plan_of("a", "b"), "a a b"),
        accepted(plan_of("a", "b"), "a b", ("a", "c")),
        accepted(plan_of("a", "b"), "a b", ("c", "a")),
        accepted(replace(plan_of("a"), nodes=(bare("a"), bare("a"))), "a a"),
        accepted(replace(plan_of("a"), nodes=(bare("a", "z"),)), "a"),
    ],
)  # fmt: skip
def test_a_plan_whose_order_or_edges_do_not_belong_to_it_is_refused(wrong: PlanAccepted) -> None:
    for story in (Story(bare("x")), Story(bare("a")).start("a")):
        before = picture(story.state)
        with pytest.raises(IllegalTransition):
            story.tell(wrong)
        assert picture(story.state) == before


def test_another_plan_keeps_what_is_known_of_the_nodes_that_stay() -> None:
    story = Story(bare("a"), bare("b")).do("a").do("b").enqueue("a").enqueue("b")
    story.tell(accepted(plan_of("b", "c"), "b c"))
    assert set(story.state.nodes) == {"b", "c"}
    assert story.state.nodes[NodeId("b")].status is NodeStatus.COMPLETED
    assert story.ready == ["c"]
    story.tell(MergeLanded(entries=(ENTRY, EntryId("b")), commit=commit_id(), tree=tree_id()))
    assert story.state.nodes[NodeId("b")].merge_status is MergeStatus.MERGED


def test_the_budget_of_the_plan_holds_until_the_run_names_another() -> None:
    state = RunState(RUN)
    plan = oauth_plan(MicroUsd(7))
    order = " ".join(n.id for n in plan.nodes)
    state.apply(event(accepted(plan, order)))
    assert limit_of(state) == 7
    state.apply(event(started(budget=None), 2))
    assert limit_of(state) is None
    state.apply(event(BudgetChanged(limit=MicroUsd(9)), 3))
    state.apply(event(accepted(plan, order), 4))
    assert limit_of(state) == 9


def limit_of(state: RunState) -> MicroUsd | None:
    return state.ledger.limit


def started(*, budget: MicroUsd | None = None) -> RunStarted:
    return RunStarted(
        repository="/r", target=Branch("main"), base=commit_id(), pid=1, host="h", workers=1, budget=budget
    )


# --- the rest of a run --------------------------------------------------------------------------------------


def ends(state: RunState) -> tuple[RunStatus, datetime | None]:
    return state.status, state.finished_at


def test_a_finished_run_that_is_taken_up_again_runs() -> None:
    story = Story(bare("a"))
    assert ends(story.state) == (RunStatus.RUNNING, None)
    story.tell(RunFinished(status=RunStatus.WAITING, exit_code=4, reason="asks"))
    assert ends(story.state) == (RunStatus.WAITING, START)
    story.tell(started())
    assert ends(story.state) == (RunStatus.RUNNING, None)


def test_a_command_is_open_until_an_event_names_it_as_its_cause() -> None:
    story = Story(bare("a"))
    story.tell(CommandGiven(command="pause", by="ada"))
    ((asked, command),) = story.state.unanswered()
    assert command.command == "pause"
    answer = ContextInjected(node_id=None, text="so be it")
    seq = story.state.seq + 1
    story.state.apply(
        Event(id=EventId("z"), seq=seq, run_id=RUN, time=START, source="t", data=answer, causation_id=asked)
    )
    assert story.state.unanswered() == []
    assert story.state.nodes[A].context == ["so be it"]


def test_the_money_of_an_attempt_is_free_when_it_ends_even_if_nobody_settled() -> None:
    for end in (MOVES[2], MOVES[3]):
        story = Story(bare("a"))
        story.tell(BudgetReserved(node_id=A, attempt=1, amount=MicroUsd(5), source="config"), MOVES[0])
        assert story.state.ledger.reserved == 5
        story.tell(end)
        assert (story.state.ledger.reserved, story.state.ledger.open) == (0, {})


def test_what_an_attempt_cost_is_booked_also_after_its_end() -> None:
    story = Story(bare("a")).do("a")
    usage = Usage(cost=MicroUsd(3))
    story.tell(BudgetSettled(node_id=A, attempt=1, tool=ToolName("t"), action="do", usage=usage))
    assert (story.state.ledger.spent, story.state.ledger.reserved) == (3, 0)


@pytest.mark.parametrize("end", [MOVES[5], MOVES[6], MOVES[7]], ids=lambda p: p.type)
def test_who_has_come_to_an_end_asks_nobody_any_more(end: Payload) -> None:
    story = Story(bare("a")).tell(ApprovalRequested(node_id=A, what="before"), end)
    assert story.state.nodes[A].requested == set()


def test_a_reset_node_is_as_new_but_its_attempts_are_remembered() -> None:
    story = Story(bare("a")).do("a").tell(ApprovalRequested(node_id=A, what="landing")).eject("a")
    story.tell(MOVES[8])
    node = story.state.nodes[A]
    assert (node.status, node.tries, len(node.attempts), node.entries) == (NodeStatus.PENDING, 0, 1, 1)
    assert (node.head, node.success, node.entry_id, node.merge_status) == (None, None, None, None)
    assert (node.requested, node.granted, node.behind, node.failure) == (set(), set(), (), None)
