"""How a supervised program ends: by itself, by a signal, in time, or because somebody said so."""

import os
import select
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.ports import StopStep
from cli_multi_rapid.process import MARKER_VARIABLE, CancelToken, ExitOutcome, Supervision
from tests.engine.process.bench import HASTY, PATIENCE_S, SECRET, Bench, is_alive, linux_only, until


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


def test_a_program_with_stop_steps_of_its_own_gets_those_signals_only(bench: Bench) -> None:
    end = bench.cancelled_when_ready(
        "trap 'echo int' INT; trap 'echo term; exit 7' TERM; echo ready; while :; do sleep 0.01; done",
        stops=(StopStep(signal=signal.Signals.SIGTERM, wait_s=PATIENCE_S),),
    )
    assert (end.outcome, end.code) == (ExitOutcome.CANCELLED, 7)
    assert b"term" in end.output
    assert b"int" not in end.output


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
    impatient = Supervision(timeout_s=None, stops=HASTY)
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
