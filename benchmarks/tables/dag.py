"""A DAG of shell nodes that change nothing, beside build tools."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.own_command import ROOT
from benchmarks.suite import bare_run, dag_files, dag_floor
from benchmarks.suite.ground import fresh_folder, fresh_repository, layers
from benchmarks.suite.pairs import Absent, Median, in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, own_price, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of

_NODES = 1000
_LAYERS = 10
_WORKERS = "2"
_GOAL_TIMES = 1.6
_GOAL_MEMORY_MB = 60
_BASE = "make -j2"
_BARE = "ours, without slots and wardens (a stand-in)"
_OURS = "ours, as it is: a slot, a warden and a look at the changes for each"
_FLOOR = "floor: a loop, a shell and two rows in SQLite for each node"


def measure(scale: Scale, peers: Peers) -> list[Row]:
    """All of them on the same DAG, with two at a time."""
    nodes = 100 if scale.quick else _NODES
    graph = layers(nodes, nodes // _LAYERS)
    contenders: dict[str, Callable[[], Price]] = {
        _BASE: partial(_peer, peers, "make", ("-s", "-j", _WORKERS, "all"), dag_files.makefile, graph),
        _FLOOR: partial(floor_price, graph),
        _BARE: partial(bare_price, graph, "alone"),
        "ours, without slots (a stand-in)": partial(bare_price, graph, "guarded"),
        _OURS: partial(own_dag_price, graph),
        "doit -n 2": partial(_peer, peers, "doit", ("-n", _WORKERS, "-P", "thread"), dag_files.dodo, graph),
        "go-task -C 2": partial(_peer, peers, "go-task", ("-C", _WORKERS, "all"), dag_files.taskfile, graph),
        "snakemake -j 2": partial(
            _peer, peers, "snakemake", ("-j", _WORKERS, "--quiet", "all"), dag_files.snakefile, graph
        ),
    }
    found = in_turn(contenders, scale.rounds)
    return [_row(name, price, found) for name, price in found.items()]


def _row(name: str, price: Median | Absent, found: dict[str, Median | Absent]) -> Row:
    base, doit = found[_BASE], found["doit -n 2"]
    if isinstance(price, Absent) or isinstance(base, Absent):
        return row_of(name, price)
    times = price.cpu_s / base.cpu_s
    figure = "" if name == _BASE else f"{times:.1f} x make"
    if name != _BARE:
        note = "the product has no mode without work trees: this is what it does" if name == _OURS else ""
        return row_of(name, price, figure=figure, floor=name == _FLOOR, note=note)
    behind_doit = isinstance(doit, Median) and price.cpu_s > doit.cpu_s
    return row_of(
        name,
        price,
        figure=figure,
        goal=f"CPU <= {_GOAL_TIMES:g} x make and <= doit, memory <= {_GOAL_MEMORY_MB} MB",
        reached=times <= _GOAL_TIMES and not behind_doit and price.peak_mb <= _GOAL_MEMORY_MB,
        note="nearest to the goal's words; the product itself has no mode without work trees",
    )


def _peer(
    peers: Peers,
    name: str,
    args: tuple[str, ...],
    write: Callable[[Path, dag_files.Graph], Path],
    graph: dag_files.Graph,
) -> Price:
    program = peers[name].program
    if program is None:
        raise DidNotRun(peers[name].missing)
    with fresh_folder() as folder:
        write(folder, graph)
        return price_of([program, *args], cwd=folder, env=environment(folder))


def floor_price(graph: dag_files.Graph) -> Price:
    """Of the least that such a program can do."""
    with fresh_folder() as folder:
        argv = [sys.executable, "-I", "-S", str(dag_floor.__file__), str(dag_files.plan_file(folder, graph))]
        return price_of([*argv, _WORKERS, str(folder / "log.db")], cwd=folder, env=environment(folder))


def bare_price(graph: dag_files.Graph, warden: str) -> Price:
    """Of our loop without slots."""
    with fresh_repository() as made:
        plan = dag_files.plan_file(made.path.parent, graph)
        argv = [sys.executable, "-m", bare_run.__name__, str(made.path), str(plan), _WORKERS, warden]
        return price_of(argv, cwd=made.path, env=environment(made.path.parent, PYTHONPATH=str(ROOT)))


def own_dag_price(graph: dag_files.Graph) -> Price:
    """Of `execute`."""
    with fresh_repository() as made:
        plan = dag_files.plan_file(made.path.parent, graph)
        return own_price(made.path, "execute", str(plan), "--yes", "--workers", _WORKERS)


TABLE = Table(
    name="dag",
    title="A DAG of shell nodes",
    about="Ten layers of a hundred, each node depends on two of the layer before and starts one shell that "
    "does nothing; two at a time. The product gives every attempt a work tree and a warden and looks "
    "at what changed; the stand-ins leave that out and keep its scheduler, event log, workers and "
    "supervision.",
    growth="Linear in nodes and edges, see `growth_nodes`.",
    measure=measure,
)
