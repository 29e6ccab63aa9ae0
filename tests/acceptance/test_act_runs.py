"""Acting on runs: resume, retry, consent, pause and cancel, on runs at rest, at work and left behind."""

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
    wait_for_event,
    writes,
)
from tests.fakes.repositories import RepositoryBuilder, make_repository

PRICED = """\
plan_id: priced
nodes:
  - {id: cheap, tool: scripted, goal: g, est_cost: 0.10, priority: 1, path_claims: [cheap.txt],
     script: [{cost: 0.10}, {write: cheap.txt, text: c}]}
  - {id: dear, tool: scripted, goal: g, est_cost: 5, max_cost: 6, priority: 2, path_claims: [dear.txt],
     script: [{cost: 5}, {write: dear.txt, text: d}]}
merge_policy: {checklist: []}
global_budget_usd: 1
"""
ASKING = plan_of(writes("a", approval="landing"), writes("b", approval="before"))


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def statuses(repository: RepositoryBuilder) -> dict[str, str]:
    """`<status> <merge status>` of every node of the latest run."""
    document = type_in(repository.path, "status", "--format", "json").document
    return {line["node_id"]: f"{line['status']} {line['merge_status']}" for line in document["nodes"]}


def attempts(repository: RepositoryBuilder) -> dict[str, int]:
    document = type_in(repository.path, "status", "--format", "json").document
    return {line["node_id"]: len(line["attempts"]) for line in document["nodes"]}


# --- resume -------------------------------------------------------------------------------------------------


def test_resume_without_arguments_continues_the_latest_run(repository: RepositoryBuilder) -> None:
    leave_behind(repository, plan_of(writes("a"), writes("b", deps=["a"])))
    resumed = type_in(repository.path, "resume")
    assert resumed.status == 0, resumed.err
    assert "b landed" in resumed.err
    assert (repository.path / "artifacts/reports" / f"{latest_run(repository)}_report.json").exists()
    assert "SUCCESS" in resumed.out


def test_after_kill_9_resume_lands_everything_and_runs_nothing_finished_again(
    repository: RepositoryBuilder,
) -> None:
    gate = make_gate(repository.path.parent)
    plan = plan_of(
        writes("a"), node("b", f"test -e ../../../../go || {gate.wait}; echo b > b.txt", deps=["a"])
    )
    with living_run(repository, plan) as run:
        wait_for_event(repository, "merge.landed", stream=latest_run(repository))
        run.kill()
        ended(run)
    gate.path.unlink()
    gate.path.write_text("open for ever")
    told = type_in(repository.path, "status").out
    assert "no process has it in hand" in told
    resumed = type_in(repository.path, "resume", "--format", "json")
    assert resumed.status == 0, resumed.err
    assert schema_violations(resumed.document, "report") == []
    assert statuses(repository) == {"a": "completed MERGED", "b": "completed MERGED"}
    assert attempts(repository)["a"] == 1


def test_what_the_queue_did_while_nobody_drove_the_run_is_not_told_as_if_it_happened_now(
    repository: RepositoryBuilder,
) -> None:
    gate, arrival = make_gate(repository.path.parent), make_gate(repository.path.parent, "arrival")
    check = f"[ -e {repository.path.parent}/open ] || {{ {arrival.announce}; {gate.wait}; }}; test ! -e a.txt"
    head = f'merge_policy: {{checklist: [no]}}\nchecks: {{no: {{run: "{check}"}}}}\n'.replace("'", "")
    with living_run(repository, plan_of(writes("a"), head=head)) as run:
        arrival.await_arrival()
        run.kill()
        ended(run)
    assert set(statuses(repository).values()) == {"completed QUEUED"}
    (repository.path.parent / "open").touch()
    assert type_in(repository.path, "queue", "process").status == 1

    resumed = type_in(repository.path, "resume")

    told = [line for line in resumed.err.splitlines() if "check no failed" in line or "did not land" in line]
    assert len(told) >= 2, resumed.err
    assert all(line.endswith(" (before the run was taken up again)") for line in told)


def test_resuming_a_run_that_is_done_changes_nothing(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("a")))
    before = type_in(repository.path, "events", "--format", "json").document
    resumed = type_in(repository.path, "resume")
    assert resumed.status == 0
    assert "nothing is left to do" in resumed.out
    assert type_in(repository.path, "events", "--format", "json").document == before


def test_a_run_in_which_only_a_retry_can_help_is_told_and_not_touched(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(node("a", "exit 1", retries=0), writes("b", deps=["a"])))
    before = type_in(repository.path, "events", "--format", "json").document
    resumed = type_in(repository.path, "resume")
    assert resumed.status == 1
    assert f"cli-orchestrator retry {latest_run(repository)} a" in resumed.out
    assert type_in(repository.path, "events", "--format", "json").document == before


def test_a_larger_budget_lets_the_rest_run(repository: RepositoryBuilder) -> None:
    assert execute(repository, PRICED).status == 3
    assert type_in(repository.path, "resume").status == 3
    resumed = type_in(repository.path, "resume", "--budget", "20")
    assert resumed.status == 0, resumed.err
    assert attempts(repository) == {"cheap": 1, "dear": 1}


