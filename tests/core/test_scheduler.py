"""What to do next, corner by corner; `test_run_worlds.py` has whole runs."""

from datetime import timedelta
from time import process_time

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import FailureClass, Payload, RunStatus, Usage
from cli_multi_rapid.core.ids import EntryId, NodeId, ToolName
from cli_multi_rapid.core.intents import (
    AskApproval,
    CancelNode,
    Enqueue,
    FailNode,
    FinishRun,
    Intent,
    RefuseForBudget,
    RetryNode,
    StartAttempt,
    StopAttempt,
    WakeAt,
    WarnBudget,
    Withdraw,
)
from cli_multi_rapid.core.merge_events import MergeCancelled, MergeHeld
from cli_multi_rapid.core.money import MicroUsd, Price, parse_usd
from cli_multi_rapid.core.node_events import (
    NodeAttemptFailed,
    NodeCancelled,
    NodeFailed,
    NodeReset,
    NodeRetryScheduled,
    NodeSkipped,
)
from cli_multi_rapid.core.plan import Approval, MergePolicy, MergeWhen, Node, Role
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.run_events import (
    ApprovalGranted,
    ApprovalRequested,
    BudgetSettled,
    BudgetWarned,
    RunCancelling,
    RunPaused,
)
from cli_multi_rapid.core.scheduler import Limits, decide, prepare, unlanded
from cli_multi_rapid.core.state import RunState
from tests.fakes.sample_plans import MAIN, START, commit_id
from tests.fakes.small_runs import Story, bare, same

TOOLS = {ToolName("t"): ToolFacts(price=Price(free=True)), ToolName("paid"): ToolFacts(price=Price())}
LIMITS = Limits(workers=4, tools=TOOLS)
A, B = NodeId("a"), NodeId("b")


# --- starting -----------------------------------------------------------------------------------------------


def next_of(story: Story, limits: Limits = LIMITS, *, late: float = 0.0) -> list[Intent]:
    return decide(story.state, limits, START + timedelta(seconds=late))


def starts(story: Story, limits: Limits = LIMITS, *, late: float = 0.0) -> list[str]:
    return [str(i.node_id) for i in next_of(story, limits, late=late) if isinstance(i, StartAttempt)]


def paid(name: str, *deps: str, cost: str = "1") -> Node:
    return replace(bare(name, *deps), tool=ToolName("paid"), est_cost=parse_usd(cost))


def test_without_a_plan_there_is_nothing_to_do() -> None:
    assert decide(RunState(Story(bare("a")).state.run_id), LIMITS, START) == []


def test_workers_and_tools_set_how_many_run() -> None:
    story = Story(*map(bare, "abcdef"))
    assert starts(story, replace(LIMITS, workers=3)) == ["a", "b", "c"]
    assert starts(story.start("a"), replace(LIMITS, workers=3)) == ["b", "c"]
    one = replace(LIMITS, tools={ToolName("t"): replace(TOOLS[ToolName("t")], limit=2)})
    assert starts(story, one) == ["b"]
    assert starts(story.start("b").start("c").start("d")) == []


def test_priority_comes_first_and_then_the_longer_way() -> None:
    nodes = (
        bare("short"),
        bare("long"),
        bare("behind", "long"),
        replace(bare("urgent"), priority=0),
        replace(bare("slow"), est_duration_s=500.0),
    )
    assert starts(Story(*nodes), replace(LIMITS, workers=9)) == ["urgent", "slow", "long", "short"]


def test_a_retry_waits_for_its_time_and_the_loop_is_told_when_that_is() -> None:
    story = Story(bare("a"), bare("b"))
    for name, seconds in (("a", 30), ("b", 10)):
        story.tell(
            NodeRetryScheduled(
                node_id=NodeId(name), not_before=START + timedelta(seconds=seconds), reason="r"
            )
        )
    assert next_of(story) == [WakeAt(time=START + timedelta(seconds=10))]
    assert starts(story, late=10) == ["b"]
    assert starts(story, late=30) == ["a", "b"]


def test_money_is_set_aside_within_one_decision_too() -> None:
    story = Story(*(paid(name) for name in "abc"))
    story.state.ledger.limit = parse_usd(2)
    assert starts(story) == ["a", "b"]
    assert not any(isinstance(intent, RefuseForBudget) for intent in next_of(story))


def test_two_nodes_with_the_same_claims_do_not_start_together_after_one_was_reset() -> None:
    story = Story(same("a"), same("b"), same("c")).do("a").do("b").eject("a")
    story.tell(NodeReset(node_id=A, reason="again"))
    assert story.ready == ["a", "c"]
    tools = {ToolName("aider"): ToolFacts(price=Price())}
    assert starts(story, replace(LIMITS, tools=tools)) == ["a"]
    assert starts(story.start("c"), replace(LIMITS, tools=tools)) == []


