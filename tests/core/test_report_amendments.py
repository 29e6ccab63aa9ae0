"""What was added to a run and why, and what a person can do about a verification that failed."""

from pathlib import Path

from msgspec.structs import replace

from cli_multi_rapid.core.facts import FailureClass, FindingRef, RunStatus, Verdict
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeFailed
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Form, MergePolicy, Plan, Role
from cli_multi_rapid.core.run_events import UNPRICED, RunFinished
from cli_multi_rapid.core.verification_events import (
    Amending,
    Cause,
    Finding,
    NodeVerified,
    PlanAmended,
    Severity,
)
from cli_multi_rapid.core.waiver import waive
from cli_multi_rapid.reports.chronicle import read_chronicle
from cli_multi_rapid.reports.events_text import event_lines
from cli_multi_rapid.reports.graph import graph_of_run, graph_text
from cli_multi_rapid.reports.html import html_report
from cli_multi_rapid.reports.markdown import markdown_report
from cli_multi_rapid.reports.next_step import Advice
from cli_multi_rapid.reports.node_report import reason_of
from cli_multi_rapid.reports.replay import diff_runs, diff_text
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.reports.status import status_document, status_text
from cli_multi_rapid.reports.verification import verification_report
from cli_multi_rapid.schema.published import schema_violations
from tests.core.schema_reading import good_plan
from tests.fakes.histories import History
from tests.fakes.sample_plans import MAIN, commit_id, node, tree_id

REPOSITORY = Path(__file__).parents[2]
LOOK = NodeId("look")
HOLE = Finding(summary="a hole", severity=Severity.MAJOR, file="src/n1/a.py", line=3, node=NodeId("n1"))


def rejected(*found: Finding) -> History:
    """The work landed and its review failed."""
    look = node("look", "n1", tool=ToolName("claude"), role=Role.IPT, form=Form.REVIEW, path_claims=())
    plan = Plan(
        plan_id="p",
        name="p",
        nodes=(node("n1"), look),
        merge_policy=MergePolicy(target=MAIN),
        branch_base=MAIN,
    )
    history = History(plan).begin().start("n1").succeed("n1").merge("n1").start("look")
    history.add(
        NodeVerified(
            node_id=LOOK,
            attempt=1,
            commit=commit_id("landed"),
            tree=tree_id("landed"),
            verdict=Verdict.FAILED,
            summary="Not yet.",
            findings=found or (HOLE,),
        )
    )
    failure, reason = FailureClass.REJECTED, "the review found 1 thing to put right"
    history.add(NodeAttemptFailed(node_id=LOOK, attempt=1, failure=failure, reason=reason))
    history.add(NodeFailed(node_id=LOOK, failure=failure, reason=reason))
    return history


def amended() -> History:
    history = rejected()
    history.add(
        PlanAmended(
            kind=Amending.FIX,
            number=1,
            nodes=(node("fix-1-1", "n1"),),
            again=(LOOK,),
            causes=(Cause(node_id=LOOK, attempt=1),),
            reason="look: src/n1/a.py:3: a hole",
            order=(NodeId("n1"), NodeId("fix-1-1"), LOOK),
        )
    )
    assert history.state.plan is not None
    history.plan = history.state.plan
    return history


def next_of(history: History) -> tuple[str, str | None]:
    advice = Advice(history.state, read_chronicle(history.events))
    step = advice.of_node(history.state.nodes[LOOK])
    assert step is not None
    return step["text"], step["command"]


def test_who_let_nothing_be_fixed_is_told_how_to_have_it_done() -> None:
    text, command = next_of(rejected().finish(RunStatus.PARTIAL, 1))
    assert command == "cli-orchestrator resume r1003-oauth2 --fix auto"
    assert "cli-orchestrator retry r1003-oauth2 look" in text


def test_a_fix_without_money_names_the_budget_to_give() -> None:
    _, command = next_of(unpaid("run"))
    assert command == "cli-orchestrator resume r1003-oauth2 --budget 13.48"


