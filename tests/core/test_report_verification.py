"""The verification of what landed: only verdicts on the target's own tree count, and silence is no pass."""

import json

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import RunStatus, Verdict
from cli_multi_rapid.core.ids import CheckId
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import Role
from cli_multi_rapid.reports.run_report import run_report
from cli_multi_rapid.reports.verification import VerificationReport, verification_report
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.histories import History
from tests.fakes.run_stories import STORIES, begun
from tests.fakes.sample_plans import oauth_plan, tree_id


def verified(history: History) -> VerificationReport:
    return verification_report(history.state, history.events, now=history.now, verification_id="ver_1")


def examine(
    history: History, check: str, verdict: Verdict, *, tree: str = "moved", evidence: str = ""
) -> History:
    """The target itself is examined, after the landings."""
    data = CheckFinished(
        check=CheckId(check),
        tree=tree_id(tree),
        key=check,
        verdict=verdict,
        evidence=evidence,
        reason="exit status 1",
    )
    history.add(data)
    return history


@pytest.mark.parametrize("story", STORIES)
def test_every_verification_holds_to_its_published_schema(story: str) -> None:
    document = json.loads(json.dumps(verified(STORIES[story]())))
    assert schema_violations(document, "verification") == []


def test_a_good_run_passes_and_says_what_was_not_examined() -> None:
    report = verified(STORIES["success"]())
    assert report["checks"] == {
        "code_quality": True,
        "test_coverage": True,
        "security_audit": True,
        "integration_tests": True,
        "documentation_complete": None,
    }
    assert report["overall_status"] == "PASSED"
    assert report["summary"].endswith("Not examined: documentation complete.")
    assert report["metrics"]["documentation_pages"] == 1
    assert report["metrics"]["test_coverage_pct"] == 94.0
    assert report["commit"] is not None


def test_a_verdict_on_a_refused_candidate_says_nothing_of_the_target() -> None:
    report = verified(STORIES["failed_check"]())
    assert report["checks"]["integration_tests"] is True
    assert (report["overall_status"], report["failures"]) == ("PASSED", [])
    assert "Look at n2: its work is on lane/r1003-oauth2/n2 and did not land" in report["recommendations"]


def test_nothing_landed_is_a_failure() -> None:
    report = verified(STORIES["timeout"]())
    assert (report["overall_status"], report["failures"]) == ("FAILED", ["nothing landed"])
    assert report["recommendations"] == []


def test_a_run_that_had_nothing_to_land_passes_and_says_so() -> None:
    plan = oauth_plan()
    only = replace(plan.nodes[0], role=Role.IPT)
    history = History(replace(plan, nodes=(only,))).begin().start("n1").succeed("n1")
    report = verified(history)
    assert report["overall_status"] == "PASSED"
    assert report["summary"] == "OAuth2 Implementation: there was nothing to land and nothing to verify."


def test_the_tree_that_others_have_moved_the_target_to_is_what_counts() -> None:
    history = examine(STORIES["success"](), "tests", Verdict.FAILED)
    report = verified(history)
    assert report["tree"] == tree_id("moved")
    assert report["checks"]["integration_tests"] is False
    assert report["checks"]["code_quality"] is None
    assert report["failures"] == ["tests failed on the landed tree: exit status 1"]
    assert report["recommendations"][-1].startswith("Repair what tests found")


def test_checks_of_the_target_are_not_counted_as_checks_before_a_merge() -> None:
    history = examine(STORIES["success"](), "tests", Verdict.PASSED)
    summary = run_report(history.state, history.events, now=history.now)["merge_summary"]
    assert summary["pre_merge_checks_run"] == 4


def test_a_check_that_could_not_run_is_neither_passed_nor_forgotten() -> None:
    report = verified(examine(STORIES["success"](), "security", Verdict.ERROR))
    assert report["checks"]["security_audit"] is None
    assert (report["overall_status"], report["metrics"]["security_issues"]) == ("FAILED", None)


def test_findings_of_a_security_check_are_counted() -> None:
    evidence = ">> Issue: [B602] shell\n>> Issue: [B101] assert\n"
    report = verified(examine(STORIES["success"](), "security-scan", Verdict.FAILED, evidence=evidence))
    assert (report["checks"]["security_audit"], report["metrics"]["security_issues"]) == (False, 2)


def test_a_node_that_verifies_counts_like_a_check() -> None:
    history = begun().start("n2").succeed("n2").merge("n2").start("n4")
    history.fail("n4", "the docs name a removed option").finish(RunStatus.PARTIAL, 1)
    assert verified(history)["failures"] == ["n4 failed: the docs name a removed option"]


def test_without_a_check_nodes_for_documentation_tell_whether_it_is_complete() -> None:
    plan = oauth_plan()
    nodes = tuple(
        replace(node, capabilities=("documentation",)) if node.id == "n3" else node for node in plan.nodes
    )
    history = History(replace(plan, nodes=nodes)).begin().start("n1").succeed("n1").merge("n1")
    assert verified(history)["checks"]["documentation_complete"] is False
    history.start("n3").succeed("n3").merge("n3")
    assert verified(history)["checks"]["documentation_complete"] is True


@pytest.mark.parametrize(
    ("check", "category"),
    [
        ("unit_tests", "integration_tests"),
        ("test-coverage", "integration_tests"),
        ("coverage", "test_coverage"),
        ("ruff", "code_quality"),
        ("typecheck", "code_quality"),
        ("bandit", "security_audit"),
        ("docs", "documentation_complete"),
    ],
)
def test_checks_are_known_by_their_names(check: str, category: str) -> None:
    found = verified(examine(begun(), check, Verdict.PASSED))["checks"]
    assert [name for name, verdict in found.items() if verdict] == [
        "test_coverage" if check == "test-coverage" else category
    ]


def test_new_code_without_new_tests_is_mentioned() -> None:
    assert "Consider adding tests: no test file is new" in verified(begun())["recommendations"]


def test_an_unknown_check_that_passes_leaves_every_category_unexamined() -> None:
    report = verified(examine(begun(), "build", Verdict.PASSED))
    assert set(report["checks"].values()) == {None}
    assert report["summary"].endswith("Nothing was examined, because no check is configured for it.")
