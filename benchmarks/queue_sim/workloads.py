"""What arrives at a merge queue: the declared workloads, and the changes drawn from one of them."""

from math import exp
from random import Random

from msgspec import Struct
from msgspec.structs import replace

CHECK_S = 600.0
"""How many seconds the unit of time V stands for. Only the queue's aging of priorities depends on it."""


class Change(Struct, frozen=True, kw_only=True):
    """One change of the workload and the truth about it. Times are in V."""

    name: str
    arrives: float
    broken: bool
    """Its checks fail, wherever it is."""
    priority: int = 1
    clashes: frozenset[str] = frozenset()
    """Changes with which it is red, though each is green without the other."""
    part: int = 0
    """The part of the repository that it touches; changes of different parts never clash."""
    check_time: float = 1.0
    """How long the checks take that this change asks for."""


class Uber(Struct, frozen=True, kw_only=True):
    """What makes a workload like that of the EuroSys 2019 paper on SubmitQueue. Times are in V."""

    parts: int = 40
    """Parts of the repository. Changes fall on part i with a weight of 1 / i: a few parts are crowded."""
    clash_rate: float = 0.0043
    """Chance that two changes of one part clash: 16 of them contain a clash with 40 %, as in the paper."""
    clash_reach: float = 4.0
    """Only changes that arrive within this time of each other can clash: later ones know the result."""
    sigma: float = 0.45
    """Spread of the lognormal duration; its median is one V."""


class Workload(Struct, frozen=True, kw_only=True):
    """A declared workload. `load` is arrivals per V (Poisson); None: all arrive at once."""

    name: str
    changes: int
    workers: int
    failure_rate: float
    load: float | None = None
    flake_rate: float = 0.0
    jitter: float = 0.1
    """A check takes V, give or take this share, evenly spread."""
    warm_up: int = 0
    """How many of the first changes do not count for turnaround."""
    high: float = 0.0
    """Share of changes with priority 0."""
    low: float = 0.0
    """Share of changes with priority 2."""
    uber: Uber | None = None

    @property
    def title(self) -> str:
        """The workload in words."""
        arrivals = f"burst of {self.changes}" if self.load is None else f"{self.load:g} per V"
        parts = [arrivals, f"p = {self.failure_rate:.0%}", f"W = {self.workers}"]
        if self.load is not None:
            parts.append(f"{self.changes} changes")
        if self.flake_rate:
            parts.append(f"flakes {self.flake_rate:.0%}")
        if self.high or self.low:
            parts.append(f"{self.high:.0%} urgent, {self.low:.0%} low")
        return ", ".join(parts)


_UBER = Uber()

_STEADY = 400
"""Arrivals of a steady workload. Above the capacity of W checkers the line grows without end, so that the
figures depend on this number; then nothing is called a warm-up."""
_SETTLED = 40


def _burst(failure_rate: float, workers: int) -> Workload:
    name = f"burst60-p{failure_rate * 100:g}-w{workers}"
    return Workload(name=name, changes=60, workers=workers, failure_rate=failure_rate)


def _steady(load: float, workers: int, *, flake_rate: float = 0.0) -> Workload:
    flakes = f"-f{flake_rate * 100:g}" if flake_rate else ""
    return Workload(
        name=f"load{load:g}-w{workers}{flakes}",
        changes=_STEADY,
        workers=workers,
        failure_rate=0.08,
        load=load,
        flake_rate=flake_rate,
        warm_up=_SETTLED if load < workers else 0,
    )


def _uber(per_hour: int, workers: int) -> Workload:
    return Workload(
        name=f"uber{per_hour}-w{workers}",
        changes=round(per_hour * 2.5),
        workers=workers,
        failure_rate=0.05,
        load=per_hour * UBER_CHECK_MINUTES / 60,
        jitter=0.0,
        warm_up=round(per_hour * 0.5),
        uber=_UBER,
    )


UBER_CHECK_MINUTES = 27.0
"""What V stands for in the Uber-like workloads: the median duration of a build."""

UBER_ASSUMPTIONS = f"""\
Assumptions of the Uber-like workloads (ours, after "Keeping Master Green at Scale", EuroSys 2019):
  V is {UBER_CHECK_MINUTES:g} minutes, the median build. Durations are lognormal with sigma {_UBER.sigma:g}; a
  candidate takes as long as its longest member. A change fails alone with 5 %. There are {_UBER.parts} parts
  with weights 1/i; two changes of one part that arrive within {_UBER.clash_reach:g} V clash with
  {_UBER.clash_rate:.2%}: 16 concurrent ones hold a clash with 40 %, as in the paper. Poisson arrivals for 2.5
  hours, the first half hour not counted. No queue is told the parts, except for the oracle, which keeps the
  order only within a part."""

WORKLOADS: tuple[Workload, ...] = (
    *(_burst(rate, workers) for rate in (0.05, 0.15) for workers in (1, 4, 8)),
    *(_steady(load, 4) for load in (3, 6, 12)),
    _steady(12, 8),
    *(_steady(load, 4, flake_rate=rate) for load in (3, 6) for rate in (0.01, 0.03, 0.05)),
    Workload(
        name="priorities",
        changes=_STEADY,
        workers=4,
        failure_rate=0.08,
        load=6,
        high=0.1,
        low=0.2,
    ),
)
"""What is simulated unless something else is asked for."""

UBER_WORKLOADS: tuple[Workload, ...] = tuple(
    _uber(per_hour, workers) for per_hour in (100, 300, 500) for workers in (100, 300, 500)
)


def draw(workload: Workload, seed: int) -> tuple[Change, ...]:
    """The changes of one simulation, in order of arrival.

    The same seed gives the same changes, however many checkers there are and however often they err.
    """
    kind = (workload.changes, workload.load, workload.failure_rate, workload.high, workload.low)
    random = Random(f"changes {kind} {seed}")
    now = 0.0
    changes: list[Change] = []
    for number in range(workload.changes):
        if workload.load is not None:
            now += random.expovariate(workload.load)
        broken = random.random() < workload.failure_rate
        dice = random.random()
        priority = 0 if dice < workload.high else 2 if dice > 1 - workload.low else 1
        changes.append(Change(name=f"c{number}", arrives=now, broken=broken, priority=priority))
    return tuple(changes if workload.uber is None else _at_uber(workload.uber, changes, random))


def _at_uber(terms: Uber, changes: list[Change], random: Random) -> list[Change]:
    """Give changes their part of the repository, their duration and their clashes."""
    weights = [1 / (part + 1) for part in range(terms.parts)]
    parts = random.choices(range(terms.parts), weights, k=len(changes))
    clashes: list[set[str]] = [set() for _ in changes]
    for late, change in enumerate(changes):
        for early in range(late - 1, -1, -1):
            if change.arrives - changes[early].arrives > terms.clash_reach:
                break
            if parts[early] == parts[late] and random.random() < terms.clash_rate:
                clashes[early].add(change.name)
                clashes[late].add(changes[early].name)
    return [
        replace(
            change,
            part=parts[number],
            clashes=frozenset(clashes[number]),
            check_time=exp(random.gauss(0, terms.sigma)),
        )
        for number, change in enumerate(changes)
    ]
