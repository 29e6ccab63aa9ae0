"""What a queue can tell of an entry: the trees and checks behind its verdict, newer commits, estimates."""

import re
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import ended, execute, make_gate, plan_of, saved, start, writes
from tests.fakes.repositories import RepositoryBuilder, make_repository

CHECKED = """\
version: 1
checks:
  good: {run: "! grep -rq bad --include=*.txt ."}
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(
        tmp_path / "repo", {"README.md": "# Example\n", "config/orchestrator.yaml": CHECKED}
    )


def why(repository: RepositoryBuilder, name: str) -> dict[str, Any]:
    document = type_in(repository.path, "queue", "why", name, "--format", "json").document
    assert schema_violations(document, "queue_entry") == []
    return document


def queue(repository: RepositoryBuilder, *words: str) -> int:
    return type_in(repository.path, "queue", *words).status


# --- evidence -----------------------------------------------------------------------------------------------


def test_why_names_the_tree_the_check_the_log_the_code_and_how_often_it_was_tried(
    repository: RepositoryBuilder,
) -> None:
    repository.commit_on("broken", {"broken.txt": "bad\n"})
    queue(repository, "add", "broken")
    assert queue(repository, "process") == 1
    (tree,) = why(repository, "broken")["tried"]
    (check,) = tree["checks"]
    assert tree["tree"] == repository.tree_of(tree["commit"])
    assert tree["partners"] == []
    assert (check["check"], check["verdict"], check["exit_code"]) == ("good", "failed", 1)
    assert (check["times_run"], check["reused"]) == (2, False)
    assert Path(check["log"]).exists()
    text = type_in(repository.path, "queue", "why", "broken").out
    assert f"tree {tree['tree'][:10]}, commit {tree['commit'][:10]}, alone" in text
    assert re.search(r"good: failed, exit code 1, after \d\.\d s, run 2 times\n +" + check["log"], text)


def test_why_names_the_partners_of_a_train(repository: RepositoryBuilder) -> None:
    for name in ("one", "two"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    queue(repository, "add", "one", "two")
    assert queue(repository, "process", "--workers", "1") == 0
    two = why(repository, "two")["entry"]["id"]
    (tree,) = why(repository, "one")["tried"]
    assert tree["partners"] == [two]
    assert tree["tree"] == repository.tree_of("main")
    assert f"with {two}" in type_in(repository.path, "queue", "why", "one").out


def test_why_says_that_a_verdict_was_known_before(repository: RepositoryBuilder) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    queue(repository, "add", "one")
    assert queue(repository, "process") == 0
    landed = repository.commit_of("main")
    repository.git("reset", "-q", "--hard", f"{landed}^")
    repository.commit_on("same", {"one.txt": "fine\n"})
    queue(repository, "add", "same")
    assert queue(repository, "process") == 0
    (check,) = why(repository, "same")["tried"][0]["checks"]
    assert (check["verdict"], check["reused"], check["times_run"]) == ("passed", True, 0)
    assert "good: passed, known from before" in type_in(repository.path, "queue", "why", "same").out


def test_an_entry_is_found_by_a_beginning_that_only_it_has(repository: RepositoryBuilder) -> None:
    for name in ("alpha", "alpine"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    queue(repository, "add", "alpha", "alpine")
    assert why(repository, "alpi")["entry"]["branch"] == "alpine"
    unclear = type_in(repository.path, "queue", "why", "alp")
    assert (unclear.status, "alp may mean alpha@" in unclear.err) == (2, True)
    mistyped = type_in(repository.path, "queue", "why", "alpho")
    assert (mistyped.status, "did you mean `alpha" in mistyped.err) == (2, True)


# --- sealed at its head -------------------------------------------------------------------------------------


def test_commits_that_came_after_it_was_queued_are_counted_and_named_with_the_command(
    repository: RepositoryBuilder,
) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    queue(repository, "add", "one")
    assert "newer commit" not in type_in(repository.path, "queue", "list").out
    repository.commit_on("one", {"one.txt": "finer\n"})
    repository.commit_on("one", {"more.txt": "fine\n"})
    said = "one has 2 newer commits: cli-orchestrator queue add one --target main"
    assert said in type_in(repository.path, "queue", "list").out
    assert said in type_in(repository.path, "queue", "why", "one").out
    assert why(repository, "one")["entry"]["newer_commits"] == 2
    assert queue(repository, "add", "one", "--target", "main") == 0
    assert "newer commit" not in type_in(repository.path, "queue", "list").out


def test_what_was_committed_after_a_landing_is_said_not_to_have_landed(
    repository: RepositoryBuilder,
) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    queue(repository, "add", "one")
    repository.commit_on("one", {"more.txt": "fine\n"})
    assert queue(repository, "process") == 0
    assert "one has 1 newer commit: " in type_in(repository.path, "queue", "list").out
    repository.git("branch", "-f", "one", "main")  # the person takes up what has landed
    assert "newer commit" not in type_in(repository.path, "queue", "list").out


# --- estimates and checkers ---------------------------------------------------------------------------------


def test_the_wait_is_estimated_once_a_check_has_ended_and_not_before(repository: RepositoryBuilder) -> None:
    for name in ("one", "two"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    queue(repository, "add", "one")
    assert why(repository, "one")["entry"]["estimate"] is None
    assert why(repository, "one")["no_estimate"] == "no check has ended"
    assert "no estimate yet for main: no check has ended" in type_in(repository.path, "queue", "list").out
    assert queue(repository, "process") == 0
    queue(repository, "add", "two")
    estimate = why(repository, "two")["entry"]["estimate"]
    assert 0 <= estimate["p50_s"] <= estimate["p90_s"] < 60
    assert re.search(
        r"estimate \d\.\d s \(P50\), \d\.\d s \(P90\)", type_in(repository.path, "queue", "list").out
    )


def test_the_status_of_a_run_says_how_long_the_merge_queue_will_take(repository: RepositoryBuilder) -> None:
    gate, arrival = make_gate(repository.path.parent), make_gate(repository.path.parent, "arrival")
    head = "checks: {good: {run: '%s'}}\nmerge_policy: {checklist: [good]}\n"
    assert execute(repository, plan_of(writes("a"), head=head % "true")).status == 0
    assert type_in(repository.path, "status", "--format", "json").document["landing_estimates"] == {}

    slow = plan_of(writes("b"), head=head % f'echo >"{arrival.path}"; cat "{gate.path}"')
    run = start(repository, "execute", saved(repository, slow))
    arrival.await_arrival()
    status = type_in(repository.path, "status", "--format", "json").document
    assert schema_violations(status, "status") == []
    assert list(status["landing_estimates"]) == ["b"]
    assert re.search(r" b .* CHECKING .* estimate \d", type_in(repository.path, "status").out)
    gate.open()
    assert ended(run).status == 0


def test_a_listing_needs_no_configuration_that_is_right(repository: RepositoryBuilder) -> None:
    for name in ("one", "two"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    queue(repository, "add", "one")
    assert queue(repository, "process") == 0
    queue(repository, "add", "two")
    repository.write({"config/orchestrator.yaml": "version: nonsense\n"})
    listed = type_in(repository.path, "queue", "list")
    assert (listed.status, "estimate" in listed.out) == (0, True)


def test_workers_on_the_command_line_count_more_than_the_configured_ones(
    repository: RepositoryBuilder,
) -> None:
    meeting = make_gate(repository.path.parent)  # each of two checks waits there until the other one runs
    checks = (
        f'  one: {{run: "{meeting.announce}", timeout_s: 15}}\n'
        f'  other: {{run: "{meeting.wait}", timeout_s: 15}}\n'
    )
    text = f"version: 1\nmerge_policy: {{workers: 1}}\nchecks:\n{checks}"
    repository.commit({"config/orchestrator.yaml": text})
    repository.commit_on("one", {"one.txt": "fine\n"})
    queue(repository, "add", "one")
    assert queue(repository, "process", "--workers", "2") == 0


@pytest.mark.parametrize("number", ["0", "-1", "many", "1001"])
def test_a_number_of_workers_that_cannot_be_is_refused(repository: RepositoryBuilder, number: str) -> None:
    refused = type_in(repository.path, "queue", "process", "--workers", number)
    assert refused.status == 2
    assert "Invalid value for '--workers'" in refused.err
