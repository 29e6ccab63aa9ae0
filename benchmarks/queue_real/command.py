"""The command line of the comparison between the real queue and the simulated one."""

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.own_command import ROOT
from benchmarks.queue_real.play import play
from benchmarks.queue_real.results import Comparison, document, simulate_beside, table
from benchmarks.queue_sim.workloads import Workload

_OUTPUT = ROOT / "artifacts" / "bench" / "merge_queue_real.json"
_FAILURE_RATE = 0.05

_ABOUT = """\
Land a burst of branches with the real queue: `queue add` and `queue process` as processes of their own, real
git, and a check that sleeps V (give or take the jitter) and fails when a broken file is in the tree. Beside
it the same changes are played in the simulator (merge_queue_sim.py) with the same policy, often, because the
dice of the checks' durations differ.

`real` is from the first candidate to the last event, in V, `command` all of `queue process`; each `ratio` is
that beside the mean simulated makespan. `around check`, `to next` and `outside` say where the rest goes, in
ms: what the engine adds to a check, the wait from its end to the next start, and the command's own start and
end. `load` is the machine's load average. Goal: a ratio within 15 %."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the table and write the JSON; 1 when a run was not sound."""
    options = _parse(argv)
    workloads = [_burst(options, workers) for workers in options.workers]
    if options.list:
        sys.stdout.write("".join(f"{workload.name}: {workload.title}\n" for workload in workloads))
        return 0
    comparisons: list[Comparison] = []
    for workload in workloads:
        for seed in range(1, options.seeds + 1):
            real = play(workload, seed, options.v)
            comparisons.append(Comparison(real=real, simulated=simulate_beside(workload, seed), seed=seed))
            sys.stderr.write(f"{workload.name}, seed {seed}: {comparisons[-1].ratio:.2f} of the simulation\n")
            for complaint in real.wrong:
                sys.stderr.write(f"  WRONG: {complaint}\n")
    sys.stdout.write(table(comparisons) + "\n")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document(comparisons, options.v), indent=1) + "\n")
    sys.stdout.write(f"{options.output}\n")
    return 1 if any(one.real.wrong for one in comparisons) else 0


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="merge_queue_real.py", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 changes, V = 1 s, 1 and 4 checkers")
    parser.add_argument("--changes", type=int, help="how many branches (default 60)")
    parser.add_argument("--workers", type=int, nargs="+", metavar="W", help="checkers (default 1 4 8)")
    parser.add_argument("--v", type=float, metavar="SECONDS", help="how long a check takes (default 2)")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 1 on (default 1)")
    parser.add_argument("--jitter", type=float, default=0.1, help="share of V (default 0.1)")
    parser.add_argument(
        "--output", type=Path, default=_OUTPUT, help="where the JSON goes (default %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="list the workloads and stop")
    options = parser.parse_args(argv)
    options.changes = options.changes or (20 if options.quick else 60)
    options.workers = options.workers or ([1, 4] if options.quick else [1, 4, 8])
    options.v = options.v or (1.0 if options.quick else 2.0)
    return options


def _burst(options: Namespace, workers: int) -> Workload:
    name = f"burst{options.changes}-p{_FAILURE_RATE * 100:g}-w{workers}"
    return Workload(
        name=name,
        changes=options.changes,
        workers=workers,
        failure_rate=_FAILURE_RATE,
        jitter=options.jitter,
    )
