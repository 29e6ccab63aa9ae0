"""A measured stretch of work, medians of several, and the table of what was measured beside its goal."""

from collections.abc import Callable, Sequence
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter

from msgspec import Struct, to_builtins


class Cost(Struct, frozen=True, kw_only=True):
    """Seconds of the clock, and of processors in this process and all that it waited for."""

    wall_s: float
    cpu_s: float


class Row(Struct, frozen=True, kw_only=True):
    """One line of the table. `reached` is None where there is no goal."""

    what: str
    cost: Cost
    goal: str = ""
    reached: bool | None = None


def cost_of(work: Callable[[], object]) -> Cost:
    """Do it, and say what it cost."""
    cpu, began = _cpu_s(), perf_counter()
    work()
    return Cost(wall_s=perf_counter() - began, cpu_s=_cpu_s() - cpu)


def median_of(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(wall_s=median(one.wall_s for one in costs), cpu_s=median(one.cpu_s for one in costs))


def table(rows: Sequence[Row]) -> str:
    """Times in milliseconds."""
    lines = [("what", "wall ms", "CPU ms", "goal", "")]
    lines += [
        (
            row.what,
            f"{1000 * row.cost.wall_s:.1f}",
            f"{1000 * row.cost.cpu_s:.1f}",
            row.goal,
            "" if row.reached is None else "reached" if row.reached else "MISSED",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numbers = {1, 2}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def document(rows: Sequence[Row]) -> dict[str, object]:
    """All figures as one JSON document, in seconds."""
    return {"schema_version": 1, "unit": "s", "rows": [to_builtins(row) for row in rows]}


def _cpu_s() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime for usage in (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    )
