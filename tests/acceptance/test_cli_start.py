"""What `execute` looks at before it starts: the dry run, what is refused, what the command line decides."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import PACKAGE_ROOT, type_in
from tests.fakes.repositories import RepositoryBuilder, make_empty_repository, make_repository
from tests.fakes.short_runs import ONE, PRICED, execute, the_report

IGNORING = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_a_dry_run_shows_order_money_and_checks_and_touches_nothing(repository: RepositoryBuilder) -> None:
    plan = """\
plan_id: two
checks: {style: {argv: ["true"]}}
nodes:
  - {id: first, tool: shell, run: echo 1 > a.txt, path_claims: ["*.txt"], est_cost: 2}
  - {id: second, tool: shell, run: echo 2 > b.txt, path_claims: [b.txt]}
  - {id: beside, tool: shell, run: "true", path_claims: [c.md]}
merge_policy: {checklist: [style]}
"""
    path = repository.path.parent / "plan.yaml"
    path.write_text(plan)
    before = files_below(repository.path)

    shown = type_in(repository.path, "execute", path, "--dry-run")
    document = type_in(repository.path, "execute", path, "--dry-run", "--format", "json").document

    assert shown.status == 0
    assert re.findall(r"^  (..) (first|second|beside)", shown.out, re.MULTILINE) == [
        ("1.", "first"),
        ("  ", "beside"),
        ("2.", "second"),
    ]
    assert "how long it takes is not known" in shown.out
    assert "after first: " in shown.out
    assert "style: true" in shown.out
    assert "$2.00" in shown.out
    assert schema_violations(document, "preview") == []
    assert document["order"] == ["first", "second", "beside"]
    assert [edge["before"] for edge in document["implied_edges"]] == ["first"]
    assert document["checks"] == [{"check": "style", "argv": ["true"], "run": None, "program_found": True}]
    assert document["target"] == "main"
    assert files_below(repository.path) == before


def test_a_bad_plan_is_refused_with_file_line_and_column(repository: RepositoryBuilder) -> None:
    bad = ONE.replace("tool: shell", "tool: shel").replace("path_claims: [hello.txt]", "deps: [n0]")

    ended = execute(repository, bad)
    document = execute(repository, bad, "--format", "json").document

    path = repository.path.parent / "plan.yaml"
    column = bad.splitlines()[2].index("shel,") + 1
    assert ended.status == 2
    assert ended.out == ""
    assert f"{path}:3:{column}: error[E401]" in ended.err
    assert "did you mean `shell`?" in ended.err
    assert "E202" in ended.err
    assert schema_violations(document, "error") == []
    assert {problem["code"] for problem in document["error"]["problems"]} >= {"E401", "E202"}
    assert not (repository.path / "state").exists()


def test_a_missing_tool_is_the_surroundings_fault(repository: RepositoryBuilder) -> None:
    plan = """\
nodes:
  - {id: n1, tool: shell, argv: [no-such-program-anywhere], path_claims: ["**"]}
merge_policy: {checklist: []}
"""
    ended = execute(repository, plan)

    assert ended.status == 5
    assert "! n1  failed: " in ended.out
    assert "no-such-program-anywhere" in ended.out


def test_a_plan_that_nothing_here_can_do_is_refused_before_it_is_recorded(
    repository: RepositoryBuilder,
) -> None:
    plan = """\
nodes:
  - {id: n1, tool: cursor, goal: g, path_claims: [a]}
  - {id: n2, tool: shell, run: 'true', deps: [n1]}
"""

    ended = execute(repository, plan, "--budget", "3")

    assert ended.status == 5
    assert "nothing here can do n1: " in ended.err
    assert "config/tools.yaml" in ended.err
    assert not (repository.path / "state").exists()
    assert execute(repository, plan, "--dry-run").status == 0


def test_a_part_that_nothing_here_can_do_is_told_and_the_rest_runs(repository: RepositoryBuilder) -> None:
    plan = ONE.replace("merge_policy", "  - {id: n2, tool: cursor, goal: g, path_claims: [b]}\nmerge_policy")

    ended = execute(repository, plan)

    assert ended.status == 5
    assert "warning: nothing here can do n2: " in ended.err
    assert repository.show("main", "hello.txt") == "hello\n"


def test_what_does_not_fit_the_budget_never_starts(repository: RepositoryBuilder) -> None:
    ended = execute(repository, PRICED, "--budget", "1", "--yes")

    assert ended.status == 3
    assert "1 of 2 nodes fit" in ended.err
    assert "dear: needs $5.00" in ended.err
    assert ended.err.count("1 of 2 nodes fit") == 1
    assert "dear started" not in ended.err
    assert repository.files() == ["README.md", "cheap.txt"]
    assert the_report(repository)["status"] == "BUDGET_STOPPED"
    assert "resume" in ended.out
    assert "--budget" in ended.out


def test_a_strict_budget_refuses_to_start_at_all(repository: RepositoryBuilder) -> None:
    ended = execute(repository, PRICED, "--budget", "1", "--strict-budget")
    document = execute(repository, PRICED, "--budget", "1", "--strict-budget", "--format", "json").document

    assert ended.status == 3
    assert "the budget is $1.00: 1 of 2 nodes fit" in ended.err
    assert document["error"]["code"] == "budget"
    assert not (repository.path / "state").exists()


def test_a_check_whose_program_is_missing_is_told_before_money_is_spent(
    repository: RepositoryBuilder,
) -> None:
    plan = ONE.replace(
        "merge_policy: {checklist: []}",
        "checks: {style: {argv: [no-such-checker]}}\nmerge_policy: {checklist: [style]}",
    )
    shown = execute(repository, plan, "--dry-run")
    ended = execute(repository, plan)

    assert "style: no-such-checker  (would fail" in shown.out
    assert ended.status == 1
    said = ended.err.index("nothing will land as long as these checks fail: style needs no-such-checker")
    assert said < ended.err.index("n1 started")
    assert ended.err.count("the merge queue halted") == 1
    assert "hello.txt" not in repository.files("main")


def test_params_and_priority_come_from_the_command_line(repository: RepositoryBuilder) -> None:
    plan = ONE.replace("run: echo hello > hello.txt", "run: 'echo ${params.word} > hello.txt'").replace(
        "plan_id: one", "params: {word: x}"
    )

    ended = execute(repository, plan, "--param", "word=salut", "--priority", "low")

    assert ended.status == 0, ended.err
    assert repository.show("main", "hello.txt") == "salut\n"
    (saved,) = (repository.path / "artifacts/plans").iterdir()
    assert json.loads(saved.read_text())["nodes"][0]["priority"] == 2


def test_a_tool_of_unknown_price_runs_under_a_budget_only_when_allowed(repository: RepositoryBuilder) -> None:
    repository.commit(
        {"config/tools.yaml": "tools: [{name: quill, argv: [sh, -c, 'echo q > q.txt', '{prompt}']}]\n"}
    )
    plan = """\