def test_a_run_in_other_hands_is_not_resumed_but_told_of_a_budget(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}; echo a > a.txt"))) as run:
        refused = type_in(repository.path, "resume")
        told = type_in(repository.path, "resume", "--budget", "7", "--format", "json")
        gate.open()
        assert ended(run).status == 0
    assert refused.status == 5
    assert f"pid {run.pid}" in refused.err
    assert told.status == 0
    assert schema_violations(told.document, "command") == []
    assert f"pid {run.pid}" in told.document["driven_by"]
    assert type_in(repository.path, "status", "--format", "json").document["cost_summary"]["budget_usd"] == 7


def test_a_budget_that_is_no_amount_is_refused(repository: RepositoryBuilder) -> None:
    leave_behind(repository, plan_of(writes("a")))
    refused = type_in(repository.path, "resume", "--budget", "lots")
    assert refused.status == 2
    assert "'lots' is not an amount in dollars" in refused.err


# --- retry --------------------------------------------------------------------------------------------------


def flaky_plan(repository: RepositoryBuilder) -> str:
    """Fails until a file `repaired` lies beside the repository."""
    repaired = repository.path.parent / "repaired"
    return plan_of(
        node("a", f"test -e {repaired} && echo a > a.txt", retries=0),
        writes("b", deps=["a"]),
        writes("c"),
    )


def test_a_failed_node_is_done_again_with_all_that_waited_for_it(repository: RepositoryBuilder) -> None:
    assert execute(repository, flaky_plan(repository)).status == 1
    (repository.path.parent / "repaired").touch()
    retried = type_in(repository.path, "retry", "a")
    assert retried.status == 0, retried.err
    assert statuses(repository) == dict.fromkeys("abc", "completed MERGED")
    assert attempts(repository) == {"a": 2, "b": 1, "c": 1}


def test_a_retry_can_be_left_for_later(repository: RepositoryBuilder) -> None:
    execute(repository, flaky_plan(repository))
    (repository.path.parent / "repaired").touch()
    recorded = type_in(repository.path, "retry", latest_run(repository), "a", "--no-resume")
    assert recorded.status == 0
    assert "recorded; no process has the run in hand" in recorded.out
    assert f"cli-orchestrator resume {latest_run(repository)}" in recorded.out
    assert statuses(repository)["a"] == "failed None"
    assert type_in(repository.path, "resume").status == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("c", "is done and landed"),
        ("b", "retry {run} a"),
        ("x", "its nodes are: a, b, c"),
    ],
)
def test_what_cannot_be_done_again_is_refused_with_what_to_do(
    repository: RepositoryBuilder, name: str, said: str
) -> None:
    execute(repository, flaky_plan(repository))
    refused = type_in(repository.path, "retry", name)
    assert refused.status == 2
    assert said.format(run=latest_run(repository)) in refused.err


# --- consent ------------------------------------------------------------------------------------------------


def test_approving_continues_the_run_here_and_now(repository: RepositoryBuilder) -> None:
    assert execute(repository, ASKING).status == 4
    approved = type_in(repository.path, "approve")
    assert approved.status == 0, approved.err
    assert statuses(repository) == dict.fromkeys("ab", "completed MERGED")


def test_one_node_is_approved_and_the_run_waits_for_the_other(repository: RepositoryBuilder) -> None:
    execute(repository, ASKING)
    assert type_in(repository.path, "approve", "b").status == 4
    assert statuses(repository) == {"a": "completed QUEUED", "b": "completed MERGED"}
    assert type_in(repository.path, "approve", latest_run(repository), "a", "--no-resume").status == 0
    assert type_in(repository.path, "resume").status == 0


def test_rejected_work_keeps_its_branch_and_the_reason_is_on_record(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("a", approval="landing")))
    rejected = type_in(repository.path, "reject", "a", "--reason", "wrong file")
    assert rejected.status == 1
    assert statuses(repository) == {"a": "completed CANCELLED"}
    assert "wrong file" in type_in(repository.path, "status").out
    branch = f"lane/{latest_run(repository)}/a"
    assert repository.show(branch, "a.txt") == "a\n"
    assert branch in rejected.out


def test_a_rejected_start_never_happens(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("b", approval="before")))
    assert type_in(repository.path, "reject", "b").status == 1
    assert statuses(repository) == {"b": "cancelled None"}
    assert attempts(repository) == {"b": 0}


def test_consent_that_nobody_asked_for_is_refused(repository: RepositoryBuilder) -> None:
    execute(repository, ASKING)
    type_in(repository.path, "approve", "b")
    assert "what waits: a" in type_in(repository.path, "approve", "b").err
    type_in(repository.path, "approve")
    for words in (("approve",), ("approve", "a"), ("reject", "a")):
        refused = type_in(repository.path, *words)
        assert refused.status == 2, words


