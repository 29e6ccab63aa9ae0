"""kill -9 at any moment, then resume: nothing lost, nothing twice, nothing left."""

import signal
from pathlib import Path

import pytest

from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.merge_events import MergeLanded
from cli_multi_rapid.core.node_events import NodeStarted, NodeSucceeded
from cli_multi_rapid.core.run_events import BudgetSettled, CommandGiven
from tests.engine.process.bench import is_alive, linux_only, until
from tests.fakes.moments import Moment, start_work
from tests.fakes.worlds import Story, World

PLAN = """
global_budget_usd: 1
merge_policy: {checklist: [ok]}
checks: {ok: {run: "! grep -rq BAD src"}}
rollback_policy: {max_retry_attempts: 0}
nodes:
  - {id: one, tool: shell, run: "echo 1 > src/1.txt", path_claims: [src/1.txt]}
  - {id: two, tool: shell, run: "cat src/1.txt > src/2.txt", deps: [one], path_claims: [src/2.txt]}
  - id: paid
    tool: scripted
    est_cost: 0.02
    path_claims: [src/p.txt]
    script: [{write: src/p.txt, text: p}, {cost: 0.01}]
  - {id: bad, tool: shell, run: "echo BAD > src/b.txt", path_claims: [src/b.txt]}
"""

KILL = "kill -9 $DRIVER"
"""Shell words of a node that kill the orchestrator: `tests.fakes.moments` says who that is."""

KILLS = {
    "while nodes work": Moment(type="node.started", at=3),
    "before anybody knows of good work": Moment(type="node.succeeded", before=True),
    "while a check runs": Moment(type="check.started"),
    "between a landing and the log": Moment(type="merge.landed", before=True),
    "before the run is said to be over": Moment(type="run.finished", before=True),
}
"""One moment for each kind of thing to be taken up. `make faults` strikes at all of a larger run."""


def crash(world: World, at: int, moment: str) -> int:
    """Drive the accepted run in another process until it kills itself; the return code."""
    return start_work(world.repository.path, "run", Moment(at=at, before=moment == "before"))


def assert_everything_happened_once(world: World, story: Story, start: str) -> None:
    """The promises about a run that was killed and resumed."""
    assert story.finished.exit_code == 1  # `bad` never lands
    assert [name for name in ("one", "two", "paid") if not story.node(name).landed] == []
    assert not story.node("bad").landed
    assert world.repository.files("main") == ["README.md", "src/1.txt", "src/2.txt", "src/a.txt", "src/p.txt"]
    landed = [entry for event in world.queue_events() for entry in _entries(event.data)]
    assert sorted(landed) == sorted(set(landed))
    world.assert_only_verified_trees(start, ["ok"])
    succeeded = story.order_of(NodeSucceeded)
    assert len(succeeded) == len(set(succeeded))
    assert story.state.ledger.reserved == 0
    settled = [fact for fact in story.all_of(BudgetSettled) if isinstance(fact, BudgetSettled)]
    assert story.state.ledger.spent == sum(fact.usage.cost for fact in settled)
    # The tool charged 0.01 per attempt; an attempt whose end nobody saw counts with what was set aside.
    attempts = story.order_of(NodeStarted).count("paid")
    assert 10_000 <= story.state.ledger.spent <= 10_000 + 20_000 * (attempts - 1)
    branch = story.node("bad").attempts[-1].branch
    kept = {attempt.branch for attempt in story.node("bad").attempts if attempt.branch}
    assert branch in kept
    world.assert_nothing_left(story.run_id, kept=sorted(kept))


def _entries(fact: object) -> tuple[str, ...]:
    return fact.entries if isinstance(fact, MergeLanded) else ()


@pytest.mark.parametrize("when", KILLS)
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(world: World, when: str) -> None:
    start = world.repository.head
    run_id: RunId = world.accept(PLAN)
    assert start_work(world.repository.path, "run", KILLS[when]) == -signal.SIGKILL
    story = world.drive(run_id)
    assert_everything_happened_once(world, story, start)


def test_a_slot_that_the_dead_process_had_kept_without_a_word_is_named(world: World) -> None:
    run = "git init -q vendor; echo work > src/1"
    policy = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"
    run_id = world.accept(policy + f"nodes: [{{id: n1, tool: shell, run: '{run}'}}]")
    moment = Moment(type="worktree.kept", before=True)
    assert start_work(world.repository.path, "run", moment) == -signal.SIGKILL
    story = world.drive(run_id)
    interrupted, again = story.node("n1").attempts
    assert (Path(interrupted.kept) / "src" / "1").read_text() == "work\n"
    assert again.kept != interrupted.kept


