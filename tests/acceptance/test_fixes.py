"""A run whose landed tree does not pass: reviewed by a model, put right by added nodes, verified again."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import Ended, type_in
from tests.fakes.planner_program import planner_programs
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import the_report

PLAN = """
plan_id: reviewed
checks: {readme: {run: test -f README.md}}
merge_policy: {checklist: [readme]}
verification: {fix: FIX, rounds: 2, tool: claude}
nodes:
  - {id: n1, tool: shell, run: "echo todo > done.txt", path_claims: [done.txt]}
  - {id: look, tool: claude, review: true, deps: [n1]}
"""
GOOD = {"verdict": "pass", "summary": "It does what was asked.", "findings": []}


def bad(**keys: Any) -> dict[str, Any]:
    finding = {
        "file": "done.txt",
        "line": 1,
        "severity": "major",
        "summary": "It says todo and not done.",
        "node": "n1",
    }
    return {"verdict": "fail", "summary": "Not done.", "findings": [{**finding, **keys}]}


class World:
    def __init__(self, repository: RepositoryBuilder, programs: Path) -> None:
        self.repository, self.programs = repository, programs

    def run(self, fix: str, *words: str) -> Ended:
        (self.repository.path / "plan.yaml").write_text(PLAN.replace("FIX", fix))
        return self.type("execute", "plan.yaml", "--yes", *words)

    def type(self, *words: str) -> Ended:
        return type_in(self.repository.path, *words)

    @property
    def report(self) -> Any:
        return the_report(self.repository)

    @property
    def verification(self) -> Any:
        run = self.report["run_id"]
        path = self.repository.path / "artifacts" / "verification" / f"{run}.json"
        return json.loads(path.read_text())

    @property
    def questions(self) -> list[dict[str, Any]]:
        found = sorted(self.programs.glob("asked.*"), key=lambda path: int(path.suffix[1:]))
        return [json.loads(path.read_text()) for path in found]


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
    here = world(bad(line=7), bad(), GOOD)

    ended = here.run("auto", "--budget", "5")
    print(ended.out, ended.err)
    print(here.type("events").out)
    print(here.type("status").out)
    print(json.dumps(here.verification, indent=1))
    assert ended.status == 0, ended.err
