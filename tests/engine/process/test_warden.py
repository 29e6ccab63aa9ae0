"""A guarded program: whatever it started dies with the orchestrator, and nobody else notices the warden."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from cli_multi_rapid import process_steward
from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.ports import StopStep
from cli_multi_rapid.process import (
    CancelToken,
    ExitOutcome,
    Supervision,
    find_marked,
    inherited_environment,
    kill_marked,
)
from cli_multi_rapid.process_start import start_guarded
from cli_multi_rapid.process_steward import STEWARD, order_of
from cli_multi_rapid.process_table import MARKER_VARIABLE, command_of, living_processes
from tests.engine.process.bench import PATIENCE_S, Bench, children, is_alive, linux_only, until
from tests.fakes.wardens import kill_with_wardens

pytestmark = linux_only

ORCHESTRATOR = """
import os, sys
from pathlib import Path
from cli_multi_rapid.process import *
from cli_multi_rapid.redaction import Redactor
marker, folder, script = sys.argv[1:]
os.chdir(folder)
become_subreaper()
supervise(
    ["sh", "-c", script], cwd=Path.cwd(), env=inherited_environment(), marker=marker, log=Path("log"),
    redactor=Redactor(), supervision=Supervision(timeout_s=None, guarded=True), cancel=CancelToken(),
)
"""

TRACELESS = (
    "(env -i setsid sh -c 'cd /; echo $$ >$0/pid; exec sleep 1000' $PWD >/dev/null 2>&1 </dev/null &) ; "
)
"""Starts an orphan with no marker, no session, no parent, no folder and no file of ours."""

UNTIL_GO = "until [ -e go ]; do sleep 0.01; done"


@pytest.fixture
def crashed(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose orchestrator is another process. What that leaves may become our zombie."""
    bench = Bench(tmp_path)
    yield bench
    kill_marked(bench.marker)
    bench.cancel.close()


@pytest.fixture
def guarded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(Bench, "guarded", True)
    return bench