def test_what_lands_nothing_may_run_beside_anything() -> None:
    look = replace(same("look"), role=Role.IPT, tool=ToolName("t"))
    assert starts(Story(same("a"), look).start("a")) == ["look"]


def test_an_unknown_tool_is_not_started_where_money_is_limited() -> None:
    story = Story(replace(bare("a"), tool=ToolName("dream")))
    assert starts(story) == ["a"]
    story.state.ledger.limit = parse_usd(5)
    (refusal,) = next_of(story)
    assert isinstance(refusal, RefuseForBudget)
    assert "price is unknown" in refusal.reason


def test_a_node_that_asks_first_is_asked_about_and_starts_when_granted() -> None:
    story = Story(replace(bare("a"), approval=Approval.BEFORE))
    assert next_of(story) == [AskApproval(node_id=A, what="before")]
    story.tell(ApprovalRequested(node_id=A, what="before"))
    assert [i.exit_code for i in next_of(story) if isinstance(i, FinishRun)] == [4]
    assert starts(story.tell(ApprovalGranted(node_id=A, what="before", by="ada"))) == ["a"]


def test_a_paused_run_starts_nothing_and_does_not_end() -> None:
    story = Story(bare("a"), bare("b")).do("a").tell(RunPaused())
    assert next_of(story) == [Enqueue(node_id=A)]
    assert next_of(story.enqueue("a")) == []
    done = Story(bare("a")).do("a").land("a").tell(RunPaused())
    assert [i.exit_code for i in next_of(done) if isinstance(i, FinishRun)] == [0]


@pytest.mark.parametrize(
    ("spent", "notices"),
    [
        ("0.80", []),
        ("0.800001", [WarnBudget(percent=80, halt=False)]),
        ("0.95", [WarnBudget(percent=95, halt=False)]),
        ("0.955", [WarnBudget(percent=95, halt=False), WarnBudget(percent=95, halt=True)]),
    ],
)
def test_crossing_a_line_is_said_exactly_and_once(spent: str, notices: list[Intent]) -> None:
    story = Story(paid("a", cost="0.01"))
    story.state.ledger.limit = parse_usd(1)
    usage = Usage(cost=parse_usd(spent))
    story.tell(BudgetSettled(node_id=A, attempt=1, tool=ToolName("t"), action="x", usage=usage))
    assert [i for i in next_of(story) if isinstance(i, WarnBudget)] == notices
    story.tell(BudgetWarned(spent=parse_usd(spent), limit=parse_usd(1), percent=80))
    assert [i for i in next_of(story) if isinstance(i, WarnBudget)] == notices[1:]
    assert bool(starts(story)) is (len(notices) < 2)


# --- failing ------------------------------------------------------------------------------------------------


def attempt_fails(name: str, failure: FailureClass = FailureClass.TOOL_FAILED) -> NodeAttemptFailed:
    return NodeAttemptFailed(node_id=NodeId(name), attempt=1, failure=failure, reason="no")


def test_after_a_failed_attempt_the_node_is_tried_again_or_given_up() -> None:
    story = Story(bare("a"), replace(bare("b"), retries=0)).start("a").start("b")
    story.tell(attempt_fails("a"), attempt_fails("b"))
    retry, end = next_of(story)
    assert isinstance(retry, RetryNode)
    assert end == FailNode(node_id=B, failure=FailureClass.TOOL_FAILED, reason="no")


def test_with_fail_fast_the_rest_is_called_off_and_nobody_is_ended_twice() -> None:
    fast = replace(LIMITS, fail_fast=True)
    story = (
        Story(*(replace(bare(name), retries=0) for name in "abc"), bare("d", "a"))
        .start("a")
        .start("b")
        .lose("a")
    )
    assert next_of(story, fast) == [
        CancelNode(node_id=NodeId("c"), reason="another node failed (--fail-fast)")
    ]
    story.tell(attempt_fails("b"))
    ends = [i.node_id for i in next_of(story, fast) if isinstance(i, FailNode | CancelNode)]
    assert sorted(ends) == ["b", "c"]


# --- landing ------------------------------------------------------------------------------------------------


def story_of(*nodes: Node, when: MergeWhen = MergeWhen.EAGER, auto: bool = True) -> Story:
    story = Story(*nodes)
    assert story.state.plan is not None
    policy = MergePolicy(target=MAIN, when=when, auto_merge=auto)
    story.state.plan = replace(story.state.plan, merge_policy=policy)
    return story


def queued_now(story: Story) -> list[str]:
    return [str(intent.node_id) for intent in next_of(story) if isinstance(intent, Enqueue)]


