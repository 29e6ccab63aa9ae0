"""A program in a sandbox ends like any other: by itself, on request, or altogether."""

import signal
import sys
from pathlib import Path

import pytest

from cli_multi_rapid.ports import StopStep
from cli_multi_rapid.process import ExitOutcome, Supervision
from cli_multi_rapid.process_tree import find_marked
from cli_multi_rapid.sandbox import View, find_bubblewrap
from tests.engine.process.bench import Bench
from tests.fakes.sandboxes import needs_bwrap

pytestmark = needs_bwrap


def sandboxed(bench: Bench, line: str) -> list[str]:
    private = bench.here / "private"
    private.mkdir()
    view = View(slot=bench.here, temp=bench.here, private=private, home=Path.home())
    return list(find_bubblewrap(bench.env).command(view, ["sh", "-c", line]))


def test_output_and_exit_code_are_those_of_the_program(bench: Bench) -> None:
    ended = bench.supervise(
        sandboxed(bench, "echo out; echo err >&2; exit 7"), limits=Supervision(timeout_s=20, sandboxed=True)
    )
    assert (ended.outcome, ended.code, ended.output) == (ExitOutcome.EXITED, 7, b"out\nerr\n")


def patient(after_int_s: float, after_term_s: float) -> tuple[StopStep, ...]:
    return (
        StopStep(signal=signal.SIGINT, wait_s=after_int_s),
        StopStep(signal=signal.SIGTERM, wait_s=after_term_s),
    )


def test_a_stop_reaches_the_program_with_both_signals_in_their_order(bench: Bench) -> None:
    line = "trap 'echo INT' INT; trap 'echo TERM; exit 4' TERM; echo ready; while :; do sleep 0.02; done"
    ended = bench.supervise(
        sandboxed(bench, line),
        limits=Supervision(timeout_s=20, stops=patient(0.3, 10), sandboxed=True),
        on_line=lambda said: bench.cancel.cancel("enough") if said.strip() == "ready" else None,
    )
    assert ended.outcome is ExitOutcome.CANCELLED
    assert [word for word in ended.output.split() if word.isupper()] == [b"INT", b"TERM"]
    assert ended.duration_s < 10


@pytest.mark.parametrize("ending", ["exit 0", "sleep 1000"])
def test_what_fled_into_a_session_of_its_own_dies_with_the_sandbox(bench: Bench, ending: str) -> None:
    flee = "import os, time; os.fork() or (os.setsid(), os.environ.clear(), time.sleep(1000))"
    ended = bench.supervise(
        sandboxed(bench, f"env -i {sys.executable} -c '{flee}' & sleep 0.1; echo started; {ending}"),
        limits=Supervision(timeout_s=20, stops=patient(0.01, 0.01), sandboxed=True),
        on_line=lambda _: bench.cancel.cancel("enough") if ending != "exit 0" else None,
    )
    assert ended.outcome is (ExitOutcome.EXITED if ending == "exit 0" else ExitOutcome.CANCELLED)
    assert find_marked(bench.marker) == ()
