"""What a simulation came to: one queue, one workload, one seed; and the mean over seeds."""

from collections.abc import Callable, Sequence
from math import ceil
from statistics import fmean
from time import process_time

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from benchmarks.queue_sim.driver import PolicyQueue
from benchmarks.queue_sim.rivals import Batches, Oracle, Zuul
from benchmarks.queue_sim.workloads import Workload
from benchmarks.queue_sim.world import Fate, Queue, World

BORS_BATCH = 16
LADDER = "ladder"

QUEUES: dict[str, Callable[[World], Queue]] = {
    "serial": lambda world: Batches(world, 1),
    "zuul": Zuul,
    "bors": lambda world: Batches(world, BORS_BATCH),
    "oracle": Oracle,
    LADDER: PolicyQueue,
}
"""Every queue by its name in tables; the project's own is the last."""


class Figures(Struct, frozen=True, kw_only=True):
    """The figures of a simulation. Times are in V; turnaround is of landed changes, arrival to landing."""

    makespan: float
    """When the last change was decided."""
    p50: float
    p95: float
    p99: float
    urgent_p50: float
    """Turnaround of priority 0; 0 where there is none."""
    urgent_p95: float
    runs_per_change: float
    """Checks started, also those that were cancelled."""
    work_per_change: float
    """Time of checkers per change, in V; a cancelled run counts as long as it ran."""
    false_ejections: float
    """Innocent changes that were ejected, of all innocent ones, in percent."""
    landed: float
    ejected: float
    halts: float
    """How often the queue stopped and asked for a person, who came after one V."""
    cpu_s: float
    """What the simulation cost, queue and world together."""
    seeds: float = 1
    """Of how many simulations this is the mean."""


def simulate(workload: Workload, queue_name: str, seed: int) -> Figures:
    """Play one workload to its end."""
    began = process_time()
    world = World(workload=workload, seed=seed, name=queue_name)
    queue = QUEUES[queue_name](world)
    world.play(queue)
    fates = list(world.fates.values())
    counted = fates[workload.warm_up :]
    times = _turnarounds(counted)
    urgent = _turnarounds([fate for fate in counted if fate.change.priority == 0])
    innocent = [fate for fate in fates if fate.innocent or fate.landed_at is not None]
    return Figures(
        makespan=max(_decided_at(fate) for fate in fates),
        p50=percentile(times, 50),
        p95=percentile(times, 95),
        p99=percentile(times, 99),
        urgent_p50=percentile(urgent, 50),
        urgent_p95=percentile(urgent, 95),
        runs_per_change=world.runs / len(fates),
        work_per_change=world.work / len(fates),
        false_ejections=100 * sum(fate.innocent for fate in fates) / max(1, len(innocent)),
        landed=sum(fate.landed_at is not None for fate in fates),
        ejected=sum(fate.ejected_at is not None for fate in fates),
        halts=queue.halts if isinstance(queue, PolicyQueue) else 0,
        cpu_s=process_time() - began,
    )


def mean(figures: Sequence[Figures]) -> Figures:
    """Each figure's mean over seeds."""
    rows = [to_builtins(one) for one in figures]
    means = Figures(**{name: fmean(row[name] for row in rows) for name in Figures.__struct_fields__})
    return replace(means, seeds=len(rows))


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)] if ordered else 0.0


def _turnarounds(fates: Sequence[Fate]) -> list[float]:
    return [fate.landed_at - fate.change.arrives for fate in fates if fate.landed_at is not None]


def _decided_at(fate: Fate) -> float:
    return next(time for time in (fate.landed_at, fate.ejected_at) if time is not None)