def test_eager_work_is_queued_at_once_and_other_work_when_all_is_done() -> None:
    assert queued_now(story_of(bare("a"), bare("b")).do("a")) == ["a"]
    story = story_of(bare("a"), bare("b"), bare("c"), bare("d", "c"), when=MergeWhen.AFTER_ALL).do("a")
    assert queued_now(story.start("b").start("c").lose("c")) == []
    assert queued_now(story.tell(attempt_fails("b"))) == []
    assert queued_now(story.tell(NodeFailed(node_id=B, failure=FailureClass.TOOL_FAILED, reason="no"))) == [
        "a"
    ]


def test_what_verifies_in_the_middle_does_not_hold_up_what_it_waits_for() -> None:
    nodes = (bare("a"), replace(bare("v", "a"), role=Role.IPT), bare("z", "v"))
    story = story_of(*nodes, when=MergeWhen.AFTER_ALL).do("a")
    assert queued_now(story) == ["a"]
    assert starts(story.land("a")) == ["v"]
    assert queued_now(story.do("v", idle=True).do("z")) == ["z"]


def ends(story: Story, limits: Limits = LIMITS) -> list[tuple[RunStatus, int]]:
    return [(i.status, i.exit_code) for i in next_of(story, limits) if isinstance(i, FinishRun)]


def test_all_for_one_waits_for_a_person_and_says_so() -> None:
    asks = replace(bare("b"), approval=Approval.BEFORE)
    story = story_of(bare("a"), asks, when=MergeWhen.AFTER_ALL).do("a")
    story.tell(ApprovalRequested(node_id=B, what="before"))
    assert queued_now(story) == []
    assert ends(story) == [(RunStatus.WAITING, 4)]


@pytest.mark.parametrize("auto", [True, False])
def test_a_landing_that_needs_consent_is_asked_about_once_and_queued(auto: bool) -> None:
    node = replace(bare("a"), approval=Approval.LANDING if auto else Approval.NONE)
    story = story_of(node, auto=auto).do("a")
    assert next_of(story) == [AskApproval(node_id=A, what="landing"), Enqueue(node_id=A)]
    story.tell(ApprovalRequested(node_id=A, what="landing"))
    assert next_of(story) == [Enqueue(node_id=A)]
    assert ends(story.enqueue("a")) == [(RunStatus.WAITING, 4)]
    assert ends(story.tell(ApprovalGranted(node_id=A, what="landing", by="ada"))) == []


def test_work_behind_a_landing_that_waits_for_a_person_does_not_keep_the_run_awake() -> None:
    story = Story(replace(bare("a"), approval=Approval.LANDING), bare("b", "a"), bare("c", "b"), bare("d"))
    story.do("a").tell(ApprovalRequested(node_id=A, what="landing")).enqueue("a")
    story.do("b").enqueue("b", behind=("a",)).do("c").enqueue("c", behind=("b",)).do("d").enqueue("d")
    assert ends(story) == []
    assert ends(story.land_entry("d")) == [(RunStatus.WAITING, 4)]
    assert ends(story.tell(ApprovalGranted(node_id=A, what="landing", by="ada"))) == []


def test_a_held_landing_ends_the_run_with_what_is_to_be_typed() -> None:
    story = Story(bare("a"), bare("b", "a")).do("a").enqueue("a").do("b").enqueue("b", behind=("a",))
    story.tell(MergeHeld(entries=(EntryId("a"),), commit=commit_id(), reason="dirty", command="git merge"))
    assert ends(story) == [(RunStatus.FAILED, 1)]
    assert [node.node.id for node in unlanded(story.state)] == ["a", "b"]


# --- cancelling ---------------------------------------------------------------------------------------------


def test_a_cancelled_run_stops_withdraws_calls_off_and_then_ends() -> None:
    story = Story(bare("a"), bare("b"), bare("c"), bare("d", "c")).do("a").enqueue("a").start("b")
    story.tell(RunCancelling(reason="enough"))
    assert next_of(story) == [StopAttempt(node_id=B, reason="enough")]
    story.tell(attempt_fails("b", FailureClass.INTERRUPTED))
    assert next_of(story) == [
        Withdraw(node_id=A, reason="enough"),
        *(CancelNode(node_id=NodeId(name), reason="enough") for name in ("b", "c", "d")),
    ]
    story.tell(*(NodeCancelled(node_id=NodeId(name), reason="enough") for name in ("b", "c")))
    assert next_of(story) == [Withdraw(node_id=A, reason="enough")]
    story.tell(MergeCancelled(entry_id=EntryId("a"), reason="enough"))
    assert next_of(story) == [FinishRun(status=RunStatus.CANCELLED, exit_code=1, reason="enough")]


