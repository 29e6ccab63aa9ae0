"""docs/reliability.md, made of the words in promises.md and of the rows that `make faults` told.

The page can be read back, so the suite sees that it is in step with the words and with the form of the rows,
and a change of the words needs no new run: `python -m tests.faults.page`.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.rows import Part, Results, Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
WORDS = Path(__file__).with_name("promises.md")
_PLACE = re.compile(r"<!-- ([a-z ]+?)(?:: (\w+))? -->")
"""Where something is filled in. It stays on the page: what follows it up to an empty line is ours."""
_HEAD = ("what is done", "times", "what comes of it", "and of a careless way", "again", "s")
_BROKEN = "**Not kept.** "
_MADE = re.compile(r"^Made on (\d{4}-\d\d-\d\d)(, in the short form)?: \d+ lines in (\d+) s\.$", re.MULTILINE)
_NOT_TRIED = "Could not be tried on that machine: "
_PLAIN_NAME = re.compile(r"[\w.:+-]+(\[[\w.:+-]*\])?")
_BAR = "\\|"
_CELL = re.compile(r"(?<!\\)\|")


def render(results: Results) -> str:
    """The page of a whole session. Raises `ValueError` for a place in the words that means nothing."""

    def filled(place: re.Match[str]) -> str:
        return "\n".join([place[0], *_filling(results, place[1], place[2] or "")])

    return _PLACE.sub(filled, WORDS.read_text(encoding="utf-8"))


def _filling(results: Results, what: str, part: str) -> Iterator[str]:
    match what:
        case "made":
            form = ", in the short form" if results.short else ""
            yield f"Made on {results.day}{form}: {len(results.rows)} lines in {results.seconds} s."
            if results.skipped:
                yield f"{_NOT_TRIED}{', '.join(results.skipped)}"
        case "table":
            yield from _table([row for row in results.rows if row.part is Part(part)])
        case "not kept":
            broken = [f"- {row.fault}: {row.seen}" for row in results.rows if not row.kept]
            yield from map(_one_line, broken or ["Of what the tables name, nothing."])
        case _:
            raise ValueError(f"promises.md: {what}")


def read_page(text: str) -> Results:
    """The session that a page was made of, whatever its words. Raises `ValueError` for what is no page."""
    made = _MADE.search(text)
    if made is None:
        raise ValueError("the page does not say when it was made")
    rows: list[Row] = []
    for place in _PLACE.finditer(text):
        if place[1] == "table":
            head_and_rows = text[place.end() :].partition("\n\n")[0].splitlines()[1:]
            rows += [_row(Part(place[2]), line) for line in head_and_rows[2:]]
    _, _, skipped = text[made.end() :].partition("\n\n")[0].partition(_NOT_TRIED)
    return Results(
        rows=tuple(rows),
        day=made[1],
        seconds=int(made[3]),
        short=made[2] is not None,
        whole=True,
        skipped=tuple(skipped.split(", ")) if skipped else (),
    )


def again(test: str) -> str:
    """The command that repeats the rows of a test: in all its forms, when one has no plain name."""
    name = test if _PLAIN_NAME.fullmatch(test) else test.partition("[")[0]
    return f"make faults ARGS='-k {name}'"


def summary(results: Results) -> Iterator[str]:
    """The lines that a terminal shows: those of promises that were not kept begin with `!`."""
    for part in Part:
        rows = [row for row in results.rows if row.part is part]
        if rows:
            yield f"{part}: {len(rows)} lines, struck {sum(row.cases for row in rows)} times"
        for row in rows:
            yield f"{' ' if row.kept else '!'} {row.fault} ({row.cases}; {row.seconds:g} s): {row.seen}"
    broken = sum(not row.kept for row in results.rows)
    yield f"{len(results.rows)} lines in {results.seconds} s, {broken} of them of promises that were not kept"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield _line(_HEAD)
        yield "|---" * len(_HEAD) + "|"
    for row in rows:
        seen = row.seen if row.kept else f"{_BROKEN}{row.seen}"
        yield _line((row.fault, str(row.cases), seen, row.naive, f"`{again(row.test)}`", f"{row.seconds:g}"))


def _line(cells: Sequence[str]) -> str:
    return "".join(f"| {_one_line(cell).replace('|', _BAR)} " for cell in cells) + "|"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _row(part: Part, line: str) -> Row:
    cells = [cell.strip().replace(_BAR, "|") for cell in _CELL.split(line)[1:-1]]
    fault, cases, seen, naive, command, seconds = cells
    return Row(
        part=part,
        fault=fault,
        cases=int(cases),
        seen=seen.removeprefix(_BROKEN),
        naive=naive,
        kept=not seen.startswith(_BROKEN),
        test=command.partition("-k ")[2].rstrip("'`"),
        seconds=float(seconds),
    )


if __name__ == "__main__":
    PAGE.write_text(render(read_page(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
    sys.stdout.write(f"{PAGE} has the words of {WORDS}\n")
