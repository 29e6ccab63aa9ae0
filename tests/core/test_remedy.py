"""What is added to a run whose landed tree does not pass; `test_amended_worlds.py` has whole runs."""

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.amendment import amend
from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.facts import RunStatus, Verdict
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.intents import AmendPlan, StartAttempt
from cli_multi_rapid.core.money import MicroUsd, parse_usd
from cli_multi_rapid.core.node_events import NodeReset
from cli_multi_rapid.core.node_state import NodeStatus
from cli_multi_rapid.core.plan import Approval, FixMode, FixPolicy, Form, Node, Role
from cli_multi_rapid.core.run_events import BudgetChanged
from cli_multi_rapid.core.scheduler import Limits, decide
from cli_multi_rapid.core.state import IllegalTransition
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.core.verification_events import (
    Amending,
    NodeVerified,
    PlanAmended,
)
from tests.fakes.failed_looks import (
    AUTO,
    CLAUDE,
    HEALTHY,
    HOLE,
    LEAK,
    LINT,
    TASTE,
    TESTS,
    TOOLS,
    T,
    amended,
    ended,
    landed,
    looks,
    planned,
    rejected,
    started,
    verdict,
)
from tests.fakes.pictures import picture
from tests.fakes.sample_plans import START, commit_id, node, tree_id
from tests.fakes.small_runs import Story, bare

# --- at most two --------------------------------------------------------------------------------------------


def test_by_default_nothing_is_added_and_no_money_is_spent() -> None:
    assert ended(rejected(HOLE), Limits(tools=TOOLS)).exit_code == 1


def test_a_finding_gets_a_node_of_its_own_and_the_verification_comes_after_it() -> None:
    story = rejected(HOLE, TASTE)
    added = amended(story)
    (fix,) = added.nodes
    assert (added.kind, added.number, added.again) == (Amending.FIX, 1, ("look",))
    assert (fix.id, fix.tool, fix.deps, fix.role) == ("fix-1-1", T, ("n",), Role.WT)
    assert [claim.path for claim in fix.path_claims] == ["src/n/**"]
    assert "src/n/a.py:3: a hole" in fix.goal
    assert "a long name" not in fix.goal
    assert "src/n/a.py:3: a hole" in added.reason
    assert story.state.nodes[NodeId("look")].status is NodeStatus.PENDING
    assert started(story) == ["fix-1-1"]
    story.do("fix-1-1")
    assert started(story) == []
    story.land("fix-1-1")
    assert started(story) == ["look"]
    verdict(story.start("look"))
    assert ended(story).status is RunStatus.SUCCESS


def test_failed_checks_are_one_nodes_work_because_nothing_lands_before_all_pass() -> None:
    story = rejected(LINT, TESTS)
    (fix,) = amended(story).nodes
    assert (fix.id, [claim.path for claim in fix.path_claims]) == ("fix-1-checks", ["src/n/**"])
    assert "E501" in fix.goal
    assert "a.py:1" in fix.goal
    assert "1 failed" in fix.goal


def test_what_a_review_found_is_put_right_after_the_failed_checks() -> None:
    checks, hole = amended(rejected(HOLE, LINT)).nodes
    assert (checks.id, hole.id, hole.deps) == ("fix-1-checks", "fix-1-1", ("n", "fix-1-checks"))


def test_nodes_have_ids_of_their_own_whatever_the_plan_calls_its_nodes() -> None:
    story = verdict(landed(bare("fix-1-1"), bare("x")).start("look"), HOLE)
    for name in ("fix-1-1", "x"):
        story.do(name, idle=True)
    (fix,) = amended(story).nodes
    assert fix.id == "fix-1-1-2"


def test_the_tool_of_the_policy_does_the_fixes() -> None:
    policy = FixPolicy(mode=FixMode.AUTO, tool=CLAUDE)
    (fix,) = amended(rejected(HOLE), replace(AUTO, fix=policy)).nodes
    assert fix.tool == CLAUDE


