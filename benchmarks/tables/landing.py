"""Instant tasks from the plan to the target branch, beside the git commands that nobody can do without."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.generated_repository import MAIN, GeneratedRepository, make_repository
from benchmarks.suite.ground import fresh_folder, fresh_repository, write_plan, writing_nodes
from benchmarks.suite.pairs import Absent, Median, in_turn
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, own_price, price_of
from benchmarks.suite.rows import Row, Scale, Table, row_of

_TASKS = 40
_GOAL_TIMES = 2.0
_GOAL_WALL_S = 1.0
_RUNS_EACH_ROUND = 4
"""Twenty runs in a row with the five rounds of a whole measurement."""

_FLOOR = """\
set -e
number=0
while [ $number -lt {count} ]; do
  git worktree add -q -b floor$number ../floor$number {main}
  ( cd ../floor$number; sh -c "echo $number > n$number.txt"; git add -A; git commit -q -m "n$number" )
  git merge -q --no-ff -m "Merge n$number" floor$number
  sh -c true
  git worktree remove ../floor$number
  number=$((number + 1))
done
"""


def measure(scale: Scale, peers: Peers) -> list[Row]:
    """One task, then many, each with its floor; then many runs of many, for how many land."""
    tasks = 10 if scale.quick else _TASKS
    one = in_turn({"ours": partial(run_tasks, 1), "floor": partial(run_floor, 1)}, scale.rounds)
    contenders: dict[str, Callable[[], Price]] = {
        "ours": partial(run_tasks, tasks),
        "floor": partial(run_floor, tasks),
        "mergetrain": partial(_run_mergetrain, peers, tasks),
    }
    many = in_turn(contenders, scale.rounds)
    return [
        row_of("1 task, plan to landed: the git floor", one["floor"], floor=True),
        row_of(
            "1 task, plan to landed",
            one["ours"],
            goal=f"wall <= {_GOAL_WALL_S:g} s",
            reached=getattr(one["ours"], "wall_s", 1e9) <= _GOAL_WALL_S,
        ),
        row_of(
            f"{tasks} tasks: the git floor", many["floor"], floor=True, figure=_each(many["floor"], tasks)
        ),
        _ours(many, tasks),
        row_of(
            f"{tasks} branches through mergetrain, enqueue and validate",
            many["mergetrain"],
            figure=_each(many["mergetrain"], tasks),
            note="without doing the tasks and without its push, which asks at a terminal",
        ),
        Row(
            what="bernstein",
            note="not measured: it dispatches nothing but agents",
        ),
        _in_a_row(tasks, 3 if scale.quick else _RUNS_EACH_ROUND * scale.rounds),
    ]


def _ours(many: dict[str, Median | Absent], tasks: int) -> Row:
    ours, floor = many["ours"], many["floor"]
    what, goal = f"{tasks} tasks end to end", f"CPU <= {_GOAL_TIMES:g} x git floor"
    if isinstance(ours, Absent) or isinstance(floor, Absent):
        return row_of(what, ours, goal=goal)
    times = ours.cpu_s / floor.cpu_s
    figure = f"{_each(ours, tasks)}, {times:.1f} x floor"
    return row_of(what, ours, figure=figure, goal=goal, reached=times <= _GOAL_TIMES)


def _each(found: Median | Absent, tasks: int) -> str:
    return "" if isinstance(found, Absent) else f"{1000 * found.cpu_s / tasks:.0f} ms each"


def _in_a_row(tasks: int, runs: int) -> Row:
    """How many of many runs landed everything and ended with 0."""
    prices = [run_tasks(tasks, code=None) for _ in range(runs)]
    whole = sum(price.code == 0 for price in prices)
    return Row(
        what=f"{tasks} of {tasks} landed, exit 0",
        cpu_s=median(price.cpu_s for price in prices),
        wall_s=median(price.wall_s for price in prices),
        figure=f"{whole} of {runs} runs",
        goal="all",
        reached=whole == runs,
        rounds=runs,
    )


def run_tasks(count: int, *, code: int | None = 0, files: int = 1, workers: int | None = None) -> Price:
    """Our own `execute` on that many independent nodes in a fresh repository, all of them landed."""
    with fresh_repository(files) as made:
        plan = write_plan(made.path.parent / "plan.json", writing_nodes(count))
        more = () if workers is None else ("--workers", str(workers))
        price = own_price(made.path, "execute", str(plan), "--yes", *more, code=code)
        _all_landed(made, count)
    return price


def run_floor(count: int, *, files: int = 1) -> Price:
    """The same work by git alone: a work tree, a commit, a merge, the check, and the work tree removed."""
    with fresh_repository(files) as made:
        script = _FLOOR.format(count=count, main=MAIN)
        price = price_of(["sh", "-c", script], cwd=made.path, env=environment(made.path.parent))
        _all_landed(made, count)
    return price


def _all_landed(made: GeneratedRepository, count: int) -> None:
    files = set(made.git("ls-tree", "-r", "--name-only", MAIN).split())
    landed = sum(f"n{number}.txt" in files for number in range(count))
    if landed != count:
        raise DidNotRun(f"{landed} of {count} landed")


_TRAIN = """\
set -e
number=0
while [ $number -lt {count} ]; do
  {program} enqueue --task n$number --branch n$number --worktree ../n$number
  number=$((number + 1))
done
{program} validate
"""


def _run_mergetrain(peers: Peers, count: int) -> Price:
    """Branches with a commit and a work tree each are there already; it queues and checks them."""
    program = peers["mergetrain"].program
    if program is None:
        raise DidNotRun(peers["mergetrain"].missing)
    with fresh_folder() as folder:
        made = _with_branches(folder, count)
        script = _TRAIN.format(count=count, program=program)
        return price_of(["sh", "-c", script], cwd=made.path, env=environment(folder))


def _with_branches(folder: Path, count: int) -> GeneratedRepository:
    config = 'version: 2\nproject: {name: bench}\ngates: [{name: check, run: "true"}]\n'
    base = {"README.md": "Base.\n", ".mergetrain.yaml": config, ".gitignore": ".mergetrain/\n"}
    branches = [(f"n{number}", {f"n{number}.txt": f"{number}\n"}) for number in range(count)]
    made = make_repository(folder / "repository", base, branches)
    made.git("init", "-q", "--bare", str(folder / "origin.git"))
    made.git("remote", "add", "origin", str(folder / "origin.git"))
    made.git("push", "-q", "origin", MAIN)
    for name, _ in branches:
        made.git("worktree", "add", "-q", str(folder / name), name)
    return made


TABLE = Table(
    name="landing",
    title="A task, from the plan to the target branch",
    about="Shell tasks that write one file each, with the check `true`: slot, run, commit, merge, check, "
    "land. The floor does the same with git alone, in a row: `worktree add`, the task, `add`, "
    "`commit`, `merge`, the check, `worktree remove`. A run counts only if every task is on the "
    "target.",
    growth="Linear in the tasks: a constant number of git processes for each (a quick test counts them). "
    "With the size of the repository see `growth_files`.",
    measure=measure,
)
