"""What a crashed run left behind is found by its marker, and nothing else is."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.process import MARKER_VARIABLE, find_marked, kill_marked, run
from cli_multi_rapid.process_table import Process, command_of, pids_since, read_process
from tests.engine.process.bench import Bench, is_alive, linux_only, until

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
    supervision=Supervision(timeout_s=None, guarded=False), cancel=CancelToken(),
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
    crashed = subprocess.Popen(command, cwd=Path(__file__).parents[3])
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
    done = run(agent, cwd=Path(__file__).parents[3], env={**os.environ, MARKER_VARIABLE: f"{marker}/agent"})
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
    # After the exec: in between the process is nobody's and lets nobody look at its environment.
    until(lambda: command_of(own) == "sleep 1000", "the change of the user")
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
