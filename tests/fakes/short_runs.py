"""Small plans for `execute`, typed in as a person does, and what they leave behind."""

import json
from collections.abc import Mapping

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import Ended, type_in
from tests.fakes.repositories import RepositoryBuilder

ONE = """\
plan_id: one
nodes:
  - {id: n1, label: Say hello, tool: shell, run: echo hello > hello.txt, path_claims: [hello.txt]}
merge_policy: {checklist: []}
"""
PRICED = """\
plan_id: priced
nodes:
  - {id: cheap, tool: scripted, goal: g, est_cost: 0.10, priority: 1, path_claims: [cheap.txt],
     script: [{cost: 0.10}, {write: cheap.txt, text: c}]}
  - {id: dear, tool: scripted, goal: g, est_cost: 5, max_cost: 6, priority: 2, path_claims: [dear.txt],
     script: [{cost: 5}, {write: dear.txt, text: d}]}
merge_policy: {checklist: []}
"""


def execute(repository: RepositoryBuilder, plan: str, *words: str) -> Ended:
    """Run a plan text that lies beside the repository."""
    path = repository.path.parent / "plan.yaml"
    path.write_text(plan)
    return type_in(repository.path, "execute", path, *words)


def the_report(repository: RepositoryBuilder) -> Mapping[str, object]:
    (path,) = (repository.path / "artifacts" / "reports").glob("*_report.json")
    report = json.loads(path.read_text())
    assert schema_violations(report, "report") == []
    assert isinstance(report, dict)
    return report
