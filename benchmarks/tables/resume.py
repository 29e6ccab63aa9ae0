"""Going on after `kill -9` amid a large run."""

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

from benchmarks.generated_repository import GeneratedRepository
from benchmarks.own_command import ROOT
from benchmarks.suite import bare_run
from benchmarks.suite.dag_files import LINE
from benchmarks.suite.ground import fresh_repository, layers, shell_node, write_plan
from benchmarks.suite.pairs import in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, own_price, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.wiring import find_home, open_records

_GOAL_S = 0.5
_SIGKILL = -9

_FLOOR = """\
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("SELECT * FROM events ORDER BY run_id, seq").fetchall()
events = [json.loads(row[-1]) for row in rows]
"""
"""Reading all that happened; it is not even looked at."""


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """Runs of several sizes, each killed when all of its nodes but one are done."""
    sizes = scale.pick((10, 100, 1000), (10, 100))
    ways: dict[str, Callable[[], Price]] = {f"resume {size}": partial(_resume, size) for size in sizes}
    ways |= {f"floor {size}": partial(_floor, size) for size in sizes}
    found = in_turn(ways, min(scale.rounds, 3))
    rows = []
    for size in sizes:
        rows.append(
            row_of(
                f"floor: reading the log of {size} nodes",
                found[f"floor {size}"],
                floor=True,
                curve="floor",
                at=float(size),
            )
        )
        price, goal = found[f"resume {size}"], size == 1000
        rows.append(
            row_of(
                f"resume of {size} nodes, one left to do",
                price,
                goal=f"CPU <= {_GOAL_S:g} s, nothing again" if goal else "",
                reached=scale.meets(price, _GOAL_S) if goal else None,
                figure="nothing finished ran again",
                curve="resume",
                at=float(size),
            )
        )
    return rows


def _resume(size: int) -> Price:
    with fresh_repository() as made:
        _run_until_killed(made, size)
        price = own_price(made.path, "resume")
        _nothing_ran_again(made)
    return price


def _floor(size: int) -> Price:
    with fresh_repository() as made:
        _run_until_killed(made, size)
        database = find_home(made.path).database
        return price_of(
            [sys.executable, "-I", "-S", "-c", _FLOOR, str(database)],
            cwd=made.path,
            env=environment(made.path.parent),
        )


def _run_until_killed(made: GeneratedRepository, size: int) -> None:
    """The last node kills the program that runs it, its parent, when it is tried for the first time."""
    graph = layers(size - 1, max(2, size // 10))
    mark = made.path.parent / "tried"
    nodes = [shell_node(name, LINE, deps=deps) for name, deps in graph.items()]
    nodes.append(shell_node("last", f"[ -e {mark} ] || {{ touch {mark}; kill -9 $PPID; }}", deps=[*graph]))
    plan = write_plan(made.path.parent / "plan.json", nodes, check=None)
    argv = [sys.executable, "-m", bare_run.__name__, str(made.path), str(plan), "2", "alone"]
    env = environment(made.path.parent, PYTHONPATH=str(ROOT))
    price_of(argv, cwd=made.path, env=env, code=_SIGKILL)


def _nothing_ran_again(made: GeneratedRepository) -> None:
    with open_records(find_home(made.path)) as records:
        events = records.log.read(records.latest_run())
    starts = Counter(event.data.node_id for event in events if isinstance(event.data, NodeStarted))
    again = sorted(name for name, times in starts.items() if times > 1)
    if again != ["last"]:
        raise DidNotRun(f"these ran again: {', '.join(again[:5])}")


TABLE = Table(
    name="resume",
    title="Resuming a run that was killed",
    about="The whole command `resume` on a run that was killed with SIGKILL while its last node ran: it "
    "reads and folds the log, repairs what was left, does that one node and writes the report.",
    growth="Linear in the events of the run.",
    across="nodes",
    measure=measure,
)
