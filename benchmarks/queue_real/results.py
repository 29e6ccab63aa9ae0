"""Real runs beside their simulations, as a table for people and as a document for programs."""

from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from benchmarks.queue_real.play import RealRun
from benchmarks.queue_sim.results import LADDER, simulate
from benchmarks.queue_sim.workloads import Workload

_DICE = 20
"""How often a burst is simulated: the checks' durations are drawn anew each time, the changes stay."""
_HEAD = (
    *("workload", "seed", "simulated", "(range)", "real", "ratio", "command", "ratio"),
    *("runs/change", "simulated", "landed", "trains"),
    *("around check", "to next", "outside", "CPU ms/change", "load"),
)


class Simulated(Struct, frozen=True, kw_only=True):
    """The same burst in the simulator, over many dice. Times are in V."""

    workload: str
    makespan: float
    shortest: float
    longest: float
    runs_per_change: float
    ejected: float


class Comparison(Struct, frozen=True, kw_only=True):
    """One real run and its simulation."""

    real: RealRun
    simulated: Simulated
    seed: int

    @property
    def ratio(self) -> float:
        """The real makespan as a multiple of the mean simulated one."""
        return self.real.makespan / self.simulated.makespan


def simulate_beside(workload: Workload, seed: int) -> Simulated:
    """Play the changes of this seed in the simulator."""
    # The name is a part of the dice for durations, and none of the changes.
    plays = [
        simulate(replace(workload, name=f"{workload.name} beside {dice}"), LADDER, seed)
        for dice in range(_DICE)
    ]
    makespans = [one.makespan for one in plays]
    return Simulated(
        workload=workload.name,
        makespan=fmean(makespans),
        shortest=min(makespans),
        longest=max(makespans),
        runs_per_change=fmean(one.runs_per_change for one in plays),
        ejected=fmean(one.ejected for one in plays),
    )


def table(comparisons: Sequence[Comparison]) -> str:
    """A line per run. Makespans are in V, latencies in milliseconds."""
    lines = [_HEAD, *map(_cells, comparisons)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def document(comparisons: Sequence[Comparison], check_s: float) -> dict[str, object]:
    """All figures as one JSON document."""
    return {
        "schema_version": 1,
        "unit": "V, the duration of one check",
        "check_s": check_s,
        "dice": _DICE,
        "runs": [{**to_builtins(one), "ratio": one.ratio} for one in comparisons],
    }


def _cells(one: Comparison) -> tuple[str, ...]:
    real, simulated, latency = one.real, one.simulated, one.real.latency
    return (
        simulated.workload,
        str(one.seed),
        f"{simulated.makespan:.2f}",
        f"{simulated.shortest:.1f}-{simulated.longest:.1f}",
        f"{real.makespan:.2f}",
        f"{one.ratio:.2f}",
        f"{real.command:.2f}",
        f"{real.command / simulated.makespan:.2f}",
        f"{real.runs_per_change:.2f}",
        f"{simulated.runs_per_change:.2f}",
        f"{real.landed} of {real.landed + real.ejected}",
        str(latency.trains),
        f"{latency.around_check:.0f}",
        f"{latency.to_next_check:.0f}",
        f"{latency.outside:.0f}",
        f"{1000 * real.cpu_per_change_s:.0f}",
        f"{real.machine_load:.1f}",
    )
