"""The figures as a table for people and as a document for programs."""

from collections.abc import Iterable, Mapping

from msgspec import to_builtins

from benchmarks.queue_sim.results import Figures
from benchmarks.queue_sim.workloads import Workload

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("makespan", "makespan", ".1f"),
    ("P50", "p50", ".2f"),
    ("P95", "p95", ".2f"),
    ("P99", "p99", ".2f"),
    ("runs/change", "runs_per_change", ".2f"),
    ("work/change", "work_per_change", ".2f"),
    ("innocents out", "false_ejections", ".2f"),
    ("landed", "landed", ".1f"),
    ("halts", "halts", ".1f"),
)
_URGENT: tuple[tuple[str, str, str], ...] = (
    ("urgent P50", "urgent_p50", ".2f"),
    ("urgent P95", "urgent_p95", ".2f"),
)

Rows = Mapping[str, Figures]
"""Queue -> its figures on one workload."""


def table(workload: Workload, rows: Rows) -> str:
    """One workload's figures, a line per queue. Times are in V, innocents in percent."""
    columns = _COLUMNS + (_URGENT if workload.high else ())
    head = ["queue", *(title for title, _, _ in columns)]
    body = [
        [queue, *(format(getattr(figures, field), spec) for _, field, spec in columns)]
        for queue, figures in rows.items()
    ]
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    lines = [_line(cells, widths) for cells in (head, *body)]
    return "\n".join([f"{workload.name}: {workload.title}", *lines, ""])


def _line(cells: Iterable[str], widths: list[int]) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(("  " + first, *others))


def document(results: Iterable[tuple[Workload, Rows]]) -> dict[str, object]:
    """All figures as one JSON document."""
    return {
        "schema_version": 1,
        "unit": "V, the duration of one check",
        "workloads": [
            {
                **to_builtins(workload),
                "queues": {queue: to_builtins(figures) for queue, figures in rows.items()},
            }
            for workload, rows in results
        ],
    }
