"""A request that a model plans: what it is asked, what our rules make of it, and whose money it is."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import PACKAGE_ROOT, Ended, type_in
from tests.fakes.meanwhile import wait_until
from tests.fakes.planner_program import planner_programs
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import the_report

TOOLS = """\
tools:
  - {name: shell, capabilities: [code], sandbox: none}
  - {name: claude, version_cmd: [claude, --version], capabilities: [code, python]}
  - {name: codex, version_cmd: [codex, --version], capabilities: [code], model: gpt-5-codex}
"""
REQUEST = ("--request", "Write the word done", "--files", "done.txt")


def a_node(name: str = "write", **keys: Any) -> dict[str, Any]:
    node = {
        "id": name,
        "label": "Write it",
        "goal": "Write done.txt",
        "tool": "claude",
        "deps": [],
        "inputs": [],
        "outputs": ["done.txt"],
        "path_claims": [{"path": "done.txt", "mode": "exclusive"}],
        "capabilities": ["code"],
        "priority": "medium",
        "estimated_duration_min": 2,
    }
    return {**node, **keys}


def a_plan(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"name": "Write done", "nodes": list(nodes or (a_node(),))}


OUTSIDE = a_plan(a_node(outputs=["elsewhere.txt"]))


class World:
    """A repository, and a planner with its answers on the PATH."""

    def __init__(self, repository: RepositoryBuilder, programs: Path) -> None:
        self.repository, self.programs = repository, programs

    def type(self, *words: str | Path) -> Ended:
        return type_in(self.repository.path, *words)

    @property
    def questions(self) -> list[dict[str, Any]]:
        found = sorted(self.programs.glob("asked.*"), key=lambda path: int(path.suffix[1:]))
        return [json.loads(path.read_text()) for path in found]

    @property
    def ledger(self) -> list[dict[str, Any]]:
        path = self.repository.path / "state/cost_ledger.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line, parse_float=Decimal) for line in lines]


Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(*answers: Any) -> World:
        files = {"README.md": "hello\n", "config/tools.yaml": TOOLS}
        repository = make_repository(tmp_path / "repo", files)
        programs = planner_programs(tmp_path / "programs", *answers)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        return World(repository, programs)

    return make


def test_a_plan_of_a_model_is_repaired_run_and_paid_for_from_the_budget(world: Make) -> None:
    here = world(OUTSIDE, a_plan())

    ended = here.type("execute", *REQUEST, "--budget", "5", "--planner", "claude", "--yes")

    assert ended.status == 0, ended.err
    assert here.repository.show("main", "done.txt") == "done\n"
    first, second = here.questions
    prompt, repair = (asked["argv"][asked["argv"].index("-p") + 1] for asked in (first, second))
    assert "Write the word done" in prompt
    assert "config/tools.yaml" in prompt
    assert "shell" not in prompt + first["argv"][first["argv"].index("--json-schema") + 1]
    assert "draft-1.json:12:9: error[E301]" in repair
    assert "outside its claims" in repair
    assert first["files"] == []
    assert not Path(first["cwd"]).is_relative_to(here.repository.path)
    assert not Path(first["cwd"]).exists()
    assert [(row["task_id"], row["action"], row["amount"]) for row in here.ledger[:2]] == [
        ("_planner", "planner", Decimal("0.25"))
    ] * 2
    report: Any = the_report(here.repository)
    assert report["cost_summary"]["total_used_usd"] == 0.75
    assert report["cost_summary"]["budget_remaining_usd"] == 4.25
    assert report["nodes"][0]["cost_usd"] == 0.25
    assert "draft 1 of claude" in ended.err
    assert "complexity" in ended.err
    logs = here.type("logs").out
    assert logs.count("==> attempt claude of _planner try") == 2
    saved = json.loads(
        (here.repository.path / "artifacts" / "plans" / f"{report['plan_id']}.json").read_text()
    )
    assert schema_violations(saved, "plan") == []
    assert saved["created_by"] == "claude"


def test_what_the_nodes_may_cost_is_what_the_planning_has_left(world: Make) -> None:
    here = world(a_plan(a_node(), a_node("other", path_claims=["b.txt"], outputs=[])))

    ended = here.type(
        "plan", *REQUEST, "--budget", "1.25", "--planner", "claude", "--format", "json", "-o", "p.json"
    )

    assert ended.status == 0, ended.err
    assert schema_violations(ended.document, "preview") == []
    assert ended.document["planner"] == "claude"
    plan = json.loads((here.repository.path / "p.json").read_text())
    assert plan["global_budget_usd"] == 1.25
    assert sum(node["max_cost"] for node in plan["nodes"]) == pytest.approx(1.0)
    assert [row["amount"] for row in here.ledger] == [Decimal("0.25")]
    assert here.type("status").status == 0


def test_a_plan_that_breaks_a_rule_is_never_run_and_every_draft_is_charged(world: Make) -> None:
    here = world("Sorry, no JSON from me", a_plan(a_node("a", deps=["b"]), a_node("b", deps=["a"])))

    ended = here.type("execute", *REQUEST, "--planner", "codex", "--budget", "5", "--yes")

    assert ended.status == 1
    assert "codex made no plan that can be run, also after 3 repairs" in ended.err
    assert "this is not JSON" in ended.err
    assert "these nodes wait for each other: a → b → a" in ended.err
    assert len(here.questions) == 4
    # codex counts its thread, and each draft is charged for itself alone.
    assert [row["amount"] for row in here.ledger] == [Decimal("0.00225")] * 4
    assert here.repository.files("main") == ["README.md", "config/tools.yaml"]
    assert "FAILED" in here.type("runs").out
    assert here.type("resume").status == 1


def test_an_answer_that_claude_itself_refuses_is_repaired(world: Make) -> None:
    here = world("no form", a_plan())

    ended = here.type("plan", *REQUEST, "--planner", "claude")

    assert ended.status == 0, ended.err
    assert len(here.questions) == 2


def test_a_model_that_cannot_be_reached_is_an_error_for_who_named_it_and_a_template_for_others(
    world: Make,
) -> None:
    here = world("fail")

    named = here.type("plan", *REQUEST, "--planner", "claude")
    opened = here.type("plan", *REQUEST, "--format", "json")

    assert named.status == 1
    assert "claude made no plan: API Error: 401" in named.err
    assert len(here.questions) == 2
    assert opened.document["planner"] == "template"
    assert "planner: template, because claude made no plan: API Error: 401" in opened.err
    assert len(here.ledger) == 2


def test_without_a_terminal_nobody_confirms_so_no_model_is_asked(world: Make) -> None:
    here = world(a_plan())

    named = here.type("execute", *REQUEST, "--planner", "claude")
    opened = here.type("execute", *REQUEST)
    dry = here.type("execute", *REQUEST, "--planner", "claude", "--dry-run", "--yes")

    assert (named.status, dry.status) == (2, 2)
    assert "nobody is here to confirm a model's plan, and there is no --yes" in named.err
    assert "planner: template, because nobody is here to confirm" in opened.err
    assert "a dry run asks no model" in dry.err
    assert here.questions == []


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("n\n", 4)])
def test_at_a_terminal_the_plan_is_shown_and_run_when_the_person_agrees(
    world: Make, typed: str, status: int
) -> None:
    here = world(a_plan())

    ended = at_a_terminal(here, typed, "execute", *REQUEST, "--planner", "claude", "--budget", "5")

    assert ended.status == status, ended.err
    assert "run this plan? [y/N]" in ended.err
    assert "write  Write it [claude]" in ended.err
    assert ("done.txt" in here.repository.files("main")) == (status == 0)
    if status:
        assert "nothing was started; the plan is in artifacts/plans/write-the-word-done-" in ended.err
        assert "CANCELLED" in here.type("runs").out
        assert [row["amount"] for row in here.ledger] == [Decimal("0.25")]


def at_a_terminal(here: World, typed: str, *words: str) -> Ended:
    """The program with a terminal as its stdin and stderr, at which a person types."""
    person, terminal = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "cli_multi_rapid.cli.main", *words],
        cwd=here.repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "TERM": "dumb"},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    os.write(person, typed.encode())
    shown = b""
    with suppress(OSError):  # Linux tells so that the last one has hung up
        while data := os.read(person, 4096):
            shown += data
    out, _ = program.communicate(timeout=60)
    os.close(person)
    return Ended(status=program.returncode, out=out.decode(), err=shown.decode())


def test_who_names_nobody_gets_the_first_healthy_model_and_is_told_why(world: Make) -> None:
    here = world(a_plan())

    ended = here.type("plan", *REQUEST, "--format", "json")
    (here.programs / "unwell").touch()
    (here.repository.path / "state/tool_health.json").unlink()
    unwell = here.type("plan", *REQUEST, "--format", "json")
    named = here.type("plan", *REQUEST, "--planner", "claude")

    assert ended.document["planner"] == "claude"
    assert "planner: claude, because it is healthy" in ended.err
    assert unwell.document["planner"] == "template"
    assert "planner: template, because no model can be asked: claude is unhealthy" in unwell.err
    assert named.status == 5
    assert "--planner claude: claude is unhealthy" in named.err
    assert len(here.questions) == 1


def test_no_model_is_asked_when_nothing_of_the_budget_is_left(world: Make) -> None:
    here = world(a_plan())

    named = here.type("plan", *REQUEST, "--planner", "claude", "--budget", "0")

    assert named.status == 3
    assert "nothing of the budget is left" in named.err
    assert here.questions == []


def test_a_planning_that_is_killed_is_charged_and_closed_by_resume(world: Make) -> None:
    here = world(a_plan())
    begun = here.repository.path.parent / "begun"
    (here.programs / "claude").write_text(
        f"#!/bin/sh\n[ $1 = --version ] && exit\necho > {begun}\nsleep 600\n"
    )
    words = ("plan", *REQUEST, "--planner", "claude", "--budget", "1")
    program = subprocess.Popen(
        [sys.executable, "-m", "cli_multi_rapid.cli.main", *words],
        cwd=here.repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
    )
    wait_until(begun.exists, "the start of the planner")
    program.kill()
    program.wait()

    cut, resumed, after = here.type("status"), here.type("resume"), here.type("status")

    assert "it was cut off while a model planned: close it" in cut.out
    assert resumed.status == 2
    assert "has no plan: it was cut off while a model planned" in resumed.err
    assert [(row["tool"], row["amount"]) for row in here.ledger] == [("claude", Decimal(1))]
    assert "FAILED" in after.out
    assert "assumed" in after.out


def test_a_planner_belongs_to_a_request(world: Make) -> None:
    ended = world(a_plan()).type("execute", "plan.yaml", "--planner", "claude")

    assert ended.status == 2
    assert "--planner claude belongs to --request" in ended.err
