"""Checkers at work at the same moment: a slot for each, and an end counts only for its own check."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import RunChecks
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.engine.check_desk import CheckDesk
from cli_multi_rapid.engine.check_runner import CheckJob, CheckRunner
from cli_multi_rapid.engine.inbox import CheckEnded, Inbox
from cli_multi_rapid.engine.queue_opening import check_runner
from cli_multi_rapid.engine.queue_processor import process_queue
from cli_multi_rapid.process_terms import CancelToken
from cli_multi_rapid.worktrees import SlotState
from tests.engine.process.bench import is_alive, linux_only, until
from tests.fakes.drivers import driving
from tests.fakes.meanwhile import shell_wait, wait_for
from tests.fakes.queues import MAIN, check
from tests.fakes.worlds import World


def job_of(world: World, tmp_path: Path, spec: CheckSpec) -> CheckJob:
    """A check of the target's tip."""
    head = world.repository.head
    tree = world.repository.tree_of("HEAD")
    return CheckJob(
        check=spec, commit=head, tree=tree, key="key", entries=(), log=tmp_path / f"{spec.id}.log"
    )


def test_the_verifier_and_the_queue_check_at_the_same_moment(world: World, tmp_path: Path) -> None:
    meet = f"touch {tmp_path}/$0; {shell_wait(tmp_path / 'one')}; {shell_wait(tmp_path / 'other')}"
    specs = [CheckSpec(id=check("").id, argv=("sh", "-c", meet, name)) for name in ("one", "other")]
    with world.workshop() as shop, ThreadPoolExecutor(2) as pool:
        runners = [check_runner(shop, MAIN), check_runner(shop, MAIN)]

        def run(runner: CheckRunner, spec: CheckSpec) -> CheckFinished:
            with CancelToken() as token:
                return runner.run(job_of(world, tmp_path / spec.argv[-1], spec), token)

        ends = list(pool.map(run, runners, specs))
    assert [end.verdict for end in ends] == [Verdict.PASSED, Verdict.PASSED]


def test_the_end_of_a_check_that_was_called_off_is_not_taken_for_that_of_its_successor(
    world: World, tmp_path: Path
) -> None:
    first, go = tmp_path / "first", tmp_path / "go"
    # The first time it does not end by itself, the second time it waits for us and passes.
    spec = check(f"[ -e {first} ] || {{ trap '' INT; touch {first}; sleep 60; }}; {shell_wait(go)}")
    with world.workshop() as shop:
        inbox = Inbox()
        desk = CheckDesk(check_runner(shop, MAIN), inbox, tmp_path / "logs", workers=2, fingerprint="")
        try:
            start(desk, world, spec)
            wait_for(first)
            desk.keep_only(())
            start(desk, world, spec)
            ends = [*next_ends(inbox)]
            assert [desk.accept(end) for end in ends] == [False]
            assert desk.busy
            go.touch()
            (end,) = next_ends(inbox)
            assert desk.accept(end)
            assert verdicts(end) == [Verdict.PASSED]
        finally:
            desk.close()


def start(desk: CheckDesk, world: World, spec: CheckSpec) -> None:
    """Hand a check of the target's tip to the desk."""
    commit, tree = world.repository.head, world.repository.tree_of("HEAD")
    (job,) = desk.jobs_for(RunChecks(tree=tree, commit=commit, checks=(spec,), entries=()), QueueState(MAIN))
    desk.start(job)


def next_ends(inbox: Inbox) -> list[CheckEnded]:
    """The next ends that the checkers tell of."""
    ends = [message for message in inbox.wait(20.0) if isinstance(message, CheckEnded)]
    assert ends, "waited in vain for the end of a check"
    return ends


def verdicts(end: CheckEnded) -> list[Verdict]:
    """What a checker found."""
    return [fact.verdict for fact in end.facts if isinstance(fact, CheckFinished)]


@linux_only
def test_a_checker_dies_with_its_killed_orchestrator_and_whoever_comes_next_gives_its_slot_back(
    world: World, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    # Its parent is the warden, whose parent is the orchestrator.
    kill = "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"
    die = f"[ -e {killed} ] || {{ echo $$ >{killed}; {kill}; exec sleep 1000; }}"
    run_id = world.accept(
        f"""
merge_policy: {{checklist: [ok]}}
checks: {{ok: {{run: "{die}"}}}}
nodes: [{{id: n1, tool: shell, run: "echo 1 > src/1.txt"}}]
"""
    )
    with driving(world, run_id) as driver:
        assert driver.process.wait(20.0) == -signal.SIGKILL
    until(lambda: not is_alive(int(killed.read_text())), "the end of the check")
    with world.workshop() as shop:
        process_queue(shop, MAIN, lambda _event: None)
        assert {info.state for info in shop.worktrees.list()} == {SlotState.POOLED}
    assert "src/1.txt" in world.repository.files("main")


def test_a_finding_keeps_the_dot_that_its_path_begins_with(world: World, tmp_path: Path) -> None:
    spec = check("echo ....; echo ./src/a.txt:1:TODO; exit 1")
    with world.workshop() as shop, CancelToken() as token:
        ended = check_runner(shop, MAIN).run(job_of(world, tmp_path, spec), token)
    assert ended.reason.endswith("exit code 1: ./src/a.txt:1:TODO")
