"""The run report: every key that scripts rely on, computed from the events alone."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.plan import Approval
from cli_multi_rapid.core.run_events import ApprovalGranted, ApprovalRequested, RunStarted
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.document import NodeReport, RunReport
from cli_multi_rapid.reports.quality import is_document, is_test_file
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.histories import History
from tests.fakes.run_stories import STORIES, begun
from tests.fakes.sample_plans import RUN, node, oauth_plan

OLD_KEYS: Mapping[str, Sequence[str]] = {
    "": (
        "coordination_id", "workflow_name", "status", "created_at", "completed_at", "total_duration_min",
        "nodes", "cost_summary", "parallel_efficiency", "merge_summary", "quality_metrics",
        "artifacts_generated",
    ),
    "nodes": (
        "node_id", "label", "tool", "status", "start_time", "end_time", "duration_min", "tokens_used",
        "cost_usd", "files_modified",
    ),
    "cost_summary": (
        "budget_usd", "total_used_usd", "budget_remaining_usd", "utilization_pct", "breakdown",
    ),
    "parallel_efficiency": (
        "sequential_time_estimate_min", "actual_parallel_time_min", "efficiency_pct", "note",
    ),
    "merge_summary": (
        "branches_merged", "merge_conflicts", "pre_merge_checks_run", "pre_merge_checks_passed",
    ),
    "quality_metrics": (
        "files_changed", "lines_added", "lines_removed", "tests_added", "test_coverage_pct",
        "security_issues",
    ),
}  # fmt: skip
"""The keys of the reports that users have from before."""


def reported(history: History, *artifacts: str) -> RunReport:
    return run_report(history.state, history.events, now=history.now, artifacts=artifacts)


def node_of(report: RunReport, name: str) -> NodeReport:
    return next(found for found in report["nodes"] if found["node_id"] == name)


@pytest.mark.parametrize("story", STORIES)
def test_every_report_holds_to_its_published_schema_and_the_old_keys(story: str) -> None:
    report = json.loads(json.dumps(reported(STORIES[story](), "artifacts/plans/oauth2.json")))
    assert schema_violations(report, "report") == []
    for part, keys in OLD_KEYS.items():
        found = report[part] if part else report
        assert set(keys) <= set(found[0] if part == "nodes" else found), part


@pytest.mark.parametrize("story", STORIES)
def test_every_prefix_of_a_run_can_be_reported(story: str) -> None:
    history = STORIES[story]()
    state = RunState(history.run)
    for place, event in enumerate(history.events, 1):
        state.apply(event)
        report = run_report(state, history.events[:place], now=event.time)
        assert len(report["nodes"]) == len(state.nodes)


def test_a_run_without_events_has_a_report_too() -> None:
    history = History(oauth_plan())
    report = reported(history)
    assert (report["run_id"], report["status"], report["nodes"]) == (RUN, "RUNNING", [])
    assert report["parallel_efficiency"]["note"] == "Nothing ran"


def test_a_good_run_reports_what_landed_and_what_it_cost() -> None:
    report = reported(STORIES["success"](), "artifacts/plans/oauth2.json")
    assert (report["status"], report["exit_code"], report["coordination_id"]) == ("SUCCESS", 0, RUN)
    assert report["completed_at"] is not None
    assert report["cost_summary"] == {
        "budget_usd": 15.0,
        "total_used_usd": 0.52,
        "assumed_usd": 0.0,
        "unknown_attempts": 0,
        "reserved_usd": 0.0,
        "budget_remaining_usd": 14.48,
        "utilization_pct": 3.5,
        "breakdown": {"aider": 0.436, "cursor": 0.084, "claude": 0.0},
    }
    assert report["merge_summary"] == {
        "branches_merged": 3,
        "merge_conflicts": 0,
        "pre_merge_checks_run": 4,
        "pre_merge_checks_passed": 4,
        "verdicts_reused": 1,
        "trains": 2,
    }
    assert report["quality_metrics"] == {
        "files_changed": 5,
        "lines_added": 902,
        "lines_removed": 11,
        "tests_added": 2,
        "test_coverage_pct": 94.0,
        "security_issues": 0,
    }
    assert report["artifacts_generated"] == ["artifacts/plans/oauth2.json"]
    assert [landing["nodes"] for landing in report["landings"]] == [["n1"], ["n2", "n3"]]
    assert report["implied_edges"] == [{"before": "n2", "after": "n3", "reason": "both may write README.md"}]


def test_a_node_names_its_attempts_its_branch_and_where_it_landed() -> None:
    landed = node_of(reported(STORIES["success"]()), "n1")
    assert (landed["status"], landed["merge_status"], landed["next"]) == ("completed", "MERGED", None)
    assert landed["branch"] == "lane/r1003-oauth2/n1"
    assert landed["landed_commit"] is not None
    assert (landed["tokens_used"], landed["cost_usd"], landed["files_modified"]) == (8243, 0.247, 2)
    (attempt,) = landed["attempts"]
    assert (attempt["outcome"], attempt["tool"], attempt["model"]) == ("succeeded", "aider", "gpt-5-mini")
    assert attempt["log"] == "artifacts/logs/r1003-oauth2/n1.1.log"
    assert attempt["duration_min"] == pytest.approx(14, abs=0.01)


def test_each_try_is_told_with_its_tool_its_failure_and_its_cost() -> None:
    retried = node_of(reported(STORIES["retried"]()), "n1")
    tries = [(a["number"], a["tool"], a["outcome"], a["failure"]) for a in retried["attempts"]]
    assert tries == [
        (1, "aider", "failed", "transient"),
        (2, "aider", "failed", "no_change"),
        (3, "claude", "succeeded", None),
    ]
    assert retried["cost_usd"] == pytest.approx(0.45)
    assert [wait["what"] for wait in retried["waits"] if wait["kind"] == "retry"] == [
        "try again: the service is overloaded",
        "try again: no change was made",
    ]


def test_a_running_node_has_no_end_and_its_time_goes_on() -> None:
    history = STORIES["running"]()
    later = run_report(history.state, history.events, now=history.now + timedelta(minutes=1))
    running = node_of(later, "n2")
    assert (running["end_time"], running["attempts"][0]["outcome"]) == (None, "running")
    assert running["duration_min"] == pytest.approx(3, abs=0.01)
    assert later["cost_summary"]["reserved_usd"] == 1.0


def test_a_refused_landing_keeps_its_branch_its_evidence_and_says_what_to_type() -> None:
    report = reported(STORIES["failed_check"]())
    refused, blocked = node_of(report, "n2"), node_of(report, "n4")
    assert (refused["merge_status"], refused["landed_commit"]) == ("FAILED", None)
    assert refused["branch"] == "lane/r1003-oauth2/n2"
    assert "test_expired_token" in refused["merge_evidence"]
    assert refused["next"] is not None
    assert refused["next"]["command"] == "cli-orchestrator retry r1003-oauth2 n2"
    assert (blocked["status"], blocked["blocked_by"]) == ("blocked", "n2")
    assert blocked["next"] == {"text": "n4 goes on after n2", "command": refused["next"]["command"]}
    assert report["merge_summary"]["pre_merge_checks_run"] == 6
    assert report["merge_summary"]["pre_merge_checks_passed"] == 4


def test_a_conflict_is_counted_and_names_its_files() -> None:
    report = reported(STORIES["conflict"]())
    assert report["merge_summary"]["merge_conflicts"] == 1
    assert node_of(report, "n2")["merge_files"] == ["src/app.py", "README.md"]


def test_waits_tell_for_what_and_how_long() -> None:
    docs = node_of(reported(STORIES["success"]()), "n3")
    waits = {(wait["kind"], wait["what"]): round(wait["duration_min"], 1) for wait in docs["waits"]}
    assert waits == {
        ("dependency", "n1"): 14.0,
        ("claims", "n2"): 22.6,
        ("queue", "the merge queue"): 0.9,
    }


def test_a_verifying_node_waits_until_its_dependencies_have_landed() -> None:
    waits = node_of(reported(STORIES["success"]()), "n4")["waits"]
    until = {wait["what"]: wait["duration_min"] for wait in waits if wait["kind"] == "dependency"}
    assert until["n2"] == pytest.approx(28.4, abs=0.1)


def test_an_open_wait_has_no_end() -> None:
    report = reported(STORIES["waiting"]())
    (asked,) = [wait for wait in node_of(report, "n2")["waits"] if wait["kind"] == "approval"]
    assert (asked["end_time"], asked["what"]) == (None, "approval to start")
    assert asked["duration_min"] > 2
    assert any(wait["end_time"] is None for wait in node_of(report, "n4")["waits"])


def test_nodes_side_by_side_make_the_run_more_than_fully_efficient() -> None:
    speed = reported(STORIES["parallel"]())["parallel_efficiency"]
    assert speed["sequential_time_estimate_min"] == pytest.approx(6, abs=0.01)
    assert speed["actual_parallel_time_min"] == pytest.approx(3.2, abs=0.05)
    assert speed["efficiency_pct"] == pytest.approx(188, abs=2)
    assert speed["critical_path_min"] == pytest.approx(3, abs=0.01)
    assert speed["most_at_once"] == 3
    assert speed["note"] == "All 3 workers were busy at times: more workers may be faster"


def test_a_chain_says_that_dependencies_were_the_limit() -> None:
    speed = reported(STORIES["failed_check"]())["parallel_efficiency"]
    assert speed["most_at_once"] == 1
    assert speed["note"].startswith("Limited parallelization due to dependencies")


def test_the_hours_between_a_crash_and_the_resume_are_nobodys_working_time() -> None:
    report = reported(STORIES["crashed_and_resumed"]())
    assert report["total_duration_min"] > 200
    assert report["parallel_efficiency"]["actual_parallel_time_min"] < 25
    lost = node_of(report, "n2")["attempts"][0]
    assert lost["failure"] == "interrupted"
    assert lost["duration_min"] <= 2  # up to the last fact before the crash; what came after is not known


def test_without_a_budget_nothing_is_said_of_what_remains() -> None:
    cost = reported(STORIES["parallel"]())["cost_summary"]
    assert (cost["budget_usd"], cost["budget_remaining_usd"], cost["utilization_pct"]) == (None, None, None)


def test_the_plans_correlation_id_wins_over_the_runs_own() -> None:
    history = STORIES["running"]()
    started = next(event for event in history.events if isinstance(event.data, RunStarted))
    assert started.correlation_id is None
    assert reported(history)["coordination_id"] == RUN


def test_an_unfinished_check_has_no_verdict() -> None:
    history = STORIES["running"]().succeed("n2").enqueue("n2").candidate("n2")
    history.check("tests", "n2", seconds=20)
    events = history.events[:-1]
    check = run_report(history.state, events, now=history.now)["checks"][-1]
    assert (check["verdict"], check["end_time"], check["nodes"]) == (None, None, ["n2"])
    assert check["duration_s"] == pytest.approx(20, abs=0.1)


def test_many_nodes_are_reported_in_reasonable_time() -> None:
    nodes = [node("n0"), *(node(f"n{place}", f"n{place - 1}") for place in range(1, 2000))]
    plan = oauth_plan(parse_usd(1))
    history = History(
        type(plan)(
            plan_id="long",
            name="Long",
            nodes=tuple(nodes),
            merge_policy=plan.merge_policy,
            branch_base=plan.branch_base,
        )
    ).begin()
    history.start("n0").fail("n0")
    report = reported(history)
    last = report["nodes"][-1]
    assert (last["status"], last["next"]) == (
        "blocked",
        {"text": "n1999 goes on after n0", "command": "cli-orchestrator retry r1003-oauth2 n0"},
    )
    assert history.state.nodes[NodeId("n1999")].blocked_by == "n1998"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/test_oauth.py", True),
        ("src/auth_test.go", True),
        ("web/login.test.tsx", True),
        ("web/login.spec.ts", True),
        ("spec/user_spec.rb", True),
        ("src/UserTest.java", True),
        ("src/UserTests.cs", True),
        ("tests/conftest.py", False),
        ("tests/__init__.py", False),
        ("src/contest.java", False),
        ("src/latest.py", False),
    ],
)
def test_test_files_are_known_by_their_names(path: str, expected: bool) -> None:
    assert is_test_file(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("README.md", True), ("docs/logo.svg", True), ("src/docs.py", False), ("src/a.py", False)],
)
def test_pages_for_people_are_known_by_suffix_or_folder(path: str, expected: bool) -> None:
    assert is_document(path) is expected


def test_the_time_until_a_person_answered_is_a_wait_of_its_own() -> None:
    history = begun(Approval.BEFORE)
    history.add(ApprovalRequested(node_id=NodeId("n2"), what="before"))
    history.wait(minutes=5).add(ApprovalGranted(node_id=NodeId("n2"), what="before", by="ada"))
    history.wait(minutes=1).start("n2")
    waits = {wait["kind"]: wait["duration_min"] for wait in node_of(reported(history), "n2")["waits"]}
    assert waits["approval"] == pytest.approx(5, abs=0.01)
    assert waits["worker"] == pytest.approx(1, abs=0.01)


def test_sealed_work_that_is_not_in_the_queue_yet_is_not_called_done() -> None:
    history = History(oauth_plan()).begin().start("n1").succeed("n1")
    assert node_of(reported(history), "n1")["merge_status"] == "QUEUED"
    assert node_of(reported(begun()), "n1")["merge_status"] == "MERGED"
