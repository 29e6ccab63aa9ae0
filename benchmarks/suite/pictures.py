"""Draws a picture per table: `pictures.py JSON_FOLDER PICTURE_FOLDER svg|png`, run by the Python that has
matplotlib.

Curves of growth on double logarithmic axes, floors dashed; tables without curves as bars of CPU time.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_COLOURS = ("#0b6bcb", "#c4401c", "#2b8a3e", "#7048e8", "#a6790a", "#0b7285")
_FLOOR_COLOUR = "#868e96"


def main(source: str, target: str, kind: str) -> None:
    """One picture for each JSON file that has something to draw."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    # Text stays text: small files, and nothing that differs from one drawing to the next.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9})
    pyplot: Any = import_module("matplotlib.pyplot")
    for path in sorted(Path(source).glob("*.json")):
        table = json.loads(path.read_text(encoding="utf-8"))
        if "rows" not in table or "across" not in table:
            continue
        drawn = _curves(pyplot, table) or _bars(pyplot, table)
        if drawn is not None:
            metadata = {"Date": None} if kind == "svg" else None
            drawn.savefig(
                Path(target) / f"{path.stem}.{kind}", metadata=metadata, bbox_inches="tight", dpi=110
            )
            pyplot.close(drawn)


def _curves(pyplot: Any, table: dict[str, Any]) -> Any:
    """Cost over size; None when no curve has two points."""
    curves: dict[str, list[tuple[float, float]]] = {}
    floors = set()
    for row in table["rows"]:
        height = _height(row)
        if row["curve"] and row["at"] and height:
            curves.setdefault(row["curve"], []).append((row["at"], height))
            if row["floor"]:
                floors.add(row["curve"])
    if not any(len(points) > 1 for points in curves.values()):
        return None
    figure, axes = pyplot.subplots(figsize=(6.4, 3.8))
    colours = iter(_COLOURS * 2)
    for name, points in curves.items():
        floor = name in floors
        axes.plot(
            *zip(*sorted(points), strict=True),
            marker="o",
            markersize=4,
            linestyle="--" if floor else "-",
            color=_FLOOR_COLOUR if floor else next(colours),
            label=name,
        )
        for at, height in points:
            axes.annotate(f"{height:.2g}", (at, height), (0, 5), textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({at for points in curves.values() for at, _ in points})
    axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    axes.minorticks_off()
    axes.margins(0.08, 0.12)
    axes.set_xlabel(table["across"])
    axes.set_ylabel(table["unit"])
    axes.grid(visible=True, color="#e9ecef")
    axes.legend(frameon=False)
    axes.set_title(table["title"], loc="left")
    return figure


def _bars(pyplot: Any, table: dict[str, Any]) -> Any:
    """CPU time of each row; None when there is nothing to compare."""
    rows = [row for row in table["rows"] if _height(row)]
    if len(rows) < 2:
        return None
    figure, axes = pyplot.subplots(figsize=(6.4, 0.6 + 0.32 * len(rows)))
    heights = [_height(row) for row in rows]
    colours = [_FLOOR_COLOUR if row["floor"] else _COLOURS[0] for row in rows]
    bars = axes.barh([_short(row["what"]) for row in rows], heights, color=colours)
    if max(heights) > 20 * min(heights):
        axes.set_xscale("log")
    axes.bar_label(bars, [f"{height:.3g}" for height in heights], padding=3, fontsize=8)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_xlabel(table["unit"])
    axes.set_title(table["title"], loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _height(row: dict[str, Any]) -> float:
    height = row["value"] if row["value"] is not None else row["cpu_s"]
    return float(height or 0.0)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"


if __name__ == "__main__":
    main(*sys.argv[1:])
