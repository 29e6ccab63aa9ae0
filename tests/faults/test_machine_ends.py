"""Threads die, signals come once and again, the terminal closes: the run ends in order or goes on."""

import signal
import time
from pathlib import Path

import pytest

from cli_multi_rapid.process_tree import find_marked
from tests.acceptance.test_closed_terminal import window
from tests.fakes.meanwhile import shell_wait, wait_for, wait_until
from tests.faults.conftest import Tell
from tests.faults.rows import Part
from tests.faults.struck_runs import Scene, end_of, make_scene

_SLOW_CHECK = """\
plan_id: struck
nodes:
  - {{id: one, tool: shell, run: "echo 1 > src/one", path_claims: [src/one]}}
  - {{id: two, tool: shell, run: "echo 2 > src/two", deps: [one], path_claims: [src/two]}}
  - {{id: three, tool: shell, run: "echo 3 > src/three", deps: [two], path_claims: [src/three]}}
checks: {{ok: {{run: "touch {started}; {wait}"}}}}
merge_policy: {{checklist: [ok]}}
rollback_policy: {{max_retry_attempts: 0}}
"""

_STUBBORN = """\
plan_id: struck
nodes:
  - id: two
    tool: shell
    run: "[ ! -e {go} ] || exit 0; trap 'touch {heard}' INT TERM; touch {started}; while :; do sleep .1; done"
    path_claims: ["src/**"]
merge_policy: {{checklist: []}}
"""

_LAST_WORDS_S = 5.0
"""How long a tool may take to end by itself after the first signal, and more than a second signal allows."""


# --- threads ----------------------------------------------------------------------------------------------


def unlucky(file: Path) -> list[str | Path]:
    """The program whose threads die when a file names them."""
    return ["tests.faults.unlucky_program", "thread", file]


def end_threads(file: Path, name: str) -> None:
    """Have the threads of a name ended, and wait until it is so."""
    file.write_text(name)
    wait_for(file.with_suffix(".done"))


def test_a_worker_thread_that_dies_costs_its_attempt_and_no_more(tmp_path: Path, tell: Tell) -> None:
    scene, dying = make_scene(tmp_path), tmp_path / "dying"
    with scene.at_work(instead=unlucky(dying)) as program:
        end_threads(dying, "worker")
        scene.go.touch()
        ended = end_of(program)
    assert ended.status == 0, ended.err
    assert "two try 1 failed: the thread of the attempt died: SystemExit" in ended.err
    scene.assert_whole()
    tell(
        Part.MACHINE,
        "a worker's thread dies in the middle of an attempt",
        "the attempt is named as failed, costs no retry and is done again: exit 0, everything landed",
    )


def test_a_checkers_thread_that_dies_is_no_verdict_on_the_work(tmp_path: Path, tell: Tell) -> None:
    scene, dying = make_scene(tmp_path), tmp_path / "dying"
    plan = scene.plan(_SLOW_CHECK.format(started=scene.started, wait=shell_wait(scene.go)))
    with scene.typing("execute", plan, instead=unlucky(dying)) as program:
        wait_for(scene.started)
        end_threads(dying, "check")
        scene.go.touch()
        ended = end_of(program)
    assert "SystemExit" in ended.err
    if ended.status != 0:
        assert scene.resume().status == 0
    scene.assert_whole()
    tell(
        Part.MACHINE,
        "a checker's thread dies in the middle of a check",
        f"exit {ended.status}, said so; everything landed on verified trees",
    )


def test_without_the_thread_that_listens_commands_are_heard_nevertheless(tmp_path: Path, tell: Tell) -> None:
    scene, dying = make_scene(tmp_path), tmp_path / "dying"
    with scene.at_work(instead=unlucky(dying)) as program:
        end_threads(dying, "bus")
        assert scene.type("pause").status == 0
        assert scene.type("unpause").status == 0
        scene.go.touch()
        ended = end_of(program)
    assert ended.status == 0, ended.err
    scene.assert_whole()
    tell(
        Part.MACHINE,
        "the thread that hears of other processes dies",
        "commands are heard within two seconds all the same; exit 0, everything landed",
    )


