"""The command line of `make bench`."""

import json
import os
import platform
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import to_builtins
from msgspec.structs import replace

from benchmarks.own_command import ROOT
from benchmarks.suite.pace import measure_pace
from benchmarks.suite.page import PAGE, PICTURES, write_page
from benchmarks.suite.peers import Peers, find_peers
from benchmarks.suite.price import DidNotRun
from benchmarks.suite.results import OUTPUT, load_results, text_table
from benchmarks.suite.rows import Measured, Row, Scale, Table
from benchmarks.tables import (
    append,
    burst,
    dag,
    growth_entries,
    growth_files,
    growth_nodes,
    growth_workers,
    landing,
    merges,
    ready,
    resume,
    sleeping,
    slots,
    start_up,
    validate,
    viewer,
)
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.process import run

_ROUNDS = 5
_QUICK_ROUNDS = 3

TABLES: Mapping[str, Table] = {
    module.TABLE.name: module.TABLE
    for module in (
        start_up, landing, ready, dag, validate, slots, merges, burst, append, viewer, resume, sleeping,
        growth_nodes, growth_entries, growth_files, growth_workers,
    )
}  # fmt: skip
"""Every table by its name, in the order of the page."""

_ABOUT = """\
Measure the orchestrator beside other programs and beside floors: small programs that do only the
unavoidable work.

Contenders of a table run in turn, and each figure is the median of its rounds. CPU is user and system time
of the whole process tree, daemons included; it comes first because others' work on the machine disturbs it
least. What is installed to compare with goes to .bench/ (or $BENCH_PEERS) by lock files with hashes; what
cannot be had is named in its row."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print the tables and write JSON, page and pictures."""
    options = _parse(argv)
    if options.list:
        sys.stdout.write("".join(f"{name}: {table.title}\n" for name, table in TABLES.items()))
        return 0
    peers = find_peers(install=not options.no_install)
    if not options.page:
        rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
        _measure([TABLES[name] for name in options.only], Scale(rounds=rounds, quick=options.quick), peers)
    results = load_results([*TABLES])
    sys.stdout.write(f"{OUTPUT / 'table.txt'}\n")
    (OUTPUT / "table.txt").write_text("\n\n".join(map(text_table, results)) + "\n", encoding="utf-8")
    if options.page or not (options.quick or len(options.only) < len(TABLES)):
        problem = write_page(results, peers)
        sys.stdout.write(f"{PAGE}\n{problem or PICTURES}\n")
    return 0


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="bench.py", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and three rounds (minutes)")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=[*TABLES], default=[*TABLES], help="only these"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds of each contender (default {_ROUNDS})")
    parser.add_argument(
        "--no-install", action="store_true", help="compare only with what is installed already"
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help="measure nothing: write docs/performance.md from the JSON that is there",
    )
    parser.add_argument("--list", action="store_true", help="list the tables and stop")
    return parser.parse_args(argv)


def _measure(tables: Sequence[Table], scale: Scale, peers: Peers) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    surroundings = _machine(), _commit()
    for table in tables:
        sys.stderr.write(f"bench: {table.name} …\n")
        load, began = os.getloadavg()[0], time.monotonic()
        scale = replace(scale, pace=measure_pace())
        measured = Measured(
            name=table.name,
            title=table.title,
            about=table.about,
            growth=table.growth,
            across=table.across,
            unit=table.unit,
            rows=tuple(_rows(table, scale, peers)),
            quick=scale.quick,
            load=(load, os.getloadavg()[0]),
            pace=scale.pace,
            took_s=time.monotonic() - began,
            machine=surroundings[0],
            commit=surroundings[1],
        )
        path = OUTPUT / f"{table.name}.json"
        path.write_text(json.dumps(to_builtins(measured), indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(text_table(measured) + "\n\n")
        sys.stdout.flush()


def _rows(table: Table, scale: Scale, peers: Peers) -> list[Row]:
    """A table that fails says so, and the others go on."""
    try:
        return table.measure(scale, peers)
    except (DidNotRun, OrchestratorError, OSError) as reason:
        return [Row(what=table.title, note=f"not measured: {reason}")]


def _machine() -> str:
    git = run(["git", "version"], env=dict(os.environ)).text.removeprefix("git version ")
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, git {git}"


def _commit() -> str:
    return run(["git", "rev-parse", "--short", "HEAD"], cwd=Path(ROOT), env=dict(os.environ)).text