# --- a run at work ------------------------------------------------------------------------------------------


def test_cancelling_a_living_run_returns_at_once_and_ends_its_processes(
    repository: RepositoryBuilder,
) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}"), writes("b", deps=["a"]))) as run:
        told = type_in(repository.path, "cancel", "--reason", "wrong plan", "--format", "json")
        assert ended(run).status == 1
    assert told.status == 0
    assert schema_violations(told.document, "command") == []
    assert told.document["driven_by"]
    assert statuses(repository)["b"] == "cancelled None"
    assert "wrong plan" in type_in(repository.path, "status").out


def test_one_node_that_has_not_started_is_called_off(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    plan = plan_of(node("a", f"{gate.wait}; echo a > a.txt"), writes("b", deps=["a"]))
    with living_run(repository, plan) as run:
        started = type_in(repository.path, "cancel", "a")
        assert type_in(repository.path, "cancel", "b").status == 0
        wait_for_event(repository, "node.cancelled", stream=latest_run(repository))
        gate.open()
        ended(run)
    assert started.status == 2
    assert "only a node that has not started" in started.err
    assert statuses(repository) == {"a": "completed MERGED", "b": "cancelled None"}


def test_a_paused_run_starts_nothing_until_it_may_go_on(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    plan = plan_of(node("a", f"{gate.wait}; echo a > a.txt"), writes("b", deps=["a"]))
    with living_run(repository, plan) as run:
        run_id = latest_run(repository)
        assert type_in(repository.path, "pause").status == 0
        wait_for_event(repository, "run.paused", stream=run_id)
        gate.open()
        wait_for_event(repository, "merge.landed", stream=run_id)
        assert statuses(repository) == {"a": "completed MERGED", "b": "pending None"}
        assert "unpause" in type_in(repository.path, "status").out
        assert type_in(repository.path, "unpause").status == 0
        assert ended(run).status == 0


def test_a_paused_run_whose_process_died_goes_on_with_resume(repository: RepositoryBuilder) -> None:
    leave_behind(repository, plan_of(writes("a")))
    assert "recorded" in type_in(repository.path, "pause").out
    assert type_in(repository.path, "resume").status == 0


def test_ctrl_c_ends_a_run_in_order_and_resume_continues_it(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}; echo a > a.txt"))) as run:
        run.send_signal(signal.SIGINT)
        assert ended(run).status == 130
    gate.path.unlink()
    gate.path.write_text("open for ever")
    assert type_in(repository.path, "resume").status == 0
    assert statuses(repository) == {"a": "completed MERGED"}


@pytest.mark.parametrize("words", [("cancel",), ("pause",), ("unpause",), ("inject", "hurry")])
def test_a_run_at_rest_has_nothing_to_stop(repository: RepositoryBuilder, words: tuple[str, ...]) -> None:
    execute(repository, plan_of(writes("a")))
    refused = type_in(repository.path, *words)
    assert refused.status == 2
    assert f"there is nothing to {words[0]}" in refused.err
    assert type_in(repository.path, "events").out.count("command.given") == 0


def test_an_empty_text_tells_nobody_anything(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("a")))
    assert type_in(repository.path, "inject", " ").status == 2
    assert type_in(repository.path, "inject", "a", "b", "c", "d").status == 2


def test_consent_and_retries_reach_a_run_at_work(repository: RepositoryBuilder) -> None:
    gate, repaired = make_gate(repository.path.parent), repository.path.parent / "repaired"
    plan = plan_of(
        node("slow", f"{gate.wait}; echo slow > slow.txt"),
        writes("asks", approval="landing"),
        node("fails", f"test -e {repaired} && echo fails > fails.txt", retries=0),
    )
    with living_run(repository, plan) as run:
        run_id = latest_run(repository)
        wait_for_event(repository, "approval.requested", stream=run_id)
        wait_for_event(repository, "node.failed", stream=run_id)
        repaired.touch()
        for words in (("approve", "asks"), ("retry", "fails"), ("inject", "slow", "hurry up")):
            told = type_in(repository.path, *words)
            assert told.status == 0, told.err
            assert f"told pid {run.pid}" in told.out
        wait_for_event(repository, "merge.landed", stream=run_id)
        gate.open()
        assert ended(run).status == 0
    assert set(statuses(repository).values()) == {"completed MERGED"}


def test_a_run_that_a_person_cancelled_stays_cancelled(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    plan = plan_of(
        writes("a"), node("b", f"{gate.wait}; echo b > b.txt", deps=["a"]), writes("c", deps=["b"])
    )
    with living_run(repository, plan) as run:
        wait_for_event(repository, "merge.landed", stream=latest_run(repository))
        assert type_in(repository.path, "cancel").status == 0
        assert ended(run).status == 1
    before = type_in(repository.path, "events").out

    for more in ([], ["--budget", "5"]):
        again = type_in(repository.path, "resume", *more)
        assert (again.status, "CANCELLED" in again.out) == (1, True)

    assert type_in(repository.path, "events").out == before
