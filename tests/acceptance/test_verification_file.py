"""A `verify` node leaves a verification report that scripts can read, about what really landed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import execute, the_report

PLAN = """
plan_id: verified
checks:
  lint: {run: "! grep -rq BAD src"}
  tests: {run: "test -e src/old.txt"}
merge_policy: {checklist: [lint, tests]}
rollback_policy: {max_retry_attempts: 0}
nodes:
  - {id: n1, tool: shell, run: "echo 1 > src/new.txt; echo d > docs/d.md; echo t > tests/test_n.py",
     path_claims: ["src/**", "docs/**", "tests/**"]}
  - {id: v, tool: verify, role: ipt, deps: [n1]}
"""
FILES = {"src/old.txt": "old\n", "docs/a.md": "# A\n", "tests/test_a.py": "\n"}


def verified(tmp_path: Path) -> tuple[RepositoryBuilder, dict[str, Any], dict[str, Any]]:
    """A repository after the run, its verification and the quality figures of its report."""
    repository = make_repository(tmp_path / "repo", dict(FILES))
    ended = execute(repository, PLAN)
    assert ended.status == 0, ended.err
    report: Mapping[str, Any] = the_report(repository)
    path = repository.path / "artifacts" / "verification" / f"{report['run_id']}.json"
    assert str(path.relative_to(repository.path)) in report["artifacts_generated"]
    return repository, json.loads(path.read_text()), report["quality_metrics"]


def test_the_verification_names_the_landed_tree_and_what_passed_on_it(tmp_path: Path) -> None:
    repository, verification, quality = verified(tmp_path)
    assert schema_violations(verification, "verification") == []
    assert verification["overall_status"] == "PASSED"
    assert verification["tree"] == repository.tree_of("main")
    checks = verification["checks"]
    assert (checks["code_quality"], checks["integration_tests"], checks["security_audit"]) == (
        True,
        True,
        None,
    )
    assert (quality["files_changed"], quality["lines_added"], quality["tests_added"]) == (3, 3, 1)