def test_where_a_person_is_to_agree_each_node_waits_for_that() -> None:
    limits = replace(AUTO, fix=FixPolicy(mode=FixMode.ASK))
    story = rejected(HOLE)
    (fix,) = amended(story, limits).nodes
    assert fix.approval is Approval.BEFORE
    assert started(story, limits) == []


# --- more of them -------------------------------------------------------------------------------------------


def test_more_than_two_failures_are_planned_by_a_healthy_planner_and_then_done() -> None:
    story = rejected(HOLE, LEAK, LINT)
    (plan,) = amended(story).nodes
    assert (plan.id, plan.tool, plan.form, plan.role) == ("remedy-1", CLAUDE, Form.REMEDY, Role.IPT)
    assert "one node must put all of them right" in plan.goal
    assert story.state.nodes[NodeId("look")].status is NodeStatus.FAILED
    assert started(story) == ["remedy-1"]
    added = amended(planned(story))
    assert (added.kind, added.number, added.again) == (Amending.REMEDY, 1, ("look",))
    assert [(each.id, each.deps) for each in added.nodes] == [
        ("fix-1-a", ("n",)),
        ("fix-1-b", ("fix-1-a",)),
    ]
    assert started(story) == ["fix-1-a"]


def test_a_plan_without_failed_checks_has_no_first_node() -> None:
    (plan,) = amended(rejected(HOLE, LEAK, replace(LEAK, summary="another"))).nodes
    assert "one node must" not in plan.goal


def test_without_a_healthy_planner_a_person_is_asked() -> None:
    story = rejected(HOLE, LEAK, LINT)
    story.tell(replace(HEALTHY, status=HealthStatus.UNHEALTHY))
    end = ended(story)
    assert (end.status, end.exit_code) == (RunStatus.WAITING, 4)
    assert "no planner is healthy" in end.reason


def test_a_plan_for_failures_that_are_gone_by_then_is_not_done() -> None:
    story = rejected(HOLE, LEAK, LINT)
    amended(story)
    planned(story)
    story.tell(NodeReset(node_id=NodeId("look"), reason="by hand"))
    verdict(story.start("look"))
    assert ended(story).status is RunStatus.SUCCESS


# --- how it ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_so_many_rounds_and_no_more(rounds: int) -> None:
    limits = replace(AUTO, fix=FixPolicy(mode=FixMode.AUTO, rounds=rounds))
    story = rejected(HOLE)
    for number in range(1, rounds + 1):
        (fix,) = amended(story, limits).nodes
        assert fix.id == f"fix-{number}-1"
        story.do(fix.id).land(fix.id)
        verdict(story.start("look"), HOLE)
    assert ended(story, limits).exit_code == 1


def test_a_fix_that_does_not_fit_the_budget_is_not_added_until_there_is_more() -> None:
    limits = replace(AUTO, fix=FixPolicy(mode=FixMode.AUTO, tool=CLAUDE))
    story = rejected(HOLE).tell(BudgetChanged(limit=parse_usd("0.9")))
    end = ended(story, limits)
    assert (end.status, end.exit_code) == (RunStatus.BUDGET_STOPPED, 3)
    assert "a fix does not fit the budget: fix-1-1" in end.reason
    story.tell(BudgetChanged(limit=parse_usd(2)))
    assert amended(story, limits).nodes[0].id == "fix-1-1"


def test_all_fixes_and_the_look_at_them_must_fit_the_budget_together() -> None:
    limits = replace(AUTO, fix=FixPolicy(mode=FixMode.AUTO, tool=CLAUDE))
    review = replace(looks("look", "n"), tool=CLAUDE, form=Form.REVIEW)
    story = Story(node("n", tool=T, est_cost=None), review).tell(HEALTHY).do("n").land("n")
    verdict(story.start("look"), HOLE, LEAK).tell(BudgetChanged(limit=parse_usd("2.9")))
    assert ended(story, limits).exit_code == 3
    story.tell(BudgetChanged(limit=parse_usd(3)))
    assert len(amended(story, limits).nodes) == 2