def start_orchestrator(bench: Bench, script: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", ORCHESTRATOR, bench.marker, str(bench.here), script]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3])


def warden_of(bench: Bench) -> int:
    (session,) = {process.session for process in living_processes() if process.pid == bench.pid("program")}
    return session


def stewards_of(orchestrator: int) -> list[int]:
    return [
        process.pid
        for process in living_processes()
        if process.parent == orchestrator
        and process.session != process.pid
        and "process_warden.py" in command_of(process.pid)
    ]


def steward_of(orchestrator: int) -> int:
    (steward,) = stewards_of(orchestrator)
    return steward


def test_a_child_that_left_no_trace_dies_with_a_killed_orchestrator(crashed: Bench) -> None:
    orchestrator = start_orchestrator(
        crashed, f"{TRACELESS} trap '' INT TERM HUP; echo $$ >program; while :; do sleep 1000; done"
    )
    orphan, program, warden = crashed.pid("pid"), crashed.pid("program"), warden_of(crashed)
    assert is_alive(orphan)
    orchestrator.kill()
    orchestrator.wait()
    until(lambda: not any(map(is_alive, (orphan, program, warden))), "the end of all of them")


@pytest.mark.usefixtures("subreaper")
def test_a_program_whose_orchestrator_dies_during_the_handover_dies_too(crashed: Bench) -> None:
    own = {**crashed.env, MARKER_VARIABLE: crashed.marker}
    for order in (b"", order_of(["sleep", "1000"], None, own)):
        warden = STEWARD.warden()
        warden.lifeline.sendall(order)
        warden.lifeline.close()  # before the warden can say which process it started
        assert warden.stdout is not None
        warden.stdout.close()
        assert warden.wait() != 0
        assert find_marked(crashed.marker) == ()


@pytest.mark.usefixtures("subreaper")
def test_a_steward_that_was_killed_is_replaced_and_its_wardens_go_on(guarded: Bench) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(guarded.supervise, f"echo $$ >other; {UNTIL_GO}; exit 3", name="other")
        guarded.pid("other")
        steward = steward_of(os.getpid())
        os.kill(steward, signal.SIGKILL)
        assert guarded.supervise("exit 4").code == 4
        assert steward_of(os.getpid()) != steward
        (guarded.here / "go").touch()
        assert other.result(PATIENCE_S).code == 3


@pytest.mark.usefixtures("subreaper")
def test_every_program_starts_however_often_somebody_kills_the_steward(guarded: Bench) -> None:
    codes: list[int | None] = []

    def start_some(first: int) -> None:
        for code in range(first, first + 10):
            codes.append(guarded.supervise(f"exit {code}", name=f"storm-{code}").code)  # noqa: PERF401  # one by one

    before = children()
    threads = [Thread(target=start_some, args=(first,), daemon=True) for first in (0, 10, 20, 30)]
    for thread in threads:
        thread.start()
    killed: set[int] = set()
    while any(thread.is_alive() for thread in threads):
        steward = STEWARD._process  # a warden that has no order yet looks the same from outside
        may_go_on = len(killed) < process_steward._ATTEMPTS - 1  # so that no program can meet more of them
        if may_go_on and steward is not None and steward.returncode is None and steward.pid not in killed:
            steward.kill()
            killed.add(steward.pid)
        threads[0].join(0.03)
    assert killed
    assert sorted(filter(None, codes)) == [*range(1, 40)]
    STEWARD.dismiss()
    assert children() == before


@pytest.mark.usefixtures("subreaper")
def test_a_steward_that_was_stopped_is_replaced(guarded: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_steward, "_LONGEST_WAIT_S", 0.5)
    STEWARD.dismiss()
    STEWARD.stand_ready()
    (steward,) = stewards_of(os.getpid())
    os.kill(steward, signal.SIGSTOP)
    assert guarded.supervise("exit 4").code == 4
    assert not is_alive(steward)
    STEWARD.dismiss()  # the next one has the usual patience


@pytest.mark.usefixtures("subreaper")
def test_a_warden_that_could_not_watch_over_its_program_starts_none(guarded: Bench) -> None:
    """No thread can be had: address space for its stack is lacking."""
    assert guarded.supervise("true").ok  # the steward is up, and as big as it gets
    (steward,) = stewards_of(os.getpid())
    pages = int(Path(f"/proc/{steward}/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * 1024 * 1024
    resource.prlimit(steward, resource.RLIMIT_AS, (most, most))
    try:
        with pytest.raises(EnvironmentFault, match="temporarily unavailable"):
            guarded.supervise("touch started")
        assert not (guarded.here / "started").exists()
    finally:
        STEWARD.dismiss()


@pytest.mark.usefixtures("subreaper")
def test_a_program_without_a_folder_of_its_own_runs_in_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    for folder, expected in ((None, tmp_path), (Path("below"), tmp_path / "below")):
        started = start_guarded(["pwd"], folder, {**inherited_environment(), MARKER_VARIABLE: "-"})
        assert started.leader.wait() == 0
        assert started.leader.stdout is not None
        with started.leader.stdout as output:
            assert output.read().decode().strip() == str(expected)
        started.let_go()


@pytest.mark.parametrize("how", ["killed", "done"])
def test_a_steward_ends_with_its_orchestrator(crashed: Bench, how: str) -> None:
    orchestrator = start_orchestrator(crashed, f"echo $$ >program; {UNTIL_GO}")
    crashed.pid("program")
    steward = steward_of(orchestrator.pid)
    if how == "killed":
        orchestrator.kill()
        orchestrator.wait()
        until(lambda: not is_alive(steward), "the steward's end")
    else:
        (crashed.here / "go").touch()
        assert orchestrator.wait(PATIENCE_S) == 0
        assert not is_alive(steward)


def test_when_the_warden_was_killed_as_well_a_resume_still_finds_what_has_the_marker(crashed: Bench) -> None:
    orchestrator = start_orchestrator(crashed, "setsid sleep 1000 & echo $! >pid; echo $$ >program; wait")
    child, program = crashed.pid("pid"), crashed.pid("program")
    kill_with_wardens(orchestrator, crashed.marker)
    assert {child, program} <= {left.pid for left in find_marked(crashed.marker)}
    assert all(left.killed for left in kill_marked(crashed.marker))
    assert not is_alive(child)
    assert not is_alive(program)


@pytest.mark.usefixtures("subreaper")
def test_an_orphan_without_a_trace_ends_with_its_guarded_program_whoever_else_runs(guarded: Bench) -> None:
    os.mkfifo(guarded.here / "gate")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(guarded.supervise, "echo $$ >other; read x <gate", name="other")
        guarded.pid("other")
        end = guarded.supervise(f"{TRACELESS} until [ -s pid ]; do :; done; exit 3")
        assert (end.outcome, end.code) == (ExitOutcome.EXITED, 3)
        assert not is_alive(guarded.pid("pid"))
        (guarded.here / "gate").write_text("go\n")
        assert other.result(PATIENCE_S).ok


@pytest.mark.usefixtures("subreaper")
def test_a_guarded_program_looks_like_any_other(guarded: Bench) -> None:
    end = guarded.supervise("cat; echo out; echo err >&2; nohup true; exit 3")
    assert (end.outcome, end.code, end.output, end.leftovers) == (ExitOutcome.EXITED, 3, b"out\nerr\n", ())
    end = guarded.supervise("kill -9 $PPID; exec sleep 1000")
    assert (end.outcome, end.signal) == (ExitOutcome.SIGNALLED, signal.SIGKILL)
    end = guarded.supervise("kill -SEGV $$")
    assert (end.outcome, end.signal) == (ExitOutcome.SIGNALLED, signal.SIGSEGV)
    with CancelToken() as cancel:
        end = guarded.supervise(
            "trap 'exit 7' INT; echo ready; sleep 1000 & wait",
            limits=Supervision(
                timeout_s=PATIENCE_S, stops=(StopStep(signal=signal.SIGINT, wait_s=PATIENCE_S),)
            ),
            cancel=cancel,
            on_line=lambda _: cancel.cancel("enough"),
        )
    assert (end.outcome, end.code) == (ExitOutcome.CANCELLED, 7)
    assert guarded.cancelled_when_ready("trap '' INT TERM; echo ready; sleep 1000; :").outcome is (
        ExitOutcome.CANCELLED
    )


def blocked_and_ignored(bench: Bench) -> tuple[set[int], set[int]]:
    """The signals that a program finds blocked and ignored, but for those that libc keeps for its threads.

    `posix_spawn` leaves them ignored, as `system` does, and libc takes them over when it needs them.
    """
    said = bench.supervise("grep Sig[BI] /proc/self/status").output.decode().split()
    blocked, ignored = (int(mask, 16) for mask in said[1::2])
    return signals_in(blocked), signals_in(ignored) - {32, 33}


def signals_in(mask: int) -> set[int]:
    return {number + 1 for number in range(64) if mask >> number & 1}


@pytest.mark.usefixtures("subreaper")
@pytest.mark.parametrize("hangup", [signal.SIG_DFL, signal.SIG_IGN], ids=["usual", "nohup"])
def test_a_guarded_program_ignores_the_same_signals_as_any_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, hangup: signal.Handlers
) -> None:
    before = signal.signal(signal.SIGHUP, hangup)
    try:
        alone = blocked_and_ignored(bench)
        assert (signal.SIGHUP in alone[1]) == (hangup is signal.SIG_IGN)
        monkeypatch.setattr(Bench, "guarded", True)
        assert blocked_and_ignored(bench) == alone
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_warden_kills_what_lives_below_it_even_when_it_has_no_time_left() -> None:
    script = (
        "import subprocess; from cli_multi_rapid import process_warden as warden; warden._LONGEST_HUNT_S = 0;"
        "below = subprocess.Popen(['sleep', '9'], stdout=2); warden._kill_descendants(); print(below.wait(4))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], check=False, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert said.stdout == b"-9\n"


@pytest.mark.usefixtures("subreaper")
def test_the_warden_keeps_no_output_open(guarded: Bench) -> None:
    wait = "until [ $(readlink /proc/$PPID/fd/2) = /dev/null ]; do sleep 0.01; done"
    end = guarded.supervise(f"{wait}; readlink /proc/$PPID/fd/1", limits=Supervision(timeout_s=5))
    assert (end.outcome, end.output) == (ExitOutcome.EXITED, b"/dev/null\n")


def test_a_guarded_program_that_cannot_be_started_is_told_as_any_other(guarded: Bench) -> None:
    end = guarded.supervise(["no-such-program"])
    assert (end.outcome, "no-such-program" in end.problem) == (ExitOutcome.NOT_FOUND, True)
    with pytest.raises(UserError, match="NUL"):
        guarded.supervise(["echo", "a\0b"])
    with pytest.raises(EnvironmentFault, match="too long"):
        guarded.supervise(["echo", "x" * 300_000])
