"""A run that is interrupted or killed: nothing runs on, nothing is lost, and `resume` completes it."""

import signal
import time
from pathlib import Path

import pytest

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.ports import STOP_STEPS
from cli_multi_rapid.process_tree import find_marked
from tests.fakes.drivers import driving
from tests.fakes.meanwhile import shell_wait, wait_for
from tests.fakes.wardens import kill_with_wardens
from tests.fakes.worlds import World

NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_with_130_leaves_no_process_and_is_completed_by_resume(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id = world.accept(
        NO_CHECKS
        + f"""
nodes:
  - id: n1
    tool: shell
    run: "echo half > src/1; setsid sleep 61 & touch {started}; {shell_wait(go)}; echo 1 > src/1"
    path_claims: [src/1]
"""
    )
    with driving(world, run_id) as driver:
        wait_for(started)
        driver.interrupt(number)
        assert driver.end() == 130
    assert find_marked(run_id) == ()
    go.touch()
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    (interrupted, done) = story.node("n1").attempts
    assert interrupted.failure is FailureClass.INTERRUPTED
    assert done.failure is None
    assert world.repository.show("main", "src/1") == "1\n"
    world.assert_nothing_left(run_id)


def test_a_second_signal_waits_for_no_tool(world: World, tmp_path: Path) -> None:
    started, heard = tmp_path / "started", tmp_path / "heard"
    deaf = f"trap 'touch {heard}' INT TERM; touch {started}; while :; do sleep 0.1; done"
    run_id = world.accept(f'{NO_CHECKS}nodes: [{{id: n1, tool: shell, run: "{deaf}", path_claims: [src/1]}}]')
    with driving(world, run_id) as driver:
        wait_for(started)
        driver.interrupt(signal.SIGINT)
        wait_for(heard)
        began = time.monotonic()
        driver.interrupt(signal.SIGINT)
        driver.process.communicate(timeout=20)
    assert time.monotonic() - began < sum(step.wait_s for step in STOP_STEPS)
    assert find_marked(run_id) == ()


def test_a_run_that_is_interrupted_while_it_checks_lands_after_resume(world: World, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id = world.accept(
        f"""
merge_policy: {{checklist: [slow]}}
checks: {{slow: {{run: "touch {started}; {shell_wait(go)}"}}}}
nodes: [{{id: n1, tool: shell, run: "echo 1 > src/1", path_claims: [src/1]}}]
"""
    )
    with driving(world, run_id) as driver:
        wait_for(started)
        driver.interrupt(signal.SIGTERM)
        assert driver.end() == 130
    go.touch()
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert story.order_of(NodeStarted) == ["n1"]
    world.assert_nothing_left(run_id)


def test_a_run_that_is_killed_while_it_works_and_checks_leaves_nothing_running_after_resume(
    world: World, tmp_path: Path
) -> None:
    working, checking, go = tmp_path / "working", tmp_path / "checking", tmp_path / "go"
    start = world.repository.head
    run_id = world.accept(
        f"""
merge_policy: {{checklist: [slow]}}
checks: {{slow: {{run: "touch {checking}; {shell_wait(go)}"}}}}
rollback_policy: {{max_retry_attempts: 0}}
nodes:
  - {{id: n1, tool: shell, run: "echo 1 > src/1", path_claims: [src/1]}}
  - id: n2
    tool: shell
    run: "echo half > src/2; touch {working}; {shell_wait(go)}; echo 2 > src/2"
    path_claims: [src/2]
"""
    )
    with driving(world, run_id) as driver:
        wait_for(working)
        wait_for(checking)
        kill_with_wardens(driver.process, run_id)
    orphans = {leftover.pid for leftover in find_marked(run_id)}
    assert orphans
    go.touch()
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert not {leftover.pid for leftover in find_marked(run_id)}
    assert story.order_of(NodeStarted) == ["n1", "n2", "n2"]
    assert world.repository.show("main", "src/2") == "2\n"
    world.assert_only_verified_trees(start, ["slow"])
    world.assert_nothing_left(run_id)