def test_a_check_that_could_not_be_carried_out_is_no_reason_for_a_fix() -> None:
    story = landed().start("look")
    story.tell(
        NodeVerified(
            node_id=NodeId("look"), attempt=1, commit=commit_id(), tree=tree_id(), verdict=Verdict.ERROR
        )
    ).lose("look")
    assert ended(story).exit_code == 1


def test_who_stops_at_the_first_failure_gets_no_fixes() -> None:
    assert ended(rejected(HOLE), replace(AUTO, fail_fast=True)).exit_code == 1


# --- what verifies ------------------------------------------------------------------------------------------


def test_a_verification_that_passed_is_done_again_on_what_the_fix_has_changed() -> None:
    story = landed(looks("review", "look"))
    verdict(verdict(story.start("look")).start("review"), HOLE, name="review")
    added = amended(story)
    assert added.again == ("look", "review")
    assert added.nodes[0].deps == ("n",)
    story.do("fix-1-1").land("fix-1-1")
    assert started(story) == ["look"]
    verdict(story.start("look"))
    assert started(story) == ["review"]


def test_a_verification_that_others_were_built_on_is_not_done_again() -> None:
    story = landed(bare("more", "look"), looks("last", "more"))
    verdict(story.start("look")).do("more").land("more")
    verdict(story.start("last"), HOLE, name="last")
    added = amended(story)
    assert (added.again, added.nodes[0].deps) == (("last",), ("more",))


def test_both_of_two_failed_verifications_are_answered_at_once() -> None:
    story = landed(looks("review", "n"))
    verdict(story.start("look").start("review"), LINT)
    assert decide(story.state, AUTO, START) == []
    verdict(story, HOLE, name="review")
    added = amended(story)
    assert [fix.id for fix in added.nodes] == ["fix-1-checks", "fix-1-1"]
    assert [cause.node_id for cause in added.causes] == ["look", "review"]


# --- amendments as such -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("added", "again"),
    [
        ((bare("n"),), ()),
        ((bare("x"), bare("x")), ()),
        ((bare("x", "nobody"),), ()),
        ((bare("x", "look"),), ("look",)),
        ((bare("x", "after"),), ("look",)),
        ((bare("x", "y"), bare("y", "x")), ()),
        ((bare("x"),), ("n",)),
        ((bare("x"),), ("nobody",)),
    ],
)
def test_what_does_not_fit_the_plan_is_refused_and_changes_nothing(
    added: tuple[Node, ...], again: tuple[str, ...]
) -> None:
    story = verdict(landed(bare("after", "look")).start("look"), HOLE)
    plan = story.state.plan
    assert plan is not None
    names = tuple(NodeId(name) for name in again)
    with pytest.raises(ValueError, match=r"id of another|no such node|verifies nothing|wait for"):
        amend(plan, added, names)
    good = replace(
        _good(story), nodes=added, again=names, order=(*story.state.order, *(each.id for each in added))
    )
    before = picture(story.state)
    with pytest.raises(IllegalTransition):
        story.tell(good)
    assert picture(story.state) == before


def _good(story: Story) -> PlanAmended:
    (intent,) = decide(story.state, AUTO, START)
    assert isinstance(intent, AmendPlan)
    return intent.amended


def test_an_order_that_leaves_a_node_out_is_refused() -> None:
    story = rejected(HOLE)
    with pytest.raises(IllegalTransition):
        story.tell(replace(_good(story), order=story.state.order))


def test_the_amounts_of_a_fix_are_reserved_before_it_starts() -> None:
    limits = replace(
        AUTO, fix=FixPolicy(mode=FixMode.AUTO, tool=CLAUDE), budget=BudgetRules(node_limit=parse_usd(1))
    )
    story = rejected(HOLE).tell(BudgetChanged(limit=parse_usd(2)))
    amended(story, limits)
    (start,) = (i for i in decide(story.state, limits, START) if isinstance(i, StartAttempt))
    assert start.reserve == MicroUsd(1_000_000)
