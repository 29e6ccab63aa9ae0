"""Finding every problem of a large plan, with its line, beside reading the file and nothing more."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.suite import dag_files
from benchmarks.suite.ground import fresh_folder, layers
from benchmarks.suite.pairs import in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, own_price, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of

_GOALS_S = {1000: 0.35, 5000: 1.5}
_LAYERS = 10

_FLOOR = """\
import sys, yaml
with open(sys.argv[1], "rb") as file:
    node = yaml.compose(file, Loader=yaml.CSafeLoader)
waiting, places = [node], 0
while waiting:
    item = waiting.pop()
    places += item.start_mark.line >= 0
    if isinstance(item.value, list):
        for value in item.value:
            waiting.extend(value if isinstance(value, tuple) else (value,))
"""
"""Every value of the file with the line that it stands on, by the quickest reader there is for Python."""


def measure(scale: Scale, peers: Peers) -> list[Row]:
    """Plans in YAML, laid out as a person would, all in turn."""
    sizes = scale.pick((100, 1000, 5000), (100, 1000))
    contenders: dict[tuple[str, int], Callable[[], Price]] = {}
    for size in sizes:
        contenders["floor", size] = partial(_floor, size)
        contenders["validate", size] = partial(_ours, size)
        if size <= 1000:
            contenders["snakemake -n", size] = partial(_snakemake, peers, size)
    found = in_turn({f"{name} {size}": run for (name, size), run in contenders.items()}, scale.rounds)
    rows = []
    for name, size in contenders:
        price, goal = found[f"{name} {size}"], _GOALS_S.get(size) if name == "validate" else None
        rows.append(
            row_of(
                f"{name}, {size} nodes" if name != "floor" else f"floor: YAML with lines, {size} nodes",
                price,
                curve=name,
                at=float(size),
                floor=name == "floor",
                goal="" if goal is None else f"CPU <= {goal:g} s",
                reached=None if goal is None else scale.meets(price, goal),
            )
        )
    return rows


def _plan(folder: Path, size: int) -> Path:
    lines = ["version: 1", "plan_id: large", "nodes:"]
    for name, deps in layers(size, size // _LAYERS).items():
        lines += [
            f"  - id: {name}",
            "    tool: shell",
            "    run: make test",
            f"    deps: [{', '.join(deps)}]",
        ]
        lines += [f"    path_claims: ['src/{name}/**']"]
    path = folder / "plan.yaml"
    path.write_text("\n".join([*lines, "merge_policy: {checklist: []}", ""]))
    return path


def _ours(size: int) -> Price:
    with fresh_folder() as folder:
        place = folder / "place"
        place.mkdir()
        return own_price(place, "validate", str(_plan(folder, size)))


def _floor(size: int) -> Price:
    with fresh_folder() as folder:
        argv = [sys.executable, "-c", _FLOOR, str(_plan(folder, size))]
        return price_of(argv, cwd=folder, env=environment(folder))


def _snakemake(peers: Peers, size: int) -> Price:
    program = peers["snakemake"].program
    if program is None:
        raise DidNotRun(peers["snakemake"].missing)
    with fresh_folder() as folder:
        dag_files.snakefile(folder, layers(size, size // _LAYERS))
        return price_of([program, "-n", "--quiet", "all"], cwd=folder, env=environment(folder))


TABLE = Table(
    name="validate",
    title="Validating a large plan",
    about="`validate` on a YAML plan in ten layers, each node with a claim of its own: every problem with "
    "its line. The floor reads the file with positions and looks at each. `snakemake -n` makes its "
    "DAG of as many rules.",
    growth="Linear in the nodes and their edges; claims are compared through an index of their paths. Below "
    "a thousand nodes the start of the program is most of the price; above, the reading of YAML with "
    "positions is, which is the floor.",
    across="nodes",
    measure=measure,
)
