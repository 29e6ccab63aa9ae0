"""The simulated world that every queue acts in: time, checkers, and the truth about what is merged."""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from benchmarks.queue_sim.workloads import Change, Workload, draw

Names = tuple[str, ...]


class Queue(Protocol):
    """A merge queue under test. It hears of arrivals and of ended checks, and is then asked to act."""

    def arrive(self, change: Change) -> None:
        """A change joined the queue."""

    def finish(self, key: str, passed: bool) -> None:
        """A check that the queue has started came to its end."""

    def act(self) -> None:
        """Everything of this instant is told: land, eject and start checks."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a check: what it judges, and how it will end."""

    key: str
    duration: float
    passes: bool


@dataclass(slots=True, kw_only=True)
class Fate:
    """What became of one change."""

    change: Change
    landed_at: float | None = None
    ejected_at: float | None = None
    innocent: bool = False
    """It was ejected, though the target with it would have been green."""


class Misconduct(Exception):
    """A queue did what no queue may: landed something red, or the same change twice."""


@dataclass(slots=True)
class World:
    """One simulation. The only randomness is that of the seed."""

    workload: Workload
    seed: int
    name: str
    """The queue's name: each queue has its own dice for durations and flakes, and the same changes."""
    now: float = 0.0
    runs: int = 0
    """Checks started so far."""
    work: float = 0.0
    """Time that checkers were busy so far, in V; a cancelled run counts as long as it ran."""
    fates: dict[str, Fate] = field(default_factory=dict)
    landed: set[str] = field(default_factory=set)
    _agenda: list[tuple[float, int, Change | str]] = field(default_factory=list)
    _ticket: int = 0
    _running: dict[str, tuple[_Run, float, int]] = field(default_factory=dict)
    _waiting: deque[_Run] = field(default_factory=deque)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(f"checks {self.workload.name} {self.seed} {self.name}")
        for change in draw(self.workload, self.seed):
            self.fates[change.name] = Fate(change=change)
            self._at(change.arrives, change)

    def play(self, queue: Queue) -> None:
        """Let the queue work until every change has met its fate."""
        while self._agenda:
            self.now = self._agenda[0][0]
            while self._agenda and self._agenda[0][0] <= self.now:
                self._happen(queue, *heappop(self._agenda)[1:])
            queue.act()
        missing = [name for name, fate in self.fates.items() if fate.landed_at is fate.ejected_at is None]
        if missing:
            raise Misconduct(f"{self.name} has forgotten {', '.join(missing[:5])}")

    def wake_at(self, time: float) -> None:
        """Ask the queue to act at a later time even if nothing else happens."""
        self._at(time, "")

    # --- checks -------------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """How many checkers have nothing to do."""
        return self.workload.workers - len(self._running) - len(self._waiting)

    def under_way(self, key: str) -> bool:
        """Whether a check runs, or waits for a checker."""
        return key in self._running or any(run.key == key for run in self._waiting)

    def keys_under_way(self) -> list[str]:
        """Every check that runs or waits for a checker."""
        return [*self._running, *(run.key for run in self._waiting)]

    def check(
        self, key: str, members: Names, *, honest: bool = False, below: frozenset[str] | None = None
    ) -> None:
        """Check the target with these changes on top. `honest` checks are never flaky.

        `below`: what is on the target there, if not all that has landed.
        """
        passes = not self.red(members, below)
        if passes and not honest and self.workload.flake_rate:
            passes = self._random.random() >= self.workload.flake_rate
        self._waiting.append(_Run(key, self._duration(members), passes))
        self._fill()

    def cancel(self, key: str) -> None:
        """Stop a check; its checker is free at once."""
        if key in self._running:
            _, since, _ = self._running.pop(key)
            self.work += self.now - since
        else:
            self._waiting = deque(run for run in self._waiting if run.key != key)
        self._fill()

    def red(self, members: Names, below: frozenset[str] | None = None) -> bool:
        """The truth: whether the target with these changes on top fails."""
        changes = [self.fates[name].change for name in members]
        landed = self.landed if below is None else below
        present = landed.union(members) if any(change.clashes for change in changes) else ()
        return any(change.broken for change in changes) or any(
            not change.clashes.isdisjoint(present) for change in changes
        )

    def _duration(self, members: Names) -> float:
        longest = max((self.fates[name].change.check_time for name in members), default=1.0)
        jitter = self.workload.jitter
        return longest * self._random.uniform(1 - jitter, 1 + jitter)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.workload.workers:
            run = self._waiting.popleft()
            self.runs += 1
            ticket = self._at(self.now + run.duration, run.key)
            self._running[run.key] = (run, self.now, ticket)

    # --- fates --------------------------------------------------------------------------------------------

    def land(self, members: Names) -> None:
        """Move the target. Raises `Misconduct` when the result is red or was there before."""
        if self.red(members):
            raise Misconduct(f"{self.name} landed something red at {self.now:.2f}: {members}")
        for name in members:
            self._decide(name).landed_at = self.now
        self.landed.update(members)

    def eject(self, name: str) -> None:
        """Put a change out of the queue."""
        fate = self._decide(name)
        fate.ejected_at, fate.innocent = self.now, not self.red((name,))

    def _decide(self, name: str) -> Fate:
        fate = self.fates[name]
        if not fate.landed_at is fate.ejected_at is None:
            raise Misconduct(f"{self.name} decided twice on {name}")
        return fate

    # --- time ---------------------------------------------------------------------------------------------

    def _at(self, time: float, what: Change | str) -> int:
        self._ticket += 1
        heappush(self._agenda, (time, self._ticket, what))
        return self._ticket

    def _happen(self, queue: Queue, ticket: int, what: Change | str) -> None:
        if isinstance(what, Change):
            queue.arrive(what)
        elif what in self._running and self._running[what][2] == ticket:
            run, since, _ = self._running.pop(what)
            self.work += self.now - since
            self._fill()
            queue.finish(what, run.passes)
