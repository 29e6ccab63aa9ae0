"""How often the queue's own estimates come true in the simulated world.

    .venv/bin/python -m benchmarks.queue_sim.estimates [--seeds N] [GLOB]

At every half V each waiting change is given its P50 and P90 as `queue list` would show them; once it is
decided, it counts whether that was in time. A perfect estimate is kept in 50 and 90 of 100 cases.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatch

from msgspec import Struct, field

from benchmarks.queue_sim.driver import PolicyQueue
from benchmarks.queue_sim.workloads import CHECK_S, WORKLOADS, Change, Workload
from benchmarks.queue_sim.world import World
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Tree
from cli_multi_rapid.core.merge_events import CheckStarted
from cli_multi_rapid.reports.queue_estimate import outlook_of

_EVERY = 0.5
"""V between two looks at the queue."""


class Promise(Struct, frozen=True):
    """What was said of a change at some moment, in V from then on."""

    name: str
    at: float
    p50: float
    p90: float


class Kept(Struct):
    """How many promises there were, and how many were kept."""

    promises: int = 0
    p50: int = 0
    p90: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)
    """What was expected (P50) and what came, in V."""


class WatchedQueue(PolicyQueue):
    """The queue under test, looked at now and then."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.promises: list[Promise] = []
        self._next_look = 0.0
        self._since: dict[Tree, datetime] = {}

    def arrive(self, change: Change) -> None:
        """As any queue, and somebody looks at it later."""
        super().arrive(change)
        self._world.wake_at(max(self._next_look, self._world.now))

    def act(self) -> None:
        """As any queue, and when it is time it is looked at."""
        super().act()
        if self._world.now < self._next_look or not self.state.open:
            return
        self._next_look = self._world.now + _EVERY
        self._world.wake_at(self._next_look)
        outlook = outlook_of(self.state, self._since, self._limits, self._clock())
        self.promises += [
            Promise(name, self._world.now, found.p50_s / CHECK_S, found.p90_s / CHECK_S)
            for name, found in outlook.estimates.items()
        ]

    def _record(self, data: Payload) -> None:
        super()._record(data)
        if isinstance(data, CheckStarted):
            self._since[data.tree] = self._clock()


def watch(workload: Workload, seeds: Sequence[int]) -> Kept:
    """Play a workload and see which promises were kept."""
    kept = Kept()
    for seed in seeds:
        world = World(workload=workload, seed=seed, name="ladder")
        queue = WatchedQueue(world)
        world.play(queue)
        for promise in queue.promises:
            fate = world.fates[promise.name]
            decided = next(at for at in (fate.landed_at, fate.ejected_at) if at is not None)
            took = decided - promise.at
            kept.promises += 1
            kept.p50 += took <= promise.p50 + 1e-9
            kept.p90 += took <= promise.p90 + 1e-9
            kept.waits.append((promise.p50, took))
    return kept


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for every workload."""
    parser = ArgumentParser(prog="estimates", description=__doc__)
    parser.add_argument("workloads", nargs="?", default="*", metavar="GLOB")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(argv)
    sys.stdout.write(
        f"{'workload':22} {'promises':>8} {'in P50':>7} {'in P90':>7} {'mean P50':>9} {'came':>6}\n"
    )
    for workload in WORKLOADS:
        if fnmatch(workload.name, options.workloads):
            kept = watch(workload, range(1, options.seeds + 1))
            said, came = (sum(column) / max(1, kept.promises) for column in zip(*kept.waits, strict=True))
            shares = (f"{100 * count / max(1, kept.promises):5.0f} %" for count in (kept.p50, kept.p90))
            sys.stdout.write(
                f"{workload.name:22} {kept.promises:8} {' '.join(shares)} {said:7.1f} V {came:4.1f} V\n"
            )
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
