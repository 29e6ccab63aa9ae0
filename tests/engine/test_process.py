"""Programs that hang, flood, flee and die: they end when they must, and nothing of them is left."""

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli_multi_rapid import process_table
from cli_multi_rapid.core.errors import EnvironmentFault, InternalError, UserError
from cli_multi_rapid.process import (
    MARKER_VARIABLE,
    CancelToken,
    Exit,
    ExitOutcome,
    ProgramMissing,
    ProgramTimeout,
    Supervision,
    base_environment,
    become_subreaper,
    find_marked,
    inherited_environment,
    kill_marked,
    run,
    supervise,
    which,
)
from cli_multi_rapid.process_output import BoundedLog, Excerpt
from cli_multi_rapid.process_table import Process, pids_since, read_process
from cli_multi_rapid.redaction import Redactor

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

PATIENCE_S = 20.0
"""Seconds after which something that must happen is taken for never happening."""

SECRET = "hunter2-and-more"


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what another process does, where nothing wakes us."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} never happened"
        time.sleep(0.002)


def is_alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and not process.dead


def children() -> set[int]:
    """Our children, zombies included."""
    processes = (read_process(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {process.pid for process in processes if process is not None and process.parent == os.getpid()}


class Bench:
    """Runs shell scripts under supervision; `$HERE` is a folder in which they leave their process ids."""

    def __init__(self, here: Path) -> None:
        self.here = here
        self.marker = f"{here.name}/{os.getpid()}"
        self.env = {**inherited_environment(), "HERE": str(here)}
        self.cancel = CancelToken()
        self._count = 0

    def supervise(
        self,
        script: str | list[str],
        *,
        limits: Supervision | None = None,
        name: str = "",
        cancel: CancelToken | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Exit:
        self._count += 1
        name = name or str(self._count)
        return supervise(
            ["sh", "-c", script] if isinstance(script, str) else script,
            cwd=self.here,
            env=self.env,
            marker=f"{self.marker}/{name}",
            log=self.here / "logs" / f"{name}.log",
            redactor=Redactor([SECRET]),
            supervision=limits or Supervision(timeout_s=PATIENCE_S),
            cancel=cancel or self.cancel,
            on_line=on_line,
        )

    def cancelled_when_ready(self, script: str) -> Exit:
        """Supervise with a short patience and cancel as soon as the script says `ready`."""
        with CancelToken() as cancel:
            return self.supervise(
                script,
                limits=Supervision(timeout_s=PATIENCE_S, grace_s=0.05, kill_after_s=0.05),
                cancel=cancel,
                on_line=lambda line: cancel.cancel("enough") if line == "ready" else None,
            )

    def pid(self, name: str) -> int:
        """A process id that a script wrote to a file, as soon as it is there."""
        path = self.here / name
        until(lambda: path.exists() and path.read_text().endswith("\n"), f"writing {name}")
        return int(path.read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    before = children() if sys.platform == "linux" else set()
    bench = Bench(tmp_path)
    yield bench
    bench.cancel.close()
    if sys.platform == "linux":
        assert find_marked(bench.marker) == ()
        assert children() - before == set(), "zombies are left"


@pytest.fixture
def subreaper() -> Iterator[None]:
    """This process adopts orphans, until the end of the test."""
    assert become_subreaper()
    yield
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


@pytest.fixture(params=["adopting", "by marker", "after a long time"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways in which survivors are found."""
    if request.param == "adopting":
        request.getfixturevalue("subreaper")
    if request.param == "after a long time":
        monkeypatch.setattr(process_table, "_TRUSTED_AGE_S", 0.0)


# --- quick calls --------------------------------------------------------------------------------------------


def test_a_quick_call_gives_output_errors_and_return_code() -> None:
    done = run(["sh", "-c", "cat; echo two; echo ' wrong ' >&2; exit 3"], env=os.environ, stdin=b"one\n")
    assert (done.ok, done.returncode, done.text, done.error_text) == (False, 3, "one\ntwo", "wrong")
    assert done.argv[0] == "sh"


def test_a_quick_call_sees_the_given_environment_and_nothing_else() -> None:
    assert run(["/usr/bin/env"], env={"ONLY": "this"}).text == "ONLY=this"


def test_a_quick_call_runs_in_the_given_folder_with_nothing_to_read(tmp_path: Path) -> None:
    assert run(["sh", "-c", "pwd; cat"], cwd=tmp_path, env=os.environ).text == str(tmp_path)


def test_bytes_that_are_no_text_survive_a_quick_call() -> None:
    done = run(["printf", r"\377\n"], env=os.environ)
    assert done.text.encode("utf-8", "surrogateescape") == b"\xff"


def test_a_quick_call_takes_and_gives_more_than_a_pipe_holds() -> None:
    data = b"x" * 1_000_000
    done = run(["sh", "-c", "cat | tee /dev/stderr"], env=os.environ, stdin=data)
    assert (done.stdout, done.stderr) == (data, data)


def test_a_signal_shows_as_a_negative_return_code() -> None:
    assert run(["sh", "-c", "kill -TERM $$"], env=os.environ).returncode == -signal.SIGTERM


def test_a_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program") as caught:
        run(["no-such-program"], env=os.environ)
    assert "install" in caught.value.hint


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    with pytest.raises(ProgramMissing, match="cannot be executed"):
        run([str(tmp_path / "data")], env=os.environ)


def test_a_missing_folder_is_not_mistaken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"folder .*gone") as caught:
        run(["true"], cwd=tmp_path / "gone", env=os.environ)
    assert not isinstance(caught.value, ProgramMissing)


def test_a_nul_in_an_argument_is_the_callers_mistake() -> None:
    with pytest.raises(UserError, match="NUL"):
        run(["echo", "a\0b"], env=os.environ)


def test_an_overlong_command_line_is_explained() -> None:
    with pytest.raises(EnvironmentFault, match="too long"):
        run(["true", "x" * 10_000_000], env=os.environ)


@linux_only
def test_a_quick_call_that_takes_too_long_dies_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(ProgramTimeout, match=r"within 0\.3 s"):
        run(["sh", "-c", "sleep 1000 & echo $! >pid; wait"], cwd=tmp_path, env=os.environ, timeout_s=0.3)
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the death of the child")


# --- environments and look-ups ------------------------------------------------------------------------------


def test_an_agent_gets_what_it_needs_and_what_it_declares_but_no_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GIT_DIR", "CLI_ORCHESTRATOR_HOME", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LC_TIME", "C")
    env = base_environment({"ANTHROPIC_API_KEY": "declared"})
    assert env["PATH"] == os.environ["PATH"]
    assert env["HOME"] == os.environ["HOME"]
    assert (env["LC_TIME"], env["ANTHROPIC_API_KEY"]) == ("C", "declared")
    assert env.keys().isdisjoint(
        {"GIT_DIR", "CLI_ORCHESTRATOR_HOME", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD"}
    )


def test_a_users_command_gets_the_users_environment_without_gits_and_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "x")
    monkeypatch.setenv(MARKER_VARIABLE, "x")
    monkeypatch.setenv("MY_SETTING", "kept")
    env = inherited_environment()
    assert env["MY_SETTING"] == "kept"
    assert not [name for name in env if name.startswith(("GIT_", "CLI_ORCHESTRATOR_"))]


def test_a_program_is_found_on_the_given_path_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    env = {"PATH": f"relative:.::{tmp_path}"}
    assert which("tool", env) is None
    program.chmod(0o755)
    assert which("tool", env) == program
    assert which("tool", {"PATH": ".:"}) is None
    assert which("./tool", {}) == program
    assert which(str(program), {}) == program
    assert which(str(tmp_path), {}) is None
    assert which("", env) is None
    assert which("sh", {}) is not None


# --- how a supervised program ends --------------------------------------------------------------------------


def test_a_program_that_ends_by_itself_is_reported_with_its_output(bench: Bench) -> None:
    end = bench.supervise("echo out; echo err >&2; exit 3")
    assert (end.outcome, end.code, end.signal, end.ok) == (ExitOutcome.EXITED, 3, None, False)
    assert end.output == b"out\nerr\n"
    assert end.log.read_bytes() == b"out\nerr\n"
    assert end.log.stat().st_mode & 0o777 == 0o600
    assert (end.leftovers, end.problem, end.log_truncated_bytes) == ((), "", 0)


def test_success_is_an_exit_with_zero(bench: Bench) -> None:
    assert bench.supervise("true").ok


def test_a_program_that_a_signal_ended_has_no_exit_code(bench: Bench) -> None:
    end = bench.supervise("kill -KILL $$")
    assert (end.outcome, end.code, end.signal) == (ExitOutcome.SIGNALLED, None, signal.SIGKILL)


def test_a_missing_program_is_an_outcome_and_not_an_exception(bench: Bench) -> None:
    end = bench.supervise(["no-such-program"])
    assert (end.outcome, end.code) == (ExitOutcome.NOT_FOUND, None)
    assert "no-such-program" in end.problem


def test_a_log_that_cannot_be_written_stops_before_the_start(bench: Bench) -> None:
    (bench.here / "logs").write_text("a file")
    with pytest.raises(EnvironmentFault, match="log"):
        bench.supervise("touch started")
    assert not (bench.here / "started").exists()


def test_a_program_gets_no_input_its_marker_and_a_session_of_its_own(bench: Bench) -> None:
    end = bench.supervise(f"cat; echo ${MARKER_VARIABLE}; echo $$; ps -o sid= -p $$", name="n1/2")
    marker, pid, session = end.output.split()
    assert marker.decode() == f"{bench.marker}/n1/2"
    assert pid == session


def test_a_program_without_output_that_closed_it_early_is_waited_for(bench: Bench) -> None:
    end = bench.supervise("exec >&- 2>&-; mkfifo gate; (echo >gate) & read x <gate; touch done; exit 4")
    assert end.code == 4
    assert (bench.here / "done").exists()


def test_the_cpu_time_of_the_program_and_its_children_is_counted(bench: Bench) -> None:
    end = bench.supervise("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; sh -c 'exit 0'")
    assert 0.01 < end.cpu_s <= end.duration_s * 2 + 0.1


def test_a_timeout_ends_the_program_and_says_so(bench: Bench) -> None:
    end = bench.supervise(["sleep", "1000"], limits=Supervision(timeout_s=0.1))
    assert (end.outcome, end.signal) == (ExitOutcome.TIMED_OUT, signal.SIGINT)
    assert end.duration_s < PATIENCE_S / 2


def test_a_cancelled_agent_may_say_its_last_words(bench: Bench) -> None:
    with CancelToken() as cancel:
        end = bench.supervise(
            "trap 'echo cost: 3; exit 0' INT; echo ready; while :; do sleep 0.01; done",
            cancel=cancel,
            on_line=lambda line: cancel.cancel(f"no more {SECRET}") if line == "ready" else None,
        )
    assert (end.outcome, end.code) == (ExitOutcome.CANCELLED, 0)
    assert end.output == b"ready\ncost: 3\n"
    assert end.problem == "no more [redacted]"


def test_a_program_that_heeds_only_sigterm_gets_it(bench: Bench) -> None:
    end = bench.cancelled_when_ready(
        "trap '' INT; trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
    )
    assert (end.outcome, end.code) == (ExitOutcome.CANCELLED, 7)


@linux_only
def test_a_program_that_ignores_all_requests_is_killed_with_its_tree(bench: Bench) -> None:
    end = bench.cancelled_when_ready(
        "trap '' INT TERM; setsid sleep 1000 & echo $! >pid; echo ready; while :; do sleep 0.01; done"
    )
    assert (end.outcome, end.signal) == (ExitOutcome.CANCELLED, signal.SIGKILL)
    assert not is_alive(bench.pid("pid"))
    assert "sleep 1000" in [left.command for left in end.leftovers]


@linux_only
def test_a_stopped_program_is_killed_too(bench: Bench) -> None:
    impatient = Supervision(timeout_s=None, grace_s=0.05, kill_after_s=0.05)
    with ThreadPoolExecutor(1) as pool, CancelToken() as cancel:
        end = pool.submit(bench.supervise, "echo $$ >pid; kill -STOP $$", limits=impatient, cancel=cancel)
        status = Path(f"/proc/{bench.pid('pid')}/status")
        until(lambda: "\nState:\tT" in status.read_text(), "the stop")
        cancel.cancel("stop")
        assert end.result(PATIENCE_S).signal == signal.SIGKILL


def test_a_cancellation_from_another_thread_wakes_the_wait_at_once(bench: Bench) -> None:
    with ThreadPoolExecutor(1) as pool, CancelToken() as cancel:
        waiting = pool.submit(bench.supervise, "echo $$ >pid; exec sleep 1000", cancel=cancel)
        bench.pid("pid")
        start = time.monotonic()
        cancel.cancel("stop")
        cancel.cancel("too late")
        end = waiting.result(PATIENCE_S)
    assert time.monotonic() - start < 1
    assert (end.outcome, end.problem) == (ExitOutcome.CANCELLED, "stop")


def test_what_was_cancelled_before_its_start_is_not_started(bench: Bench) -> None:
    bench.cancel.cancel("never mind")
    end = bench.supervise("touch started")
    assert (end.outcome, end.problem) == (ExitOutcome.CANCELLED, "never mind")
    assert not (bench.here / "started").exists()


def test_a_cancel_token_is_readable_for_all_waiters_once_cancelled() -> None:
    with CancelToken() as token:
        assert (token.cancelled, token.reason) == (False, "")
        assert select.select([token], [], [], 0)[0] == []
        token.cancel("because")
        for _ in range(2):
            assert select.select([token], [], [], 0)[0] == [token]
        assert (token.cancelled, token.reason) == (True, "because")
    token.cancel("after the end")
    token.close()


@linux_only
def test_a_reader_of_the_output_that_fails_leaves_nothing_running(bench: Bench) -> None:
    def fail(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="ready"):
        bench.supervise("setsid sleep 1000 & echo $! >pid; echo ready; exec sleep 1000", on_line=fail)
    assert not is_alive(bench.pid("pid"))


def test_supervision_works_without_pidfds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert bench.supervise("echo out; exit 3").code == 3
    assert bench.supervise("exec sleep 1000", limits=Supervision(timeout_s=0.1)).signal == signal.SIGINT
    if sys.platform == "linux":
        assert len(bench.supervise("setsid sleep 1000 & exit 0").leftovers) == 1


# --- what outlives its program ------------------------------------------------------------------------------

ESCAPES = {
    "in the background": "sleep 1000 & echo $! >pid",
    "in its own session": "setsid sleep 1000 & echo $! >pid",
    "forked twice": "(setsid sh -c 'echo $$ >pid; exec sleep 1000' &)",
    "deaf": "setsid sh -c 'trap \"\" INT TERM HUP; echo $$ >pid; while :; do sleep 1000; done' &",
    "with a child that lost the marker": "setsid sh -c 'env -i sleep 1000 & echo $! >pid; wait' &",
    "holding the output open": "setsid sh -c 'echo $$ >pid; while :; do echo flood; done' &",
    "with its output closed": "setsid sleep 1000 >/dev/null 2>&1 & echo $! >pid",
}


@linux_only
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
@pytest.mark.parametrize("ending", ["exit", "cancel"])
def test_no_child_outlives_its_program(bench: Bench, escape: str, ending: str) -> None:
    written = "until [ -s pid ]; do sleep 0.002; done"
    if ending == "exit":
        end = bench.supervise(f"{escape}\n{written}; exit 5")
        assert (end.outcome, end.code) == (ExitOutcome.EXITED, 5)
    else:
        end = bench.cancelled_when_ready(f"{escape}\n{written}; echo ready; exec sleep 1000")
        assert end.outcome is ExitOutcome.CANCELLED
    pid = bench.pid("pid")
    assert not is_alive(pid)
    if ending == "exit":
        assert pid in [left.pid for left in end.leftovers]
    assert all(left.killed for left in end.leftovers)


@linux_only
@pytest.mark.usefixtures("subreaper")
def test_an_orphan_without_any_trace_is_killed_because_it_was_adopted(bench: Bench) -> None:
    end = bench.supervise(
        "env -i setsid sh -c 'echo $$ >pid; exec sleep 1000' & until [ -s pid ]; do :; done"
    )
    assert not is_alive(bench.pid("pid"))
    assert [left.command for left in end.leftovers] == ["sleep 1000"]


@linux_only
@pytest.mark.usefixtures("subreaper")
def test_orphans_that_died_by_themselves_leave_no_zombies(bench: Bench) -> None:
    # The fixture counts the zombies. The fifo's reader gets its end of file when the orphans are gone.
    end = bench.supervise("mkfifo gate; (setsid sh -c 'exit 0' & setsid true &) >gate & cat gate; exit 6")
    assert end.code == 6


@linux_only
def test_a_fork_storm_is_ended(bench: Bench) -> None:
    storm = (
        "storm() { while :; do setsid sh -c 'sleep 0.01; sleep 1000' & sleep 0.005; done; }; storm & storm &"
    )
    end = bench.supervise(f"{storm} echo $! >pid; sleep 0.1; exit 0")
    assert len(end.leftovers) > 3
    assert all(left.killed for left in end.leftovers)


@linux_only
def test_secrets_in_the_command_of_a_leftover_are_masked(bench: Bench) -> None:
    end = bench.supervise(
        f"setsid sh -c 'echo $$ >pid; sleep 1000; : {SECRET}' & until [ -s pid ]; do :; done"
    )
    commands = " ".join(left.command for left in end.leftovers)
    assert "[redacted]" in commands
    assert SECRET not in commands


# --- side by side -------------------------------------------------------------------------------------------


@linux_only
@pytest.mark.usefixtures("way")
def test_four_at_once_do_not_disturb_each_other(bench: Bench) -> None:
    script = "setsid sleep 1000 & echo $! >pid.{0}; read x <gate.{0}; exit {0}"
    numbers = range(4)
    for number in numbers:
        os.mkfifo(bench.here / f"gate.{number}")
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(bench.supervise, script.format(n), name=f"{n}") for n in numbers]
        pids = [bench.pid(f"pid.{number}") for number in numbers]
        for number in numbers:
            assert all(is_alive(pid) for pid in pids[number:])
            (bench.here / f"gate.{number}").write_text("go\n")
            end = ends[number].result(PATIENCE_S)
            assert (end.code, [left.pid for left in end.leftovers]) == (number, [pids[number]])
            assert not is_alive(pids[number])


@linux_only
@pytest.mark.usefixtures("subreaper")
def test_an_orphan_that_might_be_anothers_lives_until_the_last_program_ends(bench: Bench) -> None:
    os.mkfifo(bench.here / "gate")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(bench.supervise, "echo $$ >other; read x <gate", name="other")
        bench.pid("other")
        first = bench.supervise(
            "env -i setsid sh -c 'echo $$ >pid; exec sleep 1000' & until [ -s pid ]; do :; done"
        )
        pid = bench.pid("pid")
        assert (first.leftovers, is_alive(pid)) == ((), True)
        (bench.here / "gate").write_text("go\n")
        assert [left.pid for left in other.result(PATIENCE_S).leftovers] == [pid]
    assert not is_alive(pid)


@linux_only
@pytest.mark.usefixtures("subreaper")
def test_many_programs_in_many_threads_all_report_their_own_end(bench: Bench) -> None:
    def one(number: int) -> tuple[int | None, bytes, int]:
        end = bench.supervise(
            f"echo {number}; (setsid sleep 1000 &) ; (true &); exit {number}", name=f"{number}"
        )
        return end.code, end.output, len(end.leftovers)

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(one, range(60)))
    # A child that is still forking when its parent ends may be gone or not: at most one each is left to kill.
    assert [(code, output) for code, output, _ in ends] == [(n, f"{n}\n".encode()) for n in range(60)]


@linux_only
@pytest.mark.usefixtures("subreaper")
def test_quick_calls_beside_supervised_programs_keep_their_exit_status(bench: Bench) -> None:
    stop = threading.Event()

    def quick_calls() -> set[int]:
        codes = set()
        while not stop.is_set():
            codes.add(run(["sh", "-c", "exit 9"], env=bench.env).returncode)
        return codes

    with ThreadPoolExecutor(2) as pool:
        quick = pool.submit(quick_calls)
        for _ in range(30):
            bench.supervise("(setsid true &); exit 0")
        stop.set()
        assert quick.result(PATIENCE_S) == {9}


def test_two_running_programs_cannot_share_a_marker(bench: Bench) -> None:
    os.mkfifo(bench.here / "gate")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bench.supervise, "echo $$ >pid; read x <gate", name="same")
        bench.pid("pid")
        with pytest.raises(InternalError, match="same"):
            bench.supervise("true", name="same")
        (bench.here / "gate").write_text("go\n")
        assert first.result(PATIENCE_S).code == 0


# --- output -------------------------------------------------------------------------------------------------


def test_a_flood_leaves_a_bounded_log_with_both_ends(bench: Bench) -> None:
    limit = 1_000_000
    end = bench.supervise(
        "echo BEGIN; yes 'one more line of output' | head -c 50000000; echo; echo END",
        limits=Supervision(timeout_s=None, max_log_bytes=limit, excerpt_bytes=1000),
    )
    assert end.code == 0
    log = end.log.read_bytes()
    assert limit * 0.99 < len(log) < limit + 200
    assert log.startswith(b"BEGIN\none more line of output\n")
    assert log.endswith(b"\nEND\n")
    assert f"{end.log_truncated_bytes} bytes are missing".encode() in log
    assert end.log_truncated_bytes > 48_000_000
    assert (len(end.output_head), len(end.output_tail)) == (1000, 1000)
    assert end.output_tail.endswith(b"END\n")
    assert end.output.count(b"missing here") == 1
    assert end.output_missing_bytes + 2000 == 50_000_000 + len("BEGIN\n\nEND\n")


def test_a_secret_that_is_written_in_two_parts_is_masked(bench: Bench) -> None:
    # The second part follows when the first was read: FIONREAD tells what is still in the pipe.
    script = f"""
import array, fcntl, os, termios
def write(text):
    os.write(1, text.encode())
    waiting = array.array("i", [1])
    while waiting[0]:
        fcntl.ioctl(1, termios.FIONREAD, waiting)
write("login {SECRET[:7]}")
write("{SECRET[7:]} done\\n")
"""
    lines: list[str] = []
    end = bench.supervise([sys.executable, "-c", script], on_line=lines.append)
    assert end.code == 0
    assert end.log.read_bytes() == end.output == b"login [redacted] done\n"
    assert lines == ["login [redacted] done"]


def test_whoever_watches_gets_each_line_and_the_unfinished_last_one(bench: Bench) -> None:
    lines: list[str] = []
    bench.supervise(r"printf 'one\r\n\ntwo\377\nthree'", on_line=lines.append)
    assert lines == ["one", "", "two\ufffd", "three"]


def test_whoever_watches_gets_an_endless_line_in_pieces(bench: Bench) -> None:
    lines: list[str] = []
    bench.supervise("head -c 1000000 /dev/zero | tr '\\0' x", on_line=lines.append)
    assert "".join(lines) == "x" * 1_000_000
    assert max(map(len, lines)) < 250_000


def test_a_log_that_cannot_grow_does_not_end_the_program(bench: Bench) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        end = bench.supervise("yes | head -c 1000000; echo END")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert end.code == 0
    assert end.output_tail.endswith(b"END\n")
    assert "log is incomplete" in end.problem
    assert end.log.stat().st_size == 100_000


@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
@pytest.mark.parametrize("total", [0, 99, 100, 101, 150, 249, 5000])
def test_the_log_keeps_the_head_and_the_last_whole_lines(tmp_path: Path, piece: int, total: int) -> None:
    text = b"".join(b"%04d\n" % number for number in range(1000))[:total]
    log = BoundedLog(tmp_path / "log", 100)
    for start in range(0, total, piece):
        log.write(text[start : start + piece])
    missing = log.finish()
    log.close()
    content = (tmp_path / "log").read_bytes()
    if total <= 100:
        assert (content, missing) == (text, 0)
    else:
        head, _, tail = content.split(b"\n[...")[0], *content.split(b"...]\n")
        assert head == text[:50]
        assert text.endswith(tail)
        assert text[-len(tail) - 1 : -len(tail)] in (b"\n", b"")
        assert len(head) + len(tail) + missing == total


@pytest.mark.parametrize("size", [0, 1, 10])
@pytest.mark.parametrize("total", [0, 1, 10, 15, 20, 21, 500])
def test_an_excerpt_is_exact_at_both_ends(size: int, total: int) -> None:
    text = bytes(range(256)) * 2
    text = text[:total]
    excerpt = Excerpt(size)
    for start in range(0, total, 3):
        excerpt.add(text[start : start + 3])
    assert excerpt.head == text[:size]
    assert text[size:].endswith(excerpt.tail)
    assert len(excerpt.head) + excerpt.missing + len(excerpt.tail) == total
    assert excerpt.missing == max(0, total - 2 * size)


# --- after a crash ------------------------------------------------------------------------------------------

RUN = """
import os, sys
from pathlib import Path
from cli_multi_rapid.process import *
from cli_multi_rapid.redaction import Redactor
os.chdir(sys.argv[2])
become_subreaper()
supervise(
    ["sh", "-c", "trap '' INT TERM; setsid sleep 1000 & echo $! >detached; echo $$ >leader; sleep 1000; :"],
    cwd=Path.cwd(), env=inherited_environment(), marker=sys.argv[1], log=Path("log"), redactor=Redactor(),
    supervision=Supervision(timeout_s=None), cancel=CancelToken(),
)
"""


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """Starts sleeping processes with a marker below one that is unique to the test."""
    with contextlib.ExitStack() as ends:

        def start(marker: str) -> "subprocess.Popen[bytes]":
            env = {"PATH": os.environ["PATH"], MARKER_VARIABLE: f"{tmp_path.name}/{marker}"}
            sleeper = subprocess.Popen(["sleep", "1000"], env=env, start_new_session=True)
            ends.callback(sleeper.wait)
            ends.callback(sleeper.kill)
            return sleeper

        yield start


@linux_only
def test_what_a_killed_run_left_behind_is_found_and_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    command = [sys.executable, "-c", RUN, f"{bench.marker}/n1/1", str(tmp_path)]
    crashed = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    leader, detached = bench.pid("leader"), bench.pid("detached")
    crashed.kill()
    crashed.wait()
    assert {leader, detached} <= {left.pid for left in find_marked(bench.marker)}
    assert is_alive(leader)
    killed = kill_marked(bench.marker)
    assert {leader, detached} <= {left.pid for left in killed}
    assert all(left.killed for left in killed)
    assert not is_alive(leader)
    assert not is_alive(detached)
    assert (find_marked(bench.marker), kill_marked(bench.marker)) == ((), ())
    bench.cancel.close()


@linux_only
def test_a_marker_covers_what_lies_below_it_and_not_what_begins_alike(
    tmp_path: Path, marked: Callable[[str], "subprocess.Popen[bytes]"]
) -> None:
    exact, below, alike = marked("run1"), marked("run1/n1/2"), marked("run10/n1/2")
    assert {left.pid for left in find_marked(f"{tmp_path.name}/run1/")} == {exact.pid, below.pid}
    assert {left.pid for left in kill_marked(f"{tmp_path.name}/run1")} == {exact.pid, below.pid}
    assert (exact.wait(), below.wait()) == (-signal.SIGKILL, -signal.SIGKILL)
    assert alike.poll() is None
    assert [left.killed for left in find_marked(f"{tmp_path.name}/run10")] == [False]


@linux_only
def test_a_resume_from_inside_an_agent_does_not_kill_itself(
    tmp_path: Path, marked: Callable[[str], "subprocess.Popen[bytes]"]
) -> None:
    other = marked("run1/other")
    marker = f"{tmp_path.name}/run1"
    script = f"from cli_multi_rapid.process import kill_marked; print(len(kill_marked({marker!r})))"
    # The shell stands for the agent: an ancestor with the marker.
    agent = ["sh", "-c", f'{sys.executable} -c "{script}"; echo still here']
    done = run(agent, cwd=Path(__file__).parents[2], env={**os.environ, MARKER_VARIABLE: f"{marker}/agent"})
    assert (done.text, done.error_text) == ("1\nstill here", "")
    assert other.wait() == -signal.SIGKILL


@linux_only
@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to become somebody else")
def test_a_process_of_another_user_is_named_as_not_killed(tmp_path: Path) -> None:
    nobody = 65534
    script = f"sleep 1000 & echo $! >foreign; echo $$ >own; exec setpriv --reuid {nobody} sleep 1000"
    env = {"PATH": os.environ["PATH"], MARKER_VARIABLE: f"{tmp_path.name}/run1"}
    bench = Bench(tmp_path)
    leader = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, env=env, start_new_session=True)
    own, foreign = bench.pid("own"), bench.pid("foreign")
    until(lambda: f"\nUid:\t{nobody}\t" in Path(f"/proc/{own}/status").read_text(), "the change of the user")
    os.setresuid(nobody, nobody, 0)
    try:
        killed = {left.pid: left.killed for left in kill_marked(f"{tmp_path.name}/run1")}
    finally:
        os.setresuid(0, 0, 0)
        os.kill(foreign, signal.SIGKILL)
        leader.kill()
        leader.wait()
        bench.cancel.close()
    assert killed == {own: True, foreign: False}


def test_an_empty_marker_is_refused_before_it_kills_everything() -> None:
    with pytest.raises(InternalError):
        kill_marked("/")


# --- the process table --------------------------------------------------------------------------------------


@linux_only
def test_a_young_program_is_searched_in_a_short_range_of_ids() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    found = set(pids_since(child.pid, 0.0))
    assert child.pid in found
    assert 1 not in found


@linux_only
@pytest.mark.parametrize(("first", "age_s"), [(2**30, 0.0), (0, 0.0), (1, 60.0)])
def test_when_ids_may_have_gone_round_all_processes_are_searched(first: int, age_s: float) -> None:
    assert {1, os.getpid()} <= set(pids_since(first, age_s))


@linux_only
def test_a_process_with_a_strange_name_is_read(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "1000"]) as child:
        process = read_process(child.pid)
        child.kill()
    assert process is not None
    assert (process.pid, process.parent) == (child.pid, os.getpid())


@linux_only
def test_a_process_whose_first_thread_ended_is_still_alive() -> None:
    script = (
        "import ctypes, threading\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script])

    def first_thread_ended() -> bool:
        return "\nState:\tZ" in Path(f"/proc/{child.pid}/status").read_text()

    until(first_thread_ended, "the end of the first thread")
    process = read_process(child.pid)
    child.kill()
    child.wait()
    assert isinstance(process, Process)
    assert not process.dead
