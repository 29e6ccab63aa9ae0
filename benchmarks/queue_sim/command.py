"""The command line of the simulator."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

from msgspec.structs import replace

from benchmarks.queue_sim.results import QUEUES, mean, simulate
from benchmarks.queue_sim.tables import Rows, document, table
from benchmarks.queue_sim.workloads import UBER_ASSUMPTIONS, UBER_WORKLOADS, WORKLOADS, Workload

_ROOT = Path(__file__).resolve().parents[2]
_OUTPUT = _ROOT / "artifacts" / "bench" / "merge_queue_sim.json"
_SEEDS = 6
_BURST_SEEDS = 30
"""A burst costs little, and with three broken changes in sixty it needs many to come to a mean."""
_QUICK_SEEDS = 2
_QUICK_CHANGES = 150

_ABOUT = """\
Simulate merge queues: the project's own policy (`ladder`) beside a serial queue, Zuul's window, bors' batches
of 16 with bisection, and an oracle that knows each change's outcome and checks it once.

Times are in V, the duration of one check; figures are means over seeds. Turnaround (P50, P95, P99) is from
arrival to landing. `runs/change` counts checks started, `work/change` the time of checkers in V; `innocents
out` is the share of good changes that were ejected, in percent."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the tables and write the JSON."""
    options = _parse(argv)
    workloads = _chosen(options)
    if not workloads:
        sys.stderr.write(f"no workload is called {options.only}; --list shows them\n")
        return 2
    if options.list:
        for workload in workloads:
            sys.stdout.write(f"{workload.name}: {workload.title}\n")
        return 0
    if any(workload.uber for workload in workloads):
        sys.stdout.write(UBER_ASSUMPTIONS + "\n\n")
    results = []
    for workload, rows in _play(workloads, options):
        sys.stdout.write(table(workload, rows) + "\n")
        sys.stdout.flush()
        results.append((workload, rows))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document(results), indent=1) + "\n")
    sys.stdout.write(f"{options.output}\n")
    return 0


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="merge_queue_sim.py", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer seeds and shorter steady loads")
    parser.add_argument("--uber", action="store_true", help="the Uber-like workloads instead (minutes)")
    parser.add_argument("--only", metavar="GLOB", help="only workloads with such a name, e.g. 'burst60-*'")
    parser.add_argument(
        "--queues", nargs="+", metavar="NAME", choices=list(QUEUES), default=list(QUEUES),
        help=f"only these queues: {', '.join(QUEUES)}",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", type=int, help=f"how many seeds, from 1 on (default {_SEEDS}, {_BURST_SEEDS} for bursts)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="simulations side by side")
    parser.add_argument(
        "--output", type=Path, default=_OUTPUT, help="where the JSON goes (default %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="list the workloads and stop")
    return parser.parse_args(argv)


def _chosen(options: Namespace) -> list[Workload]:
    """The workloads that were asked for."""
    chosen = UBER_WORKLOADS if options.uber else WORKLOADS
    named = [workload for workload in chosen if fnmatch(workload.name, options.only or "*")]
    return [_shortened(workload) for workload in named] if options.quick else named


def _shortened(workload: Workload) -> Workload:
    changes = min(workload.changes, _QUICK_CHANGES)
    return replace(workload, changes=changes, warm_up=min(workload.warm_up, changes // 4))


def _seeds(workload: Workload, options: Namespace) -> range:
    usual = _QUICK_SEEDS if options.quick else _BURST_SEEDS if workload.load is None else _SEEDS
    return range(1, (options.seeds or usual) + 1)


def _play(workloads: Sequence[Workload], options: Namespace) -> Iterator[tuple[Workload, Rows]]:
    with ProcessPoolExecutor(options.jobs) as pool:
        started = [
            (workload, {
                queue: [pool.submit(simulate, workload, queue, seed) for seed in _seeds(workload, options)]
                for queue in options.queues
            })
            for workload in workloads
        ]  # fmt: skip
        for workload, rows in started:
            yield workload, {queue: mean([run.result() for run in runs]) for queue, runs in rows.items()}
