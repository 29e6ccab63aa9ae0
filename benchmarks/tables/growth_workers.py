"""How a run grows with its workers."""

from functools import partial

from msgspec.structs import replace

from benchmarks.suite.ground import fresh_repository, shell_node, write_plan
from benchmarks.suite.pairs import in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import Price, own_price
from benchmarks.suite.rows import Row, Scale, Table, row_of

_NODES = 32
_SLEEP_S = 1.0


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """The same nodes, which only wait, with more and more of them at once."""
    rows = []
    for workers in scale.pick((1, 2, 4, 8, 16), (4, 16)):
        (price,) = in_turn({"": partial(_run, workers)}, min(scale.rounds, 3)).values()
        ideal_s = _NODES / workers * _SLEEP_S
        wall_s = getattr(price, "wall_s", 0.0)
        rows += [
            Row(
                what=f"floor: the sleeping alone, {workers} at once",
                wall_s=ideal_s,
                floor=True,
                curve="the sleeping alone",
                at=float(workers),
                value=ideal_s,
            ),
            replace(
                row_of(
                    f"{workers} {'worker' if workers == 1 else 'workers'}",
                    price,
                    figure=f"{wall_s / ideal_s:.2f} x the sleeping alone",
                    curve="the run",
                    at=float(workers),
                ),
                value=wall_s,
            ),
        ]
    return rows


def _run(workers: int) -> Price:
    with fresh_repository() as made:
        nodes = [shell_node(f"n{number}", f"sleep {_SLEEP_S:g}") for number in range(_NODES)]
        plan = write_plan(made.path.parent / "plan.json", nodes, check=None)
        return own_price(made.path, "execute", str(plan), "--yes", "--workers", str(workers))


TABLE = Table(
    name="growth_workers",
    title="Growth: workers",
    about=f"{_NODES} nodes that sleep {_SLEEP_S:g} s and change nothing. The floor is the sleeping itself.",
    growth="CPU does not depend on the workers; the wall is the work divided by them, until what a node "
    "costs in CPU (see `landing`), times the nodes, fills the cores: from there on more workers "
    "change nothing.",
    across="workers",
    unit="wall seconds",
    measure=measure,
)
