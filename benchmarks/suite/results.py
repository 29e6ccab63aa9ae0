"""The JSON of measured tables, and each as text for a terminal."""

import json
from collections.abc import Sequence

from msgspec import convert

from benchmarks.own_command import ROOT
from benchmarks.suite.rows import Measured, Row

OUTPUT = ROOT / "artifacts" / "bench"
HEAD = ("what", "CPU", "wall", "memory", "figure", "goal", "", "note")


def load_results(names: Sequence[str]) -> list[Measured]:
    """What was measured last of each table; tables that were never measured are left out."""
    paths = [OUTPUT / f"{name}.json" for name in names]
    return [
        convert(json.loads(path.read_text(encoding="utf-8")), Measured) for path in paths if path.exists()
    ]


def cells(row: Row) -> tuple[str, ...]:
    """A row as texts, in the order of `HEAD`."""
    reached = "" if row.reached is None else "reached" if row.reached else "MISSED"
    memory = "" if row.memory_mb is None else f"{row.memory_mb:.0f} MB"
    return row.what, seconds(row.cpu_s), seconds(row.wall_s), memory, row.figure, row.goal, reached, row.note


def seconds(value: float | None) -> str:
    """A duration with three digits."""
    if value is None:
        return ""
    return (
        f"{1000 * value:.3g} ms"
        if value < 0.9995
        else f"{value:.3g} s"
        if value < 999.5
        else f"{value:.0f} s"
    )


def text_table(measured: Measured) -> str:
    """For a terminal, with what was going on on the machine."""
    lines = [HEAD, *map(cells, measured.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    load = f"load {measured.load[0]:.1f} before, {measured.load[1]:.1f} after, pace {measured.pace:.1f}"
    return "\n".join(
        [f"== {measured.name}: {measured.title} ({load}{', quick' if measured.quick else ''})", *body]
    )
