"""How cost grows with the nodes of a plan."""

import json
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.own_command import ROOT
from benchmarks.suite import pure_run
from benchmarks.suite.dag_files import plan_file
from benchmarks.suite.ground import fresh_folder, layers
from benchmarks.suite.pairs import in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import Price, environment, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of
from benchmarks.tables.dag import bare_price, floor_price, own_dag_price

_LAYERS = 10
_MOST_REAL = 100
_MOST_BARE = 1000


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """The core alone up to the largest plan, the loop without slots and the whole product as far as time
    allows."""
    sizes = scale.pick((10, 100, 1_000, 10_000), (10, 100, 1_000))
    rows = []
    for size in sizes:
        graph = layers(size, max(2, size // _LAYERS))
        ways: dict[str, Callable[[], Price]] = {"floor": partial(floor_price, graph)}
        if size <= _MOST_BARE:
            ways["ours without slots and wardens"] = partial(bare_price, graph, "alone")
        if size <= _MOST_REAL:
            ways["ours as it is"] = partial(own_dag_price, graph)
        for name, price in in_turn(ways, min(scale.rounds, 3)).items():
            each = "" if not hasattr(price, "cpu_s") else f"{1000 * price.cpu_s / size:.2f} ms a node"
            rows.append(
                row_of(
                    f"{name}, {size} nodes",
                    price,
                    curve=name,
                    at=float(size),
                    figure=each,
                    floor=name == "floor",
                )
            )
        rows.append(_core(size))
    return rows


def _core(size: int) -> Row:
    """Decide and fold, without anything that they decide about."""
    with fresh_folder() as folder:
        plan = plan_file(folder, layers(size, max(2, size // _LAYERS)))
        argv = [sys.executable, "-m", pure_run.__name__, str(plan), "4"]
        price = price_of(argv, cwd=folder, env=environment(folder, PYTHONPATH=str(ROOT)))
    spent: dict[str, float] = json.loads(price.out)
    parts = ", ".join(f"{name} {1000 * seconds / size:.3f}" for name, seconds in spent.items())
    return Row(
        what=f"the core alone, {size} nodes",
        cpu_s=sum(spent.values()),
        memory_mb=price.peak_kb / 1024,
        figure=f"ms a node: {parts}",
        curve="the core alone",
        at=float(size),
        rounds=1,
        note="memory includes the reading of the plan",
    )


TABLE = Table(
    name="growth_nodes",
    title="Growth: nodes of a plan",
    about="Ten layers, each node after two of the layer before. The core alone decides and folds without "
    "I/O, with four workers. The floor is the one of `dag`.",
    growth="Preparing a plan is O((nodes + edges) log nodes), a decision O(free workers + what has just "
    "changed), the fold of an event O(edges of its node): a run is linear in its nodes. A test counts"
    " the function calls of a node in a small and in a large plan. Below a hundred nodes the start of"
    " the program is most of the price; above that no bend is seen.",
    across="nodes",
    measure=measure,
)
