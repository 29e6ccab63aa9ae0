"""kill -9 of the orchestrator around every event and every effect, and at random; then `resume`."""

import re
from collections.abc import Iterator
from random import Random

import pytest

from tests.fakes.moments import Moment
from tests.faults.conftest import Tell
from tests.faults.crash_moments import (
    ALONE_PUSH,
    ALONE_STEP,
    GIT_EFFECTS,
    LANDING,
    PROCESS,
    SLOT_BACK,
    SLOT_MADE,
    SNAPSHOT,
    STEP,
)
from tests.faults.crash_sweep import Sweep, Tally, open_sweep
from tests.faults.rows import Part

EVENTS = (
    "plan.accepted",
    "plan.ready",
    "run.started",
    "run.finished",
    "node.started",
    "node.based",
    "node.succeeded",
    "node.attempt_failed",
    "node.retry_scheduled",
    "node.failed",
    "node.skipped",
    "budget.reserved",
    "budget.settled",
    "budget.refused",
    "merge.enqueued",
    "merge.checking",
    "merge.landing",
    "merge.landed",
    "merge.failed",
    "merge.conflicted",
    "check.started",
    "check.finished",
)
"""Those that every run of the plan has. What only some runs have is struck as `the other moments`."""
EFFECTS = tuple(
    dict.fromkeys(
        (SLOT_MADE, SLOT_BACK, PROCESS, SNAPSHOT, LANDING, ALONE_PUSH, *GIT_EFFECTS.values()),
    )
)
_BUSY = 0.9
"""Of the time that a run takes: at its very end a random instant would often be too late."""
OF_A_CHECKOUT = (STEP, ALONE_STEP, LANDING, "merge.landing", "merge.landed")
OF_A_PUSH = tuple(kind for kind in (*EVENTS, *EFFECTS) if kind != STEP)
"""Nothing steps forward where the target is not checked out."""
SHORT = (
    "plan.accepted",
    "run.started",
    "node.started",
    "node.succeeded",
    "node.attempt_failed",
    "node.failed",
    "budget.settled",
    "merge.enqueued",
    "merge.checking",
    "check.started",
    "check.finished",
    "merge.landing",
    "merge.landed",
    "run.finished",
    SLOT_MADE,
    PROCESS,
    SNAPSHOT,
    LANDING,
    ALONE_PUSH,
)


def _plain(kind: str) -> str:
    """A kind as a word that can be typed after `-k`."""
    return re.sub(r"[^\w.]+", "-", kind)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The short form has fewer kinds and batches."""
    short = metafunc.config.getoption("--short")
    if "kind_to_push" in metafunc.fixturenames:
        metafunc.parametrize("kind_to_push", SHORT if short else OF_A_PUSH, ids=_plain)
    if "kind_in_checkout" in metafunc.fixturenames:
        metafunc.parametrize("kind_in_checkout", (STEP,) if short else OF_A_CHECKOUT, ids=_plain)
    if "batch" in metafunc.fixturenames:
        metafunc.parametrize("batch", range(2 if short else 5))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, _session_home: object) -> Iterator[Sweep]:
    """One server for all strikes of a worker."""
    with open_sweep(tmp_path_factory.mktemp("crashes")) as sweep:
        yield sweep


def _strike_all(sweep: Sweep, moments: list[Moment], *, short: bool, pushes: bool = True) -> Tally:
    """Strike at all these moments; in the short form at one of them."""
    tally = Tally()
    # Not the last ones: another run may have fewer of the kind.
    for moment in moments[len(moments) // 3 :][:1] if short else moments:
        sweep.strike(tally, pushes=pushes, moment=moment)
    return tally


def _until_struck(tally: Tally, times: int) -> Iterator[bool]:
    """Whether the next run pushes, as one in four does not, until so many were struck."""
    for number in range(2 * times):
        if tally.struck < times:
            yield number % 4 != 3


def _tell(tell: Tell, tally: Tally, fault: str) -> None:
    """The row of these strikes, or all that did not hold after some of them."""
    assert not tally.broken, f"{len(tally.broken)} of {tally.struck}\n\n" + "\n\n".join(tally.broken)
    tell(Part.CRASHES, fault, str(tally), cases=tally.struck)


def test_a_run_killed_there_is_taken_up(sweep: Sweep, tell: Tell, short: bool, kind_to_push: str) -> None:
    moments = [moment for moment in sweep.census(pushes=True)[0] if moment.type == kind_to_push]
    tally = _strike_all(sweep, moments, short=short)
    assert tally.struck, f"no run came to {kind_to_push}"
    _tell(tell, tally, f"killed before and after: {kind_to_push}")


def test_a_run_killed_at_any_other_moment_is_taken_up(sweep: Sweep, tell: Tell, short: bool) -> None:
    known = {*EVENTS, *EFFECTS}
    moments = [moment for moment in sweep.census(pushes=True)[0] if moment.type not in known]
    tally = _strike_all(sweep, moments, short=short)
    kinds = ", ".join(sorted({moment.type for moment in moments}))
    _tell(tell, tally, f"killed before and after what not every run has: {kinds}")


def test_a_run_that_lands_into_the_checkout_is_taken_up(
    sweep: Sweep, tell: Tell, short: bool, kind_in_checkout: str
) -> None:
    moments = [moment for moment in sweep.census(pushes=False)[0] if moment.type == kind_in_checkout]
    tally = _strike_all(sweep, moments, short=short, pushes=False)
    assert tally.struck, f"no run came to {kind_in_checkout}"
    fault = f"`main` is checked out, killed before and after: {kind_in_checkout}"
    _tell(tell, tally, fault)


def test_a_run_killed_at_a_random_instant_is_taken_up(
    sweep: Sweep, tell: Tell, short: bool, batch: int
) -> None:
    """A hundred in all, over both ways to land."""
    tally, random = Tally(), Random(batch)
    for pushes in _until_struck(tally, 1 if short else 20):
        seconds = sweep.census(pushes=pushes)[1] * _BUSY
        sweep.strike(tally, pushes=pushes, after_s=random.uniform(0, seconds))
    assert tally.struck, "every run had ended before it was struck"
    _tell(tell, tally, f"killed at random instants ({batch + 1} of 5)")


def test_a_run_killed_again_while_it_resumes_is_taken_up(sweep: Sweep, tell: Tell, short: bool) -> None:
    tally, random = Tally(), Random(7)
    for pushes in _until_struck(tally, 1 if short else 20):
        seconds = sweep.census(pushes=pushes)[1] * _BUSY
        again_s = [random.uniform(0, seconds / 2) for _ in range(2)]
        sweep.strike(tally, pushes=pushes, after_s=random.uniform(0, seconds), again_s=again_s)
    assert tally.struck, "every run had ended before it was struck"
    fault = "killed at a random instant, and two of its resumes as well"
    _tell(tell, tally, fault)