# --- signals ----------------------------------------------------------------------------------------------


def stubborn(scene: Scene) -> Path:
    """A plan whose tool heeds no signal but SIGKILL, until `go` is there."""
    return scene.plan(_STUBBORN.format(go=scene.go, started=scene.started, heard=heard(scene)))


def heard(scene: Scene) -> Path:
    """Is there when the tool was asked to end."""
    return scene.started.with_name("heard")


def nobody_left(scene: Scene) -> bool:
    """Whether every process of the run is gone."""
    return not find_marked(scene.run_id)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_in_order_and_resume_finishes_it(
    tmp_path: Path, tell: Tell, number: signal.Signals
) -> None:
    scene = make_scene(tmp_path)
    with scene.at_work() as program:
        program.send_signal(number)
        ended = end_of(program)
    assert ended.status == 130
    assert f"interrupted by {number.name}" in ended.out
    assert "cli-orchestrator resume " in ended.out
    assert nobody_left(scene)
    scene.go.touch()
    assert scene.resume().status == 0
    scene.assert_whole()
    tell(Part.MACHINE, f"{number.name}, once", "exit 130 with `resume`, no process left; resume finished")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_no_tool(tmp_path: Path, tell: Tell, number: signal.Signals) -> None:
    scene = make_scene(tmp_path)
    with scene.typing("execute", stubborn(scene)) as program:
        wait_for(scene.started)
        program.send_signal(number)
        wait_for(heard(scene))
        began = time.monotonic()
        program.send_signal(number)
        ended = end_of(program)
        took_s = time.monotonic() - began
    assert ended.status == 130
    assert "stopped at once; go on with: cli-orchestrator resume " in ended.err
    assert took_s < _LAST_WORDS_S
    assert nobody_left(scene)
    scene.go.touch()
    assert scene.resume().status == 0
    tell(
        Part.MACHINE,
        f"{number.name} twice, the tool heeds no signal",
        f"exit 130 after {took_s:.1f} s with `resume`, no process left; resume finished",
    )


def test_a_third_signal_leaves_no_process_either(tmp_path: Path, tell: Tell) -> None:
    scene = make_scene(tmp_path)
    with scene.typing("execute", stubborn(scene)) as program:
        wait_for(scene.started)
        for _ in range(20):
            if program.poll() is not None:
                break
            program.send_signal(signal.SIGINT)
            time.sleep(0.05)
        program.communicate()
    assert program.returncode in (130, -signal.SIGINT)
    wait_until(lambda: nobody_left(scene), "the end of the tool")
    scene.go.touch()
    assert scene.resume().status == 0
    tell(
        Part.MACHINE,
        "SIGINT again and again, the tool heeds no signal",
        f"exit {program.returncode}, no process left, as wardens kill what is; resume finished",
    )


# --- terminal ---------------------------------------------------------------------------------------------


def test_a_closed_terminal_interrupts_the_run_that_it_controls_alone(tmp_path: Path, tell: Tell) -> None:
    for controlling, status in ((True, 130), (False, 0)):
        scene = make_scene(tmp_path / str(status))
        with window(scene.repository, ["execute", scene.plan()], controlling=controlling) as shown:
            wait_for(scene.started)
            shown.close()
            if not controlling:
                scene.go.touch()
            assert shown.program.wait(timeout=60) == status, shown.said.decode()
        scene.go.touch()
        assert scene.resume().status == 0
        scene.assert_whole()
    tell(
        Part.MACHINE,
        "the terminal closes: the run's own (hang-up), and one that it only writes to",
        "exit 130 and resume finished; exit 0, the run went on unheard",
        cases=2,
    )