def unpaid(limit_name: str) -> History:
    history = rejected()
    end = RunFinished(status=RunStatus.BUDGET_STOPPED, exit_code=3, reason="no room for a fix")
    history.add(replace(end, limit_name=limit_name, needed=parse_usd(12)))
    return history


def test_a_fix_that_a_higher_budget_does_not_help_has_another_way_out() -> None:
    text, command = next_of(unpaid(UNPRICED))
    assert command == "cli-orchestrator resume r1003-oauth2 --allow-unpriced"
    assert "nobody can tell what a fix costs" in text
    text, command = next_of(unpaid("day"))
    assert command == "cli-orchestrator resume r1003-oauth2"
    assert "tomorrow" in text


def test_who_stops_at_the_first_failure_is_not_sent_to_what_adds_nothing() -> None:
    history = rejected()
    assert history.state.started is not None
    history.add(replace(history.state.started, options={"fail_fast": True}))
    text, command = next_of(history.finish(RunStatus.PARTIAL, 1))
    assert command == "cli-orchestrator plan --request 'Put right: src/n1/a.py:3: a hole'"
    assert "--fail-fast adds nothing" in text


def test_where_nobody_can_plan_a_person_is_given_the_request_to_plan() -> None:
    text, command = next_of(rejected().finish(RunStatus.WAITING, 4))
    assert command == "cli-orchestrator plan --request 'Put right: src/n1/a.py:3: a hole'"
    assert "no agent here can or may do what is needed" in text
    assert "cli-orchestrator retry r1003-oauth2 look" in text


def test_where_the_plan_of_the_fixes_failed_nobody_is_told_of_fixes() -> None:
    history = rejected()
    plan = node("remedy-1", "n1", role=Role.IPT, form=Form.REMEDY, path_claims=())
    past = PlanAmended(
        kind=Amending.PLANNING,
        number=1,
        nodes=(plan,),
        causes=(Cause(node_id=LOOK, attempt=1),),
        reason="look: a hole",
        order=(NodeId("n1"), LOOK, plan.id),
    )
    history.add(past)
    text, command = next_of(history.finish(RunStatus.PARTIAL, 1))
    assert "fixes" not in text
    assert command == "cli-orchestrator retry r1003-oauth2 look"


def test_after_the_last_round_a_person_puts_it_right() -> None:
    history = amended().start("fix-1-1").succeed("fix-1-1").merge("fix-1-1").start("look")
    events = [event.data for event in rejected().events if event.type in ("node.verified", "node.failed")]
    verified, failed = events
    assert isinstance(verified, NodeVerified)
    history.add(replace(verified, attempt=2))
    history.add(NodeAttemptFailed(node_id=LOOK, attempt=2, failure=FailureClass.REJECTED, reason="again"))
    history.add(failed)
    text, command = next_of(history.finish(RunStatus.PARTIAL, 1))
    assert "also after 1 round of fixes" in text
    assert command == "cli-orchestrator retry r1003-oauth2 look"


def test_every_view_shows_what_was_added_and_why() -> None:
    history = amended()
    state, events, now = history.state, history.events, history.now
    why = "because look: src/n1/a.py:3: a hole"
    assert f"amended: round 1 (fixes): fix-1-1, then look again, {why}" in status_text(state, events, now=now)
    document = status_document(state, events, now=now)
    assert schema_violations(document, "status") == []
    assert [past["nodes"] for past in document["amendments"]] == [["fix-1-1"]]
    lines = event_lines(events)
    assert f"plan.amended           round 1 (fixes): fix-1-1, then look again, {why}" in lines
    assert "look try 1 failed on tree" in lines
    assert "major src/n1/a.py:3: a hole" in lines
    drawn = graph_text(graph_of_run(state))
    assert "pending added" in next(line for line in drawn.splitlines() if "fix-1-1" in line)

    report = run_report(state, events, now=now)
    assert schema_violations(report, "report") == []
    added = {each["node_id"]: each["added"] for each in report["nodes"]}
    assert added == {"n1": None, "look": None, "fix-1-1": "round 1, fixes: look: src/n1/a.py:3: a hole"}
    assert "## Added nodes" in markdown_report(report)

    verification = verification_report(state, events, now=now, verification_id="v")
    assert schema_violations(verification, "verification") == []
    (verdict,) = verification["verdicts"]
    assert (verdict["node_id"], verdict["verdict"], verdict["findings"][0]["line"]) == ("look", "failed", 3)
    assert verification["amendments"] == report["amendments"]