nodes: [{id: n1, tool: quill, goal: write, path_claims: [q.txt]}]
merge_policy: {checklist: []}
"""
    refused = execute(repository, plan, "--budget", "5")
    allowed = execute(repository, plan, "--budget", "5", "--allow-unpriced")

    assert refused.status == 3
    assert "--allow-unpriced" in refused.err
    assert allowed.status == 0, allowed.out
    assert repository.show("main", "q.txt") == "q\n"


def test_the_words_of_a_start_that_contradict_each_other_are_refused(repository: RepositoryBuilder) -> None:
    for words, said in (
        (["plan.yaml", "--request", "x"], "either FILE or --request"),
        (["plan.yaml", "--files", "a"], "--files belongs to --request"),
        (["a.yaml", "b.yaml"], "one FILE"),
        (["plan.yaml", "--budget", "much"], "not an amount"),
        (["plan.yaml", "--param", "word"], "name=value"),
        (["--request", "x", "--param", "a=b"], "--param belongs to a plan"),
        (["plan.yaml", "--priority", "soon"], "high, medium, low"),
        (["plan.yaml"], "plan.yaml"),
    ):
        ended = type_in(repository.path, "execute", *words)
        assert (ended.status, said in ended.err) == (2, True), (words, ended.err)


def test_outside_of_a_repository_the_surroundings_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(ONE)
    ended = type_in(tmp_path, "execute", "plan.yaml", "--dry-run")
    assert ended.status == 5
    assert "git repository" in ended.err

    empty = make_empty_repository(tmp_path / "empty")
    assert type_in(empty.path, "execute", tmp_path / "plan.yaml", "--dry-run").status == 2


def test_values_for_params_that_do_not_fit_the_plan_stop_it_before_the_start(
    repository: RepositoryBuilder,
) -> None:
    plan = ONE.replace("run: echo hello > hello.txt", "run: 'echo ${params.word} > hello.txt'").replace(
        "plan_id: one", "params: {word: x}"
    )

    mistyped = execute(repository, plan, "--param", "wrod=y")
    shell = execute(repository, plan, "--param", "word=$(touch ../pwned)")
    assert not (repository.path / "state").exists()
    type_in(repository.path, "init")
    streams = type_in(repository.path, "execute", "--param", "word=y")

    assert (mistyped.status, "did you mean `word`?" in mistyped.err) == (2, True)
    assert (shell.status, "plan.yaml:3:" in shell.err, "use argv: " in shell.err) == (2, True, True)
    assert (streams.status, "a streams file has no params" in streams.err) == (2, True)


def test_a_dry_run_says_which_part_of_the_time_is_assumed(repository: RepositoryBuilder) -> None:
    plan = ONE.replace("{id: n1,", "{id: n1, est_duration_s: 120,")
    more = "  - {id: n2, tool: shell, run: x, path_claims: [x]}\nmerge_policy"

    known = execute(repository, plan, "--dry-run").out
    partly = execute(repository, plan.replace("merge_policy", more), "--dry-run").out

    assert re.search(r"^at least 2.* with 4 workers$", known, re.MULTILINE)
    assert "(the time of 1 node is assumed: no est_duration_s)" in partly


def test_misspelled_settings_of_the_environment_are_told(
    repository: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLI_ORCHESTRATOR_WORKRES", "8")

    run, shown, doctor = (
        execute(repository, ONE, "--dry-run"),
        type_in(repository.path, "config", "show"),
        type_in(repository.path, "doctor"),
    )

    for said in (run.err, shown.err, " ".join(doctor.out.split())):
        assert "`CLI_ORCHESTRATOR_WORKRES` is no setting" in said
        assert "did you mean `CLI_ORCHESTRATOR_WORKERS`?" in said
    assert (run.status, shown.status) == (0, 0)


def test_a_parent_that_ignores_dead_children_does_not_hide_how_a_program_ended(
    repository: RepositoryBuilder,
) -> None:
    plan = repository.path.parent / "plan.yaml"
    plan.write_text("nodes: [{id: n1, tool: shell, run: exit 3, retries: 0, path_claims: [a]}]\n")
    command = [sys.executable, "-m", "cli_multi_rapid.cli.main", "execute", str(plan), "--yes"]
    ended = subprocess.run(
        [sys.executable, "-c", IGNORING, *command],
        cwd=repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, "exit code 3" in ended.stdout + ended.stderr) == (1, True), ended
