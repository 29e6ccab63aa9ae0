"""Contenders measured in turn: what else the machine does at that moment meets them alike."""

from collections.abc import Callable, Mapping
from statistics import median

from msgspec import Struct

from benchmarks.suite.price import DidNotRun, Price

Contender = Callable[[], Price]
"""Does the work once, with set-up and clearing away outside of the price."""


class Median(Struct, frozen=True, kw_only=True):
    """The median of each figure by itself."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    rounds: int
    spread: float
    """The largest CPU time over the smallest."""


class Absent(Struct, frozen=True, kw_only=True):
    """A contender that could not be measured."""

    reason: str


PATIENCE_S = 45.0
"""A contender that has taken this long altogether gets no more rounds: some need a minute for what others do
in a second."""


def in_turn(contenders: Mapping[str, Contender], rounds: int) -> dict[str, Median | Absent]:
    """Every contender `rounds` times, one after the other in each round, the first one changing.

    One that raises `DidNotRun` is out, with the reason; the others go on. One that is slow gets fewer rounds.
    """
    prices: dict[str, list[Price]] = {name: [] for name in contenders}
    out: dict[str, Absent] = {}
    names = list(contenders)
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            if name not in out and sum(price.wall_s for price in prices[name]) < PATIENCE_S:
                try:
                    prices[name].append(contenders[name]())
                except DidNotRun as reason:
                    out[name] = Absent(reason=str(reason))
    return {name: out.get(name) or median_of(prices[name]) for name in names}


def median_of(prices: list[Price]) -> Median:
    """The median of several prices of the same work."""
    cpu = [price.cpu_s for price in prices]
    return Median(
        cpu_s=median(cpu),
        wall_s=median(price.wall_s for price in prices),
        peak_mb=median(price.peak_kb for price in prices) / 1024,
        rounds=len(prices),
        spread=max(cpu) / max(min(cpu), 1e-9),
    )
