"""The merge policy: a burst of changes in the simulator, and a real queue of seven branches that quarrel."""

import json

from benchmarks.generated_repository import make_repository
from benchmarks.queue_sim.results import LADDER, mean, simulate
from benchmarks.queue_sim.workloads import WORKLOADS
from benchmarks.suite.ground import fresh_folder
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import own_price
from benchmarks.suite.rows import Row, Scale, Table
from cli_multi_rapid.core.ids import Branch, queue_stream
from cli_multi_rapid.core.merge_events import CheckStarted
from cli_multi_rapid.wiring import find_home, open_records

_GOALS_V = {1: 21.0, 4: 11.5, 8: 8.5}
_GOAL_RUNS = 9
_SEEDS = 30
_CHECK = "! grep -rq BAD src && { [ ! -e src/left.txt ] || [ ! -e src/right.txt ]; }"
_SEVEN = {
    "colours": {"src/app.txt": "title\ncolours\nend\n"},
    "left": {"src/left.txt": "left\n"},
    "docs": {"src/docs.txt": "docs\n"},
    "fonts": {"src/app.txt": "title\nfonts\nend\n"},
    "right": {"src/right.txt": "right\n"},
    "broken": {"src/broken.txt": "BAD\n"},
    "menu": {"src/menu.txt": "menu\n"},
}
"""`fonts` conflicts with `colours`, `broken` fails alone, `left` and `right` fail only together."""


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """Makespans in V, the duration of one check; then the check runs of the seven branches."""
    seeds = range(1, (4 if scale.quick else _SEEDS) + 1)
    rows = []
    for workload in WORKLOADS:
        if workload.failure_rate != 0.05 or not workload.name.startswith("burst60"):
            continue
        for queue in ("oracle", "zuul", LADDER):
            found = mean([simulate(workload, queue, seed) for seed in seeds])
            goal = _GOALS_V[workload.workers] if queue == LADDER else None
            rows.append(
                Row(
                    what=f"60 changes, 5 % broken, {workload.workers} checkers: {_NAMES[queue]}",
                    figure=f"{found.makespan:.1f} V",
                    goal="" if goal is None else f"<= {goal:g} V",
                    reached=None if goal is None else found.makespan <= goal,
                    floor=queue == "oracle",
                    rounds=len(seeds),
                    curve=_NAMES[queue],
                    at=float(workload.workers),
                    value=found.makespan,
                )
            )
    return [*rows, _seven_branches()]


_NAMES = {"oracle": "floor: an oracle that checks each once", "zuul": "Zuul's window", LADDER: "ours"}


def _seven_branches() -> Row:
    """Real git, real checks."""
    config = {
        "version": 1,
        "checks": {"tests": {"run": _CHECK}},
        "merge_policy": {"checklist": ["tests"]},
    }
    base = {"src/app.txt": "title\nplain\nend\n", "config/orchestrator.yaml": json.dumps(config)}
    with fresh_folder() as folder:
        made = make_repository(folder / "repository", base, list(_SEVEN.items()))
        own_price(made.path, "queue", "add", *_SEVEN)
        price = own_price(made.path, "queue", "process", code=1)
        with open_records(find_home(made.path)) as records:
            events = records.log.read(queue_stream(Branch("main")))
        files = made.git("ls-tree", "-r", "--name-only", "main").split()
    runs = sum(isinstance(event.data, CheckStarted) for event in events)
    pair = sum(f"src/{name}.txt" in files for name in ("left", "right"))
    return Row(
        what="7 branches, a conflict, a bad test and a pair that fails only together",
        cpu_s=price.cpu_s,
        wall_s=price.wall_s,
        figure=f"{runs} check runs, {pair} of the pair landed",
        goal=f"<= {_GOAL_RUNS} runs, 1 lands",
        reached=runs <= _GOAL_RUNS and pair == 1,
        rounds=1,
    )


TABLE = Table(
    name="burst",
    title="The merge policy",
    about="Makespan of a burst, in multiples of one check's duration V, from the simulator; `make bench` "
    "does not repeat the comparison with real processes, which takes minutes: `python "
    "benchmarks/merge_queue_real.py`. Then seven real branches.",
    growth="Checks per change fall with the size of a train and rise with the share of broken changes: "
    "docs/merge-queue-findings.md.",
    across="checkers",
    unit="makespan in V",
    measure=measure,
)
