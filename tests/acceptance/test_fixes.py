"""A run whose landed tree does not pass: reviewed by a model, put right by added nodes, verified again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.schema.published import schema_violations
from tests.core.schema_reading import good_plan
from tests.fakes.command_line import PACKAGE_ROOT, Ended, type_in
from tests.fakes.meanwhile import wait_until
from tests.fakes.planner_program import planner_programs
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import the_report

PLAN = """
plan_id: reviewed
checks: {readme: {run: "test ! -e broken || grep -q done done.txt"}}
merge_policy: {checklist: [readme]}
rollback_policy: {max_retry_attempts: 0}
nodes:
  - {id: n1, tool: shell, run: "echo todo > done.txt", path_claims: [done.txt]}
"""
REVIEW = "  - {id: look, tool: claude, review: true, deps: [n1]}\n"
FIX = "verification: {fix: auto, tool: claude}\n"
GOOD = {"verdict": "pass", "summary": "It does what was asked.", "findings": []}


def bad(*summaries: str, **keys: Any) -> dict[str, Any]:
    """A review that fails, with a finding for each of these words."""
    finding = {"file": "done.txt", "line": 1, "severity": "major", "node": "n1", **keys}
    findings = [{**finding, "summary": summary} for summary in summaries or ("It says todo.",)]
    return {"verdict": "fail", "summary": "Not done.", "findings": findings}


class World:
    """A repository, and a model with its answers on the PATH."""

    def __init__(self, repository: RepositoryBuilder, programs: Path) -> None:
        self.repository, self.programs = repository, programs

    def plan(self, text: str) -> str:
        (self.repository.path / "plan.yaml").write_text(text)
        return "plan.yaml"

    def run(self, text: str, *words: str) -> Ended:
        return self.type("execute", self.plan(text), "--yes", *words)

    def type(self, *words: str) -> Ended:
        return type_in(self.repository.path, *words)

    def done(self) -> bool:
        return self.repository.show("main", "done.txt") == "done\n"

    @property
    def report(self) -> Any:
        return the_report(self.repository)

    def node(self, name: str) -> Any:
        return next(node for node in self.report["nodes"] if node["node_id"] == name)

    @property
    def verification(self) -> Any:
        run = self.report["run_id"]
        return json.loads((self.repository.path / "artifacts" / "verification" / f"{run}.json").read_text())

    @property
    def questions(self) -> list[list[str]]:
        found = sorted(self.programs.glob("asked.*"), key=lambda path: int(path.suffix[1:]))
        return [json.loads(path.read_text())["argv"] for path in found]


def after(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(*answers: Any) -> World:
        repository = make_repository(tmp_path / "repo", {"README.md": "hello\n"})
        programs = planner_programs(tmp_path / "programs", *answers)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return World(repository, programs)

    return make


def test_what_a_review_finds_is_fixed_by_an_added_node_and_reviewed_again(world: Make) -> None:
    here = world("no form", bad(line=7), bad(), GOOD)
    (here.programs / "scribbles").touch()

    ended = here.run(PLAN + REVIEW + FIX, "--budget", "5")

    assert ended.status == 0, ended.out + ended.err
    assert here.done()
    first, _, repair, again = here.questions
    assert after(first, "--tools") == "Read,Grep,Glob"
    assert '"n1"' in after(first, "--json-schema")
    assert "\n+todo\n" in after(first, "-p")
    assert "`done.txt` has 1 lines and no line 7" in after(repair, "-p")
    assert "\n+done\n" in after(again, "-p")
    assert "the plan is amended, round 1 (fixes): fix-1-1, then look again" in ended.err

    failed, passed = here.verification["verdicts"]
    assert schema_violations(here.verification, "verification") == []
    assert (failed["verdict"], passed["verdict"]) == ("failed", "passed")
    assert failed["findings"][0]["summary"] == "It says todo."
    assert failed["dropped"] == ["scribble.txt"]
    assert here.verification["overall_status"] == "PASSED"
    assert "look reviewed it: it passed." in here.verification["summary"]
    assert "dropped: scribble.txt" in here.node("look")["warnings"][0]
    assert here.verification["tree"] == passed["tree"] == here.repository.tree_of("main")
    assert "scribble.txt" not in here.repository.git("ls-tree", "--name-only", "main")

    assert schema_violations(here.report, "report") == []
    assert here.report["cost_summary"]["total_used_usd"] == 1.25
    assert here.node("fix-1-1")["added"].startswith("round 1, fixes: look: done.txt:1: It says todo.")
    assert here.node("n1")["added"] is None
    amended = f"artifacts/plans/{here.report['run_id']}_amended.json"
    assert {"artifacts/plans/reviewed.json", amended} <= set(here.report["artifacts_generated"])
    plans = [(here.repository.path / name).read_text() for name in ("artifacts/plans/reviewed.json", amended)]
    before, after_it = ([str(each.id) for each in good_plan(text).nodes] for text in plans)
    assert after_it == [*before, "fix-1-1"]
    assert good_plan(plans[1]).by_id[NodeId("look")].deps == ("n1", "fix-1-1")
    page = here.type("report", "--format", "md").out
    assert "## Added nodes" in page
    assert "completed MERGED added" in page


def test_by_default_nothing_is_added_until_a_person_says_so(world: Make) -> None:
    here = world(bad(), GOOD)
    ended = here.run(PLAN + REVIEW)
    assert ended.status == 1
    assert len(here.questions) == 1
    assert f"cli-orchestrator resume {here.report['run_id']} --fix auto" in ended.out

    assert here.type("resume").status == 1
    assert len(here.questions) == 1
    assert here.type("resume", "--fix", "auto").status == 0
    assert here.done()
    assert here.node("fix-1-1")["tool"] == "claude"


def test_fixes_for_what_is_never_looked_at_are_refused_before_anything_starts(world: Make) -> None:
    here = world(GOOD)
    ended = here.run(PLAN, "--fix", "auto")
    assert ended.status == 2
    assert "--fix auto has nothing to follow: no node of reviewed verifies what has landed" in ended.err
    assert "leave --fix out" in ended.err
    assert not (here.repository.path / "state").exists()
    assert here.run(PLAN, "--fix", "off").status == 0
    assert here.type("resume", "--fix", "ask").status == 2


def test_where_a_person_is_to_agree_each_fix_waits_for_that(world: Make) -> None:
    here = world(bad(), GOOD)
    ended = here.run(PLAN + REVIEW + FIX.replace("auto", "ask"))
    assert ended.status == 4, ended.out + ended.err
    assert "fix-1-1 asks for your approval to start" in ended.out
    assert here.report["cost_summary"]["total_used_usd"] == 0.25
    assert here.type("approve", here.report["run_id"], "fix-1-1").status == 0
    assert here.done()


def test_a_finding_that_a_person_overrules_is_not_put_right_and_the_run_ends_well(world: Make) -> None:
    here = world(bad(), GOOD)
    ended = here.run(PLAN + REVIEW + FIX.replace("auto", "ask"))
    assert f"cli-orchestrator waive {here.report['run_id']} look.1 --reason WHY" in ended.out
    assert "found: look.1 major done.txt:1: It says todo." in here.type("status").out
    assert "say why" in here.type("waive", "look.1").err
    wrong = here.type("waive", "look.7", "--reason", "no")
    assert (wrong.status, "look.1 (major) done.txt:1: It says todo." in wrong.err) == (2, True)

    said = here.type("waive", "look.1", "--reason", "it is a list of what is to do")
    assert said.status == 0, said.out + said.err
    assert len(here.questions) == 1
    assert not here.done()
    (finding,) = here.node("look")["findings"]
    assert finding["waived"]["reason"] == "it is a list of what is to do"
    assert here.node("fix-1-1")["status"] == "completed"
    assert here.verification["overall_status"] == "PASSED"
    assert "waived: look.1 by" in here.type("status").out

    assert here.type("waive", "look.1", "--undo", "--no-resume").status == 0
    assert here.type("resume").status == 4
    assert here.node("fix-1-1")["status"] == "waiting"


def test_more_than_two_findings_are_planned_by_the_model_first(world: Make) -> None:
    node = {
        "id": "write",
        "label": "Write it",
        "goal": "Write done.txt",
        "tool": "claude",
        "deps": [],
        "inputs": [],
        "outputs": ["done.txt"],
        "path_claims": [{"path": "done.txt", "mode": "exclusive"}],
        "capabilities": [],
        "priority": "high",
        "estimated_duration_min": 2,
    }
    outside = {"name": "Fix", "nodes": [{**node, "outputs": ["elsewhere.txt"]}]}
    here = world(bad("one", "two", "three"), outside, {"name": "Fix", "nodes": [node]}, GOOD)

    ended = here.run(PLAN + REVIEW + FIX, "--budget", "9")

    assert ended.status == 0, ended.out + ended.err
    assert here.done()
    _, plan, repair, _ = here.questions
    assert "done.txt:1: three" in after(plan, "-p")
    assert "outside its claims" in after(repair, "-p")
    assert [(past["kind"], past["nodes"]) for past in here.report["amendments"]] == [
        ("planning", ["remedy-1"]),
        ("remedy", ["fix-1-write"]),
    ]
    assert here.node("remedy-1")["cost_usd"] == 0.5


def test_checks_that_fail_on_what_has_landed_are_repaired_before_it_is_verified_again(world: Make) -> None:
    here = world(GOOD)
    verify = "  - {id: v, tool: verify, deps: [n1], approval: before}\n"
    assert here.run(PLAN + verify + FIX).status == 4
    here.repository.commit({"broken": "\n"}, "somebody breaks the target")
    run = here.report["run_id"]
    # What is done again is asked about again.
    assert here.type("approve", run, "v").status == 4
    assert here.node("fix-1-checks")["merge_status"] == "MERGED"
    assert here.type("approve", run, "v").status == 0
    assert [each["verdict"] for each in here.verification["verdicts"]] == ["failed", "passed"]


@pytest.mark.parametrize("where", ["answer", "work"])
def test_a_run_that_is_killed_in_a_review_or_a_fix_goes_on_with_it(world: Make, where: str) -> None:
    # Nobody hears the first answer where that is cut off.
    here = world(*([bad("never heard")] if where == "answer" else []), bad(), GOOD)
    (here.programs / "scribbles").touch()
    (here.programs / "hangs").write_text(where)
    program = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cli_multi_rapid.cli.main",
            "execute",
            here.plan(PLAN + REVIEW + FIX),
            "--yes",
        ],
        cwd=here.repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until((here.programs / "hanging").exists, f"the {where} is under way")
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
    (here.programs / "hangs").unlink()

    ended = here.type("resume")

    assert ended.status == 0, ended.out + ended.err
    assert here.done()
    assert [past["nodes"] for past in here.report["amendments"]] == [["fix-1-1"]]
    cut = here.node("fix-1-1" if where == "work" else "look")
    assert cut["attempts"][0]["failure"] == "interrupted"
    assert (cut["attempts"][0]["branch"] is None) is (where == "answer")
