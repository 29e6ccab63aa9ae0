"""`docs/performance.md` and its pictures, from the JSON of what was measured."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.own_command import ROOT
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import environment
from benchmarks.suite.results import HEAD, OUTPUT, cells
from benchmarks.suite.rows import Measured
from cli_multi_rapid.process import run

PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
_DRAW = Path(__file__).with_name("pictures.py")

_INTRODUCTION = """\
# Speed and size

Written by `make bench` from its JSON: do not edit. Figures are medians of rounds in which the contenders of
a table run in turn. CPU is user and system time of the whole process tree, daemons included. It comes first:
other work on the machine makes everything slower, the wall most of all, so believe the ratios before the
figures. A *floor* is a small program that does only the unavoidable work. What each part costs in git
processes, rows, bytes and modules is counted by ordinary tests (`tests/test_counts.py`), which fail when a
count grows.

Goals in seconds of CPU were set on an idle machine, where `import click` took Python 37 ms. The *pace* of a
table is how many times longer it took just before the table was measured; such goals are judged times the
pace.

| command | does |
|---|---|
| `make bench` | everything (most of an hour), and this page |
| `make bench ARGS=--quick` | small sizes, three rounds; JSON only |
| `make bench ARGS="--only dag landing"` | some tables; JSON only |
| `make bench ARGS=--page` | this page from the JSON in `artifacts/bench/` |
| `make bench ARGS=--list` | the tables |
"""


def write_page(results: Sequence[Measured], peers: Peers) -> str:
    """Write the page, and the pictures where they can be drawn; otherwise says why not."""
    problem = _draw(peers)
    PAGE.write_text("\n".join(_page(results, peers)) + "\n", encoding="utf-8")
    return problem


def _draw(peers: Peers) -> str:
    python = peers["matplotlib"].program
    if python is None:
        return f"no pictures: {peers['matplotlib'].missing}"
    PICTURES.mkdir(parents=True, exist_ok=True)
    done = run([str(python), str(_DRAW), str(OUTPUT), str(PICTURES), "svg"], env=environment(OUTPUT))
    return "" if done.ok else f"no pictures: {done.error_text[-300:]}"


def _page(results: Sequence[Measured], peers: Peers) -> Iterator[str]:
    yield _INTRODUCTION
    if results:
        last = results[-1]
        yield f"Measured on {last.machine}; others' work included, load {_loads(results)}.\n"
    versions = [f"{name} {peer.version}".strip() for name, peer in peers.items() if peer.program]
    yield f"Beside: {', '.join(sorted(versions))}.\n"
    yield from _goals(results)
    for measured in results:
        yield from _section(measured)


def _loads(results: Sequence[Measured]) -> str:
    loads = [load for measured in results for load in measured.load]
    return f"{min(loads):.0f} to {max(loads):.0f}"


def _goals(results: Sequence[Measured]) -> Iterator[str]:
    """Every row that has a goal, in one table."""
    yield "## Goals\n"
    yield "| table | what | goal | CPU | wall | figure | |\n|---|---|---|---|---|---|---|"
    for measured in results:
        for row in measured.rows:
            if row.goal:
                what, cpu, wall, _memory, figure, goal, reached, _note = map(_safe, cells(row))
                mark = f"**{reached}**" if row.reached is False else reached
                link = f"[{measured.name}](#{measured.name})"
                yield f"| {link} | {what} | {goal} | {cpu} | {wall} | {figure} | {mark} |"
    yield ""


def _section(measured: Measured) -> Iterator[str]:
    yield f'<a id="{measured.name}"></a>\n\n## {measured.title}\n'
    yield f"{measured.about}\n"
    used = [place for place in range(len(HEAD)) if any(cells(row)[place] for row in measured.rows)]
    yield "| " + " | ".join(HEAD[place] for place in used) + " |"
    yield "|" + "---|" * len(used)
    for row in measured.rows:
        yield "| " + " | ".join(_safe(cells(row)[place]) for place in used) + " |"
    yield ""
    if (PICTURES / f"{measured.name}.svg").exists():
        yield f"![{measured.title}](performance/{measured.name}.svg)\n"
    if measured.growth:
        yield f"Growth: {measured.growth}\n"
    command = f'`make bench ARGS="--only {measured.name}"`'
    rounds = max((row.rounds for row in measured.rows), default=0)
    often = f"up to {rounds} rounds" if rounds > 1 else "one round"
    where = f"pace {measured.pace:.1f}, load {measured.load[0]:.0f} to {measured.load[1]:.0f}"
    yield f"{command}: {often}, {measured.took_s:.0f} s, {where}, at {measured.commit}.\n"


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
