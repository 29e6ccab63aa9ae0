"""Looking on while a run works: watch, logs that grow, and what tools were told."""

import signal
from pathlib import Path

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import (
    ended,
    execute,
    latest_run,
    leave_behind,
    living_run,
    make_gate,
    node,
    plan_of,
    start,
    writes,
)
from tests.fakes.repositories import RepositoryBuilder, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def test_watch_tells_what_happens_until_the_run_rests_and_ends_as_it_does(
    repository: RepositoryBuilder,
) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}; echo a > a.txt"))) as run:
        watching = start(repository, "watch")
        first = watching.read_line()
        gate.open()
        told = ended(watching)
        assert ended(run).status == 0
    assert "RUNNING" in first
    assert told.status == 0
    assert "a completed" in told.out
    assert "a landed in" in told.out
    assert "SUCCESS" in told.out


def test_ctrl_c_ends_the_watching_and_leaves_the_run_alone(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}; echo a > a.txt"))) as run:
        watching = start(repository, "watch")
        watching.read_line()
        watching.send_signal(signal.SIGINT)
        assert ended(watching).status == 130
        assert run.poll() is None
        gate.open()
        assert ended(run).status == 0


def test_watching_a_run_at_rest_shows_it_and_ends_with_its_exit_code(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(node("a", "exit 1", retries=0)))
    told = type_in(repository.path, "watch")
    assert told.status == 1
    assert "FAILED" in told.out


def test_watching_a_run_that_nobody_drives_says_how_to_go_on(repository: RepositoryBuilder) -> None:
    run_id = leave_behind(repository, plan_of(writes("a")))
    told = type_in(repository.path, "watch")
    assert told.status == 1
    assert f"cli-orchestrator resume {run_id}" in told.out


# --- logs ---------------------------------------------------------------------------------------------------


def test_logs_show_what_every_attempt_wrote(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(node("a", "echo first try >&2; exit 1", retries=1), writes("b")))
    run_id = latest_run(repository)

    everything = type_in(repository.path, "logs").out
    assert everything.count("first try") == 2
    one = type_in(repository.path, "logs", "a", "--attempt", "2", "--format", "json").document
    assert schema_violations(one, "logs") == []
    assert [(log["node_id"], log["attempt"], log["text"]) for log in one["logs"]] == [("a", 2, "first try\n")]
    assert type_in(repository.path, "logs", run_id, "a").out == type_in(repository.path, "logs", "a").out


def test_the_prompt_of_an_attempt_can_be_read_afterwards(repository: RepositoryBuilder) -> None:
    plan = plan_of(node("a", "test -e ../go", retries=0, goal="Write the greeting"), writes("b", deps=["a"]))
    execute(repository, plan)
    assert type_in(repository.path, "inject", "a", "greet in French").status == 0
    type_in(repository.path, "retry", "a")

    first, second = (
        type_in(repository.path, "logs", "a", "--prompt", "--attempt", str(number)).out for number in (1, 2)
    )
    assert "Write the greeting" in first
    assert "greet in French" not in first
    assert "greet in French" in second


def test_logs_of_checks_show_why_work_did_not_land(repository: RepositoryBuilder) -> None:
    head = "checks: {words: {run: 'echo no such word; exit 1'}}\nmerge_policy: {checklist: [words]}\n"
    repository.commit({"go": "x"})
    execute(repository, plan_of(writes("a"), head=head))
    document = type_in(repository.path, "logs", "--checks", "--format", "json").document
    assert document["logs"]
    assert {log["kind"] for log in document["logs"]} == {"check"}
    assert "no such word" in type_in(repository.path, "logs", "a", "--checks").out


def test_following_logs_shows_them_grow_until_the_run_rests(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    plan = plan_of(node("a", f"echo before; {gate.wait}; echo after; echo a > a.txt"))
    with living_run(repository, plan) as run:
        following = start(repository, "logs", "a", "-f")
        seen = [following.read_line() for _ in range(2)]
        gate.open()
        told = ended(following)
        assert ended(run).status == 0
    assert seen[0].startswith("==> attempt shell of a try 1")
    assert seen[1] == "before\n"
    assert told.out == "after\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("zz",), "there is no run zz, and the latest run"),
        (("a", "--attempt", "7"), "has no try 7"),
        (("b",), "has not been started"),
        (("x", "y", "z"), "one run and one node at most"),
        (("a", "-f", "--prompt"), "do not go together"),
        (("a", "-f", "--format", "json"), "--follow writes text"),
    ],
)
def test_words_that_name_no_log_are_refused(
    repository: RepositoryBuilder, words: tuple[str, ...], said: str
) -> None:
    execute(repository, plan_of(node("a", "exit 1", retries=0), writes("b", deps=["a"])))
    told = type_in(repository.path, "logs", *words)
    assert told.status == 2
    assert said in told.out + told.err
