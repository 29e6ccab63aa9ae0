"""Whatever a program does to outlive its end, nothing of it is left; and it disturbs nobody beside it."""

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.process import ExitOutcome, run
from cli_multi_rapid.process_table import MARKER_VARIABLE
from cli_multi_rapid.process_tree import Family
from tests.engine.process.bench import PATIENCE_S, SECRET, Bench, is_alive, linux_only

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
    if ending == "exit" and not bench.guarded:  # a warden has killed it before we look
        assert pid in [left.pid for left in end.leftovers]
    assert all(left.killed for left in end.leftovers)


@linux_only
@pytest.mark.usefixtures("subreaper")
def test_an_orphan_without_any_trace_is_killed_because_it_was_adopted(bench: Bench) -> None:
    end = bench.supervise(
        "env -i setsid sh -c 'echo $$ >pid; exec sleep 1000' & until [ -s pid ]; do :; done"
    )
    assert not is_alive(bench.pid("pid"))
    (left,) = end.leftovers
    assert left.command.endswith("sleep 1000")  # the shell that becomes it may not be that far


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
            told = [] if bench.guarded else [pids[number]]
            assert (end.code, [left.pid for left in end.leftovers]) == (number, told)
            assert not is_alive(pids[number])


@linux_only
def test_who_comes_first_may_start_last_and_no_orphan_of_the_others_is_overlooked(bench: Bench) -> None:
    """Each end is looked for among the ids given out since the first of those that run together began."""

    def start(family: Family, script: str) -> subprocess.Popen[bytes]:
        env = {**bench.env, MARKER_VARIABLE: family.marker}
        program = subprocess.Popen(["sh", "-c", script], cwd=bench.here, env=env, start_new_session=True)
        family.leader = family.program = program.pid
        return program

    with (
        Family(f"{bench.marker}/first") as first,
        Family(f"{bench.marker}/second") as second,
        start(second, "setsid sleep 1000 & echo $! >pid"),
    ):
        orphan = bench.pid("pid")
        with start(first, ":"):
            first.end()
        second.end()
    assert [left.pid for left in second.leftovers] == [orphan]
    assert not is_alive(orphan)


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