# --- how a run ends -----------------------------------------------------------------------------------------

LOST: dict[str, Payload] = {
    "tool": NodeFailed(node_id=A, failure=FailureClass.TOOL_FAILED, reason="no"),
    "missing": NodeFailed(node_id=A, failure=FailureClass.TOOL_MISSING, reason="no"),
    "disk": NodeFailed(node_id=A, failure=FailureClass.ENVIRONMENT, reason="no"),
    "money": NodeSkipped(node_id=A, reason="no", by_budget=True),
    "choice": NodeSkipped(node_id=A, reason="no"),
    "person": NodeCancelled(node_id=A, reason="no"),
}


@pytest.mark.parametrize(
    ("what", "beside", "expected"),
    [
        ("tool", False, (RunStatus.FAILED, 1)),
        ("tool", True, (RunStatus.PARTIAL, 1)),
        ("missing", False, (RunStatus.FAILED, 5)),
        ("disk", True, (RunStatus.PARTIAL, 5)),
        ("money", False, (RunStatus.BUDGET_STOPPED, 3)),
        ("money", True, (RunStatus.BUDGET_STOPPED, 3)),
        ("choice", False, (RunStatus.FAILED, 1)),
        ("person", True, (RunStatus.PARTIAL, 1)),
    ],
)
def test_the_exit_code_follows_from_how_the_nodes_ended(
    what: str, beside: bool, expected: tuple[RunStatus, int]
) -> None:
    story = Story(bare("a"), bare("behind", "a"), *([bare("z")] if beside else [])).tell(LOST[what])
    if beside:
        story.do("z").land("z")
    assert ends(story) == [expected]


def test_one_failure_that_is_not_the_machines_makes_it_no_fault_of_the_machine() -> None:
    story = Story(bare("a"), bare("b")).tell(LOST["missing"]).start("b").lose("b")
    assert ends(story) == [(RunStatus.FAILED, 1)]


def test_a_halted_queue_ends_the_run_and_its_reason_is_the_runs() -> None:
    halted = replace(LIMITS, queue_halted="main itself fails tests")
    story = Story(bare("a")).do("a").enqueue("a")
    assert ends(story) == []
    assert next_of(story, halted) == [
        FinishRun(status=RunStatus.FAILED, exit_code=1, reason="0 of 1 nodes done; main itself fails tests")
    ]


def test_only_the_first_of_many_causes_are_named() -> None:
    story = Story(*(bare(name) for name in "abcde"), bare("f", "a"))
    for name in "abcde":
        story.start(name).lose(name)
    (end,) = next_of(story)
    assert isinstance(end, FinishRun)
    assert end.reason == "0 of 6 nodes done; not done: a, b, c and 2 more"


# --- many nodes ---------------------------------------------------------------------------------------------


def test_thousands_of_nodes_are_ordered_and_worked_off_quickly() -> None:
    began = process_time()
    nodes = [replace(bare(f"n{i}", *([f"n{i - 7}"] if i > 7 else [])), priority=i % 3) for i in range(3000)]
    story, limits = Story(*nodes), replace(LIMITS, workers=8)
    done = 0
    while names := starts(story, limits):
        for name in names:
            story.do(name, idle=True)
            done += 1
    assert done == 3000
    assert ends(story, limits) == [(RunStatus.SUCCESS, 0)]
    assert process_time() - began < 15


def test_the_order_of_a_plan_does_not_depend_on_anything_but_the_plan() -> None:
    plan = Story(same("x"), same("y", "x"), same("z"), bare("free")).state.plan
    assert plan is not None
    order, implied = prepare(plan)
    assert prepare(plan) == (order, implied)
    assert [(edge.before, edge.after) for edge in implied] in ([("y", "z")], [("z", "x")])
    assert all(edge.reason for edge in implied)
    assert sorted(order) == ["free", "x", "y", "z"]


def test_a_fallback_is_chosen_when_the_plans_tool_is_missing() -> None:
    tools = {
        ToolName("t"): ToolFacts(price=Price(), fallback=(ToolName("u"),), agent=True),
        ToolName("u"): ToolFacts(price=Price(), agent=True),
    }
    limits = replace(LIMITS, tools=tools)
    story = Story(bare("a")).start("a").tell(attempt_fails("a", FailureClass.TOOL_MISSING))
    (retry,) = next_of(story, limits)
    assert isinstance(retry, RetryNode)
    assert retry.tool == "u"
    story.tell(NodeRetryScheduled(node_id=A, not_before=START, reason="r", tool=retry.tool))
    (start,) = next_of(story, limits)
    assert isinstance(start, StartAttempt)
    assert (start.tool, start.attempt, start.reserve) == ("u", 2, MicroUsd(2_000_000))