def overruled() -> History:
    history = rejected()
    refs = [FindingRef(node_id=LOOK, attempt=1, number=1)]
    for fact in waive(history.state, refs, "ada", "the proxy does it"):
        history.add(fact)
    return history


def test_who_does_not_share_a_finding_is_told_how_to_overrule_it() -> None:
    history = rejected().finish(RunStatus.PARTIAL, 1)
    steps = Advice(history.state, read_chronicle(history.events)).of_run()
    assert [step["command"] for step in steps] == [
        "cli-orchestrator resume r1003-oauth2 --fix auto",
        "cli-orchestrator waive r1003-oauth2 look.1 --reason WHY",
    ]
    shown = status_text(history.state, history.events, now=history.now)
    assert "found: look.1 major src/n1/a.py:3: a hole" in shown


def test_every_view_shows_who_has_overruled_what_and_why() -> None:
    history = overruled().finish(RunStatus.SUCCESS, 0)
    state, events, now = history.state, history.events, history.now
    shown = status_text(state, events, now=now)
    assert "waived: look.1 by ada: the proxy does it (src/n1/a.py:3: a hole)" in shown
    assert "found:" not in shown
    assert "look.1 try 1 (src/n1/a.py:3: a hole) by ada: the proxy does it" in event_lines(events)
    report = run_report(state, events, now=now)
    assert schema_violations(report, "report") == []
    (finding,) = next(each for each in report["nodes"] if each["node_id"] == "look")["findings"]
    assert finding["id"] == "look.1"
    assert finding["waived"] is not None
    assert (finding["waived"]["by"], finding["waived"]["reason"]) == ("ada", "the proxy does it")
    for page in (markdown_report(report), html_report(report)):
        assert "Overruled findings" in page
        assert "the proxy does it" in page
    found = verification_report(state, events, now=now, verification_id="v")
    assert found["overall_status"] == "PASSED"
    assert "look reviewed it: what it found was waived." in found["summary"]
    assert found["verdicts"][0]["findings"][0]["waived"] is not None


def test_a_verification_of_which_something_is_left_says_what_is_not() -> None:
    history = rejected(HOLE, HOLE)
    for fact in waive(history.state, [FindingRef(node_id=LOOK, attempt=1, number=2)], "ada", "no"):
        history.add(fact)
    assert reason_of(history.state.nodes[LOOK]).endswith("to put right (waived: look.2)")


def test_two_moments_of_a_diff_runser_by_what_was_added_between() -> None:
    text = diff_text(diff_runs(rejected().state, amended().state))
    assert "run: amended - -> round 1 (fixes): fix-1-1, then look again" in text
    assert "fix-1-1: status - -> pending" in text
    assert "look: status failed -> pending" in text


def test_the_example_of_the_page_is_a_plan_without_problems() -> None:
    page = (REPOSITORY / "docs" / "verification.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    plan = good_plan(example)
    assert [each.form for each in plan.nodes] == [None, None, Form.REVIEW]
    assert plan.fix == FixPolicy(mode=FixMode.ASK)


def test_what_a_review_found_is_recommended_to_be_put_right() -> None:
    history = rejected().finish(RunStatus.PARTIAL, 1)
    found = verification_report(history.state, history.events, now=history.now, verification_id="v")
    assert found["overall_status"] == "FAILED"
    assert "Put right src/n1/a.py:3: a hole" in found["recommendations"]
