"""Strikes one run at one moment after the other, has it resumed, and holds what is left to its promises."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field
from msgspec.json import decode, encode

from tests.fakes.command_line import PACKAGE_ROOT
from tests.fakes.moments import Moment
from tests.faults.crash_moments import Errand, Returned
from tests.faults.crash_promises import Aftermath
from tests.faults.crash_world import EXIT_CODE, CrashWorld, make_crash_world

_RUNS = "SELECT DISTINCT run_id FROM events WHERE run_id NOT LIKE 'queue:%'"
_MOST_RESUMES = 3
"""One is promised. More are tried, so that the table can say how many it took."""


class Tally(Struct, kw_only=True):
    """What many strikes of a kind came to."""

    struck: int = 0
    """How often it was killed there."""
    missed: int = 0
    """How often the run ended before it came there: it goes another way each time."""
    too_early: int = 0
    """How often the run was not in the log yet, and was asked for again."""
    again: int = 0
    """How many resumes were killed as well."""
    resumes: Counter[int] = field(default_factory=Counter)
    explained: int = 0
    broken: list[str] = field(default_factory=list)
    """For each strike after which something did not hold, all of that."""

    def __str__(self) -> str:
        taken = ", ".join(f"{many} times {times}" for times, many in sorted(self.resumes.items()))
        parts = [f"resumes needed: {taken}" if taken else ""]
        parts += [f"{self.again} resumes killed before those"] if self.again else []
        parts += (
            [f"{self.too_early} before the run was in the log: asked for again"] if self.too_early else []
        )
        parts += [f"{self.missed} not reached"] if self.missed else []
        left = f"left and explained by doctor: {self.explained}" if self.explained else "nothing left"
        return "; ".join(filter(None, [*parts, left]))


class Sweep:
    """A server that forks command lines, and a folder for one world after the other."""

    def __init__(self, server: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._server, self._folder, self._worlds = server, folder, 0
        self._censuses: dict[bool, tuple[list[Moment], float]] = {}

    def census(self, *, pushes: bool) -> tuple[list[Moment], float]:
        """Every moment of a run that nobody kills, and how many seconds it took."""
        if pushes not in self._censuses:
            world = self._make_world(pushes=pushes)
            trace = world.folder / "trace"
            done = self._do(world, "execute", "../plan.yaml", "--yes", trace=str(trace))
            assert done.status == EXIT_CODE, (world.folder / "output").read_text()
            moments = [decode(line, type=Moment) for line in trace.read_bytes().splitlines()]
            self._hold(world, done.status)
            self._censuses[pushes] = moments, done.seconds
        return self._censuses[pushes]

    def strike(
        self,
        tally: Tally,
        *,
        pushes: bool,
        moment: Moment | None = None,
        after_s: float | None = None,
        again_s: Sequence[float] = (),
    ) -> None:
        """Kill a run once, resume it, and look; what does not hold is noted in the tally.

        `again_s`: its first resumes are killed too, after so many seconds each.
        """
        world = self._make_world(pushes=pushes)
        killed = self._do(world, "execute", "../plan.yaml", "--yes", moment=moment, after_s=after_s)
        if killed.status == -signal.SIGKILL:
            tally.struck += 1
        else:
            tally.missed += 1
            self._learn(killed.seconds, pushes=pushes)
        status, resumes, had_ended = killed.status, 0, "run.finished" in _types(world)
        for seconds in again_s:
            if status != EXIT_CODE:
                status = self._do(world, "resume", after_s=seconds).status
                tally.again += status == -signal.SIGKILL
        while status != EXIT_CODE and resumes < _MOST_RESUMES:
            if _is_in_the_log(world):
                resumes += 1
                status = self._do(world, "resume").status
            else:
                tally.too_early += 1
                assert self._do(world, "resume").status == 2
                status = self._do(world, "execute", "../plan.yaml", "--yes").status
        tally.resumes[resumes] += 1
        why = f"killed at {moment or after_s}"
        try:
            tally.explained += self._hold(world, status, why, had_ended=had_ended)
        except AssertionError as broken:  # the next moments are struck all the same
            tally.broken.append(str(broken))

    def _learn(self, seconds: float, *, pushes: bool) -> None:
        """A run was over before its time to be killed came: the machine is less busy than before."""
        moments, known = self.census(pushes=pushes)
        self._censuses[pushes] = moments, min(known, seconds)

    def _hold(self, world: CrashWorld, status: int, why: str = "", *, had_ended: bool = True) -> int:
        """Hold it to its promises; how many things are left that doctor explains."""
        before = (world.folder / "output").stat().st_size
        self._do(world, "doctor", "--format", "json")
        output = (world.folder / "output").read_text(encoding="utf-8", errors="replace")
        doctor = output.encode()[before:].decode()
        after = Aftermath(
            world=world, run_id=_run_of(world), status=status, doctor=doctor, had_ended=had_ended
        )
        broken = after.broken()
        assert not broken, "\n".join([why, *broken, "", output])
        shutil.rmtree(world.folder)
        return len(after.explained)

    def _make_world(self, *, pushes: bool) -> CrashWorld:
        self._worlds += 1
        return make_crash_world(self._folder / str(self._worlds), pushes=pushes)

    def _do(
        self,
        world: CrashWorld,
        *words: str,
        moment: Moment | None = None,
        after_s: float | None = None,
        trace: str = "",
    ) -> Returned:
        errand = Errand(
            words=words,
            folder=str(world.repository.path),
            environment=world.environment,
            output=str(world.folder / "output"),
            moment=moment,
            after_s=after_s,
            trace=trace,
        )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(encode(errand) + b"\n")
        self._server.stdin.flush()
        return decode(self._server.stdout.readline(), type=Returned)


@contextmanager
def open_sweep(folder: Path) -> Iterator[Sweep]:
    """A sweep whose worlds lie in a folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crash_moments"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
    ) as server:
        yield Sweep(server, folder)
        assert server.stdin is not None
        server.stdin.close()


def _is_in_the_log(world: CrashWorld) -> bool:
    return bool(_ask(world, _RUNS))


def _run_of(world: CrashWorld) -> str:
    (run_id,) = _ask(world, _RUNS)
    return run_id


def _types(world: CrashWorld) -> list[str]:
    """The types of all events so far."""
    return _ask(world, "SELECT type FROM events")


def _ask(world: CrashWorld, question: str) -> list[str]:
    """The only column of an answer of the log; nothing when there is no log yet."""
    database = world.repository.path / "state" / "orchestrator.db"
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return [value for (value,) in connection.execute(question)]
    except sqlite3.OperationalError:  # no file, or no table in it
        return []