def test_a_run_survives_being_killed_again_and_again(world: World) -> None:
    start = world.repository.head
    run_id = world.accept(PLAN)
    crashes = [crash(world, at, "after") for at in (3, 3, 4, 5, 6)]
    assert -signal.SIGKILL in crashes
    assert_everything_happened_once(world, world.drive(run_id), start)


def test_a_finished_run_that_is_resumed_runs_nothing_again(world: World) -> None:
    first = world.execute(PLAN)
    again = world.drive(first.run_id)
    assert again.order_of(NodeStarted) == first.order_of(NodeStarted)
    assert again.finished == first.finished


def test_a_resumed_run_remembers_what_was_asked_for_at_its_start(world: World) -> None:
    plan = """
merge_policy: {checklist: []}
rollback_policy: {max_retry_attempts: 0}
nodes:
  - {id: bad, tool: shell, run: "exit 1", path_claims: [src/b]}
  - {id: later, tool: shell, run: "echo 1 > src/l", deps: [slow], path_claims: [src/l]}
  - {id: slow, tool: shell, run: "echo 1 > src/s", path_claims: [src/s], approval: before}
"""
    run_id = world.accept(plan)
    first = world.drive(run_id, fail_fast=True)
    again = world.drive(run_id)
    assert again.state.started is not None
    assert again.state.started.options["fail_fast"] is True
    assert not again.node("later").attempts
    assert first.finished.exit_code == again.finished.exit_code == 1


def test_the_half_work_of_an_attempt_is_named_though_nobody_recorded_its_failure(world: World) -> None:
    run_id = world.accept(
        """
merge_policy: {checklist: []}
rollback_policy: {max_retry_attempts: 0}
nodes: [{id: bad, tool: shell, run: "echo half > src/b; exit 1", path_claims: [src/b]}]
"""
    )
    crash(world, 3, "before")  # the run began, the attempt began, and its end was about to be recorded
    left = world.repository.git("for-each-ref", "--format=%(refname:short)", "refs/heads/lane").split()
    story = world.drive(run_id)
    first, second = story.node("bad").attempts
    assert [first.branch] == left
    assert first.commit == world.repository.commit_of(left[0])
    world.assert_nothing_left(run_id, kept=[str(first.branch), str(second.branch)])


def test_resume_removes_the_temporary_folder_of_a_killed_attempt(world: World, tmp_path: Path) -> None:
    where, killed = tmp_path / "where", tmp_path / "killed"
    run_id = world.accept(
        f"""
merge_policy: {{checklist: []}}
nodes:
  - id: n1
    tool: shell
    run: "[ -e {killed} ] || {{ echo $TMPDIR > {where}; touch {killed}; {KILL}; sleep 60; }}"
"""
    )
    assert crash(world, 99, "after") == -signal.SIGKILL
    folder = Path(where.read_text(encoding="utf-8").strip())
    assert folder.is_dir()
    assert world.drive(run_id).finished.exit_code == 0
    assert not folder.exists()


@linux_only
def test_a_child_that_left_no_trace_does_not_survive_a_killed_run(world: World, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    run_id = world.accept(
        f"""
merge_policy: {{checklist: []}}
nodes:
  - id: n1
    tool: shell
    run: |
      [ -e {pid} ] && exit 0
      (env -i setsid sh -c 'cd /; echo $$ >{pid}; exec sleep 1000' >/dev/null 2>&1 </dev/null &)
      until [ -s {pid} ]; do sleep 0.01; done
      {KILL}
      sleep 60
"""
    )
    assert crash(world, 99, "after") == -signal.SIGKILL
    assert world.drive(run_id).finished.exit_code == 0
    until(lambda: not is_alive(int(pid.read_text())), "the end of the child")


def test_a_lane_whose_commit_was_pruned_does_not_stop_a_run_that_is_taken_up_again(world: World) -> None:
    passes = world.repository.path.parent / "passes"
    run_id = world.accept(
        f'nodes: [{{id: n1, tool: shell, run: "test -e {passes} && echo 1 > a.txt", path_claims: [a.txt],'
        " retries: 0}]\n"
    )
    assert world.drive(run_id).node("n1").failure is not None
    hollow = world.repository.path / ".git/refs/heads/lane" / run_id / "n2"
    hollow.parent.mkdir(parents=True, exist_ok=True)
    hollow.write_text(f"{'e' * 40}\n")
    passes.touch()
    world.tell(run_id, CommandGiven(command="retry", by="me", node_id=NodeId("n1")))
    assert world.drive(run_id).node("n1").landed
    assert not hollow.exists()
