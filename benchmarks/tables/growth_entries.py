"""How cost grows with the entries of the merge queue."""

from functools import partial
from pathlib import Path

from benchmarks.generated_repository import MAIN, GeneratedRepository, make_repository
from benchmarks.suite.ground import fresh_folder
from benchmarks.suite.pairs import in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, own_price, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of

_CONFIG = 'version: 1\nchecks: {check: {run: "true"}}\nmerge_policy: {checklist: [check]}\n'
_FLOOR = """\
set -e
for name in $(git for-each-ref --format='%(refname:short)' refs/heads/work); do
  git merge -q --no-ff -m "Merge $name" $name
done
true
"""


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """`queue add` of all branches at once and `queue process`, beside one `git merge` for each."""
    rows = []
    for size in scale.pick((10, 100, 1_000), (10, 100)):
        ways = {
            "floor": partial(_floor, size),
            "queue add": partial(_ours, size, add=True),
            "queue process": partial(_ours, size, add=False),
        }
        for name, price in in_turn(ways, min(scale.rounds, 3)).items():
            each = "" if not hasattr(price, "cpu_s") else f"{1000 * price.cpu_s / size:.1f} ms each"
            what = "floor: git merge" if name == "floor" else name
            rows.append(
                row_of(
                    f"{what}, {size} branches",
                    price,
                    curve=what,
                    at=float(size),
                    figure=each,
                    floor=name == "floor",
                )
            )
    return rows


def _ours(size: int, *, add: bool) -> Price:
    """The price of the one or of the other command; both are run."""
    with fresh_folder() as folder:
        made = _with_branches(folder, size)
        added = own_price(made.path, "queue", "add", *_names(size))
        if add:
            return added
        processed = own_price(made.path, "queue", "process")
        _all_merged(made, size)
        return processed


def _floor(size: int) -> Price:
    with fresh_folder() as folder:
        made = _with_branches(folder, size)
        price = price_of(["sh", "-c", _FLOOR], cwd=made.path, env=environment(folder))
        _all_merged(made, size)
        return price


def _names(size: int) -> list[str]:
    return [f"work/n{number}" for number in range(size)]


def _with_branches(folder: Path, size: int) -> GeneratedRepository:
    branches = [(name, {f"src/{name}.txt": f"{name}\n"}) for name in _names(size)]
    base = {"README.md": "Base.\n", "config/orchestrator.yaml": _CONFIG}
    return make_repository(folder / "repository", base, branches)


def _all_merged(made: GeneratedRepository, size: int) -> None:
    merged = sum(name.startswith("src/") for name in made.git("ls-tree", "-r", "--name-only", MAIN).split())
    if merged != size:
        raise DidNotRun(f"{merged} of {size} were merged")


TABLE = Table(
    name="growth_entries",
    title="Growth: entries of the merge queue",
    about="Branches with a file each and the check `true`; the floor merges them one by one in the work "
    "tree.",
    growth="Both commands are linear in the entries. `queue process` folds and lands with a constant number "
    "of git processes for each train, so it grows more slowly than one merge after the other; `queue "
    "add` takes a constant number of git processes for each branch.",
    across="entries",
    measure=measure,
)
