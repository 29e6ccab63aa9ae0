"""What a command costs before it has done anything, beside the smallest program that reads a command line."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.generated_repository import GeneratedRepository
from benchmarks.suite.ground import fresh_repository, write_plan, writing_nodes
from benchmarks.suite.pairs import Absent, Median, in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, own_price, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of

_GOAL_HELP_S = 0.080
_GOAL_LOOK_S = 0.120
_CLICK = "python -c 'import click'"
_FLOORS = {"python -c 'pass'": "pass", _CLICK: "import click"}
_OWN = {"--help": ("--help",), "status": ("status",), "queue list": ("queue", "list")}
_GOALS = {"--help": _GOAL_HELP_S, "status": _GOAL_LOOK_S, "queue list": _GOAL_LOOK_S}
_PEERS = {"mergetrain --help": ("mergetrain", "--help"), "bernstein --help": ("bernstein", "--help")}


def measure(scale: Scale, peers: Peers) -> list[Row]:
    """All of them in turn, in a repository in which a run has landed."""
    with fresh_repository() as made:
        plan = write_plan(made.path.parent / "plan.json", writing_nodes(3))
        own_price(made.path, "execute", str(plan), "--yes")
        contenders: dict[str, Callable[[], Price]] = {
            name: partial(_python, made, code) for name, code in _FLOORS.items()
        }
        contenders |= {name: partial(own_price, made.path, *args) for name, args in _OWN.items()}
        contenders |= {name: partial(_peer, peers, made.path, *argv) for name, argv in _PEERS.items()}
        contenders["mergetrain status"] = _peer_status(peers, made)
        found = in_turn(contenders, scale.rounds)
    rows = []
    for name, price in found.items():
        goal = _GOALS.get(name)
        reached = None if goal is None else scale.meets(price, goal)
        told = "" if goal is None else f"CPU <= {1000 * goal:g} ms"
        rows.append(
            row_of(
                name,
                price,
                figure=_times(price, found[_CLICK]),
                goal=told,
                reached=reached,
                floor=name in _FLOORS,
            )
        )
    return rows


def _times(price: Median | Absent, beside: Median | Absent) -> str:
    if isinstance(price, Absent) or isinstance(beside, Absent):
        return ""
    return f"{price.cpu_s / beside.cpu_s:.1f} x import click"


def _python(made: GeneratedRepository, code: str) -> Price:
    return price_of([sys.executable, "-c", code], cwd=made.path, env=environment(made.path.parent))


def _peer(peers: Peers, cwd: Path, name: str, *args: str) -> Price:
    program = peers[name].program
    if program is None:
        raise DidNotRun(peers[name].missing)
    return price_of([program, *args], cwd=cwd, env=environment(cwd.parent))


def _peer_status(peers: Peers, made: GeneratedRepository) -> Callable[[], Price]:
    """In the same repository, with its own configuration beside ours."""
    (made.path / ".mergetrain.yaml").write_text("version: 2\nproject: {name: bench}\ngates: []\n")
    return partial(_peer, peers, made.path, "mergetrain", "status")


TABLE = Table(
    name="start_up",
    title="Starting a command",
    about="`--help` reads nothing; `status` and `queue list` look at a repository in which one run has "
    "landed, with no server. The floor is an interpreter that does nothing, and one that imports the "
    "library which reads the command line.",
    growth="Constant: it is the import of modules. `status` also folds the run's events, see `append`.",
    measure=measure,
)
