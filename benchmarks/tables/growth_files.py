"""How cost grows with the files of the repository."""

from functools import partial

from benchmarks.suite.pairs import in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.rows import Row, Scale, Table, row_of
from benchmarks.tables.landing import run_floor, run_tasks

_TASKS = 6


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """A few tasks end to end, beside the git commands that nobody can do without."""
    rows = []
    for files in scale.pick((300, 5_000, 50_000), (300, 5_000)):
        ways = {
            "floor": partial(run_floor, _TASKS, files=files),
            "ours": partial(run_tasks, _TASKS, files=files),
        }
        for name, price in in_turn(ways, min(scale.rounds, 3)).items():
            what = "the git floor" if name == "floor" else "execute"
            each = "" if not hasattr(price, "cpu_s") else f"{1000 * price.cpu_s / _TASKS:.0f} ms a task"
            rows.append(
                row_of(
                    f"{what}, {files} files",
                    price,
                    curve=what,
                    at=float(files),
                    figure=each,
                    floor=name == "floor",
                )
            )
    return rows


TABLE = Table(
    name="growth_files",
    title="Growth: files of the repository",
    about=f"{_TASKS} tasks that write a file each, end to end, in generated repositories; the floor is that "
    f"of `landing`.",
    growth="Linear in the files, as git is: it reads the index and looks at each file of a work tree. Slots "
    "from the pool write only what differs, so from some thousand files on a task costs less than its"
    " floor, which writes a whole work tree; below, the number of processes decides.",
    across="files in the repository",
    measure=measure,
)
