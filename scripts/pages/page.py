"""A Markdown page below `docs/reference/` of the folder that a phase works in."""

from collections.abc import Iterable, Sequence
from pathlib import Path

FOLDER = Path("docs/reference")


def write_page(name: str, lines: Iterable[str]) -> str:
    """Write `docs/reference/<name>`; returns what was done, for the phase's summary."""
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines).rstrip() + "\n"
    path.write_text(text, encoding="utf-8")
    return f"wrote {path}: {len(text.splitlines())} lines"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; bars inside cells are escaped."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], f"|{'---|' * len(head)}", *lines[1:]]
