"""What a person who is new here types and misreads: every answer names the next word to type."""

import os
import re
import signal
from pathlib import Path

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import ended, execute, living_run, make_gate, plan_of, writes
from tests.fakes.repositories import RepositoryBuilder, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def test_a_filter_that_fits_no_run_does_not_say_that_there_are_none(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("a")))
    told = type_in(repository.path, "runs", "--status", "FAILED", "--status", "PARTIAL")
    assert (told.status, told.out) == (
        0,
        "no run is FAILED or PARTIAL; list them all: cli-orchestrator runs\n",
    )


def test_the_queue_knows_the_nodes_of_the_latest_run(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("a")))
    assert "MERGED" in type_in(repository.path, "queue", "why", "a").out
    landed = type_in(repository.path, "queue", "retry", "a")
    assert (landed.status, "has landed" in landed.err) == (2, True)
    assert type_in(repository.path, "queue", "why", "nobody").status == 2


def test_doctor_names_the_version_of_git_and_counts_in_words(
    repository: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = type_in(repository.path, "doctor").out
    assert re.search(r"git program +2\.\d+\S* at /\S+ \(2\.38 or newer\)", " ".join(found.split()))
    repository.write({"config/orchestrator.yaml": "workers: none\n"})
    assert re.search(r"\b1 problem\b|\d+ problems", type_in(repository.path, "doctor").out)
    assert "1 problems" not in type_in(repository.path, "doctor").out


def test_where_correlation_ids_come_from_is_in_the_help(tmp_path: Path) -> None:
    assert "correlation_id: " in type_in(tmp_path, "coordination", "report", "--help").out


def test_an_example_of_help_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    assert "cli-orchestrator CLI_ORCHESTRATOR" not in type_in(tmp_path, "config", "show", "--help").out


def test_overlapping_streams_are_listed_in_the_way_that_the_hint_names(repository: RepositoryBuilder) -> None:
    repository.write(
        {
            "s.yaml": """\
streams:
  - {id: one, tool: shell, scope: {paths: ["docs/**"]}, phases: []}
  - {id: two, tool: shell, scope: {paths: ["docs/a.md"]}, phases: []}
execution_order: [{parallel: [one, two]}]
"""
        }
    )
    refused = type_in(repository.path, "streams", "list", "s.yaml")
    assert (refused.status, "--serialize-overlaps" in refused.err) == (2, True)
    listed = type_in(repository.path, "streams", "list", "s.yaml", "--serialize-overlaps")
    assert (listed.status, "two" in listed.out) == (0, True), listed.err


def test_money_of_an_attempt_whose_end_nobody_saw_is_told_as_assumed(repository: RepositoryBuilder) -> None:
    gate, arrival = make_gate(repository.path.parent), make_gate(repository.path.parent, "arrival")
    repository.commit(
        {
            "config/tools.yaml": f"""\
version: 1
tools:
  - name: writer
    argv: [sh, -c, "{arrival.announce}; {gate.wait}; echo a > a.txt", "{{prompt}}"]
"""
        }
    )
    plan = (
        "plan_id: dear\nglobal_budget_usd: 10\nmerge_policy: {checklist: []}\n"
        "nodes: [{id: a, tool: writer, goal: write, est_cost: 1.5, max_cost: 1.5, path_claims: [a.txt]}]\n"
    )
    with living_run(repository, plan, "--allow-unpriced") as run:
        arrival.await_arrival()
        os.kill(run.pid, signal.SIGKILL)
        ended(run)
    for name in (gate, arrival):
        name.path.unlink()
    gate.path.write_text("open")
    assert type_in(repository.path, "resume", "--allow-unpriced").status == 0

    document = type_in(repository.path, "cost", "--format", "json").document
    assert schema_violations(document, "cost") == []
    assert [group["assumed_usd"] for group in document["groups"]] == [1.5]
    assert "of it $1.50 is assumed" in type_in(repository.path, "cost").out
    assert "$1.50 of it is assumed" in type_in(repository.path, "status").out
    assert "$1.50 of it is assumed" in type_in(repository.path, "report", "--format", "md").out
    report = type_in(repository.path, "report", "--format", "json").document
    assert report["cost_summary"]["assumed_usd"] == 1.5


def test_what_nobody_can_tell_the_cost_of_runs_by_the_command_that_is_advised(
    repository: RepositoryBuilder,
) -> None:
    argv = '[sh, -c, "echo done > a.txt", "{prompt}"]'
    repository.commit({"config/tools.yaml": f"version: 1\ntools: [{{name: writer, argv: {argv}}}]\n"})
    plan = repository.path / "dear.yaml"
    plan.write_text(
        "plan_id: dear\nglobal_budget_usd: 10\nmerge_policy: {checklist: []}\n"
        "nodes: [{id: a, tool: writer, goal: write, path_claims: [a.txt]}]\n"
    )
    left_out = type_in(repository.path, "execute", str(plan))
    assert left_out.status == 3
    assert "nobody can tell what a costs" in left_out.out
    advised = left_out.out.partition("cli-orchestrator resume ")[2].splitlines()[0].split()
    assert advised[1:] == ["--allow-unpriced"]
    assert type_in(repository.path, "resume", *advised).status == 0
    assert repository.git("show", "main:a.txt") == "done"
