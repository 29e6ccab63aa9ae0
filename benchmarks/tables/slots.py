"""A work tree that is ready for an attempt: from our pool, beside `git worktree add`."""

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.fold.figures import Cost, cost_of, median_of
from benchmarks.generated_repository import MAIN, GeneratedRepository
from benchmarks.suite.ground import fresh_repository
from benchmarks.suite.peers import Peers
from benchmarks.suite.rows import Row, Scale, Table
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git import open_repository
from cli_multi_rapid.worktrees import Worktrees

_GOALS = {50_000: 12.0, 5_000: 5.0}
_CHANGED = 10
"""Files that differ between what a used slot shows and what the next attempt needs."""


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """In turn on the same repository; the first slot, which fills the pool, stands alone."""
    return [
        row for files in scale.pick((300, 5_000, 50_000), (300, 5_000)) for row in _with(files, scale.rounds)
    ]


def _with(files: int, rounds: int) -> list[Row]:
    with ExitStack() as stack:
        made = stack.enter_context(fresh_repository(files))
        folder = made.path.parent
        repository = open_repository(made.path, folder / "state" / "git")
        worktrees = Worktrees(repository, folder / "state" / "worktrees")
        stack.callback(worktrees.close)
        first = _from_pool(worktrees, "first", _tip(made))
        warm = folder / "warm"
        made.git("worktree", "add", "-q", "--detach", str(warm), MAIN)
        rounds_of_all = []
        for number in range(rounds):
            _move_target(made, number)
            ours = _from_pool(worktrees, f"n{number}", _tip(made))
            rounds_of_all.append((ours, _by_git(made, folder / f"w{number}"), _by_hand(made, warm)))
    pool, git, hand = (median_of(side) for side in zip(*rounds_of_all, strict=True))
    times = git.wall_s / pool.wall_s
    goal = _GOALS.get(files)
    return [
        _row(f"git worktree add, {files} files", git, "git worktree add", files),
        Row(
            what=f"floor: reset and clean in a warm work tree, {files} files",
            cpu_s=hand.cpu_s,
            wall_s=hand.wall_s,
            figure=f"1/{git.wall_s / hand.wall_s:.1f} of worktree add's wall",
            floor=True,
            curve="reset and clean",
            at=float(files),
            rounds=rounds,
        ),
        _row(f"the first slot, {files} files", first, "the first slot", files),
        Row(
            what=f"a slot from the pool, {files} files",
            cpu_s=pool.cpu_s,
            wall_s=pool.wall_s,
            figure=f"1/{times:.1f} of git's wall",
            goal="" if goal is None else f"wall <= 1/{goal:g}",
            reached=None if goal is None else times >= goal,
            curve="from the pool",
            at=float(files),
            rounds=rounds,
        ),
    ]


def _row(what: str, cost: Cost, curve: str, files: int) -> Row:
    return Row(what=what, cpu_s=cost.cpu_s, wall_s=cost.wall_s, curve=curve, at=float(files))


def _from_pool(worktrees: Worktrees, name: str, base: Commit) -> Cost:
    """Giving it back is not part of the price: nobody waits for that."""
    opened = []
    cost = cost_of(lambda: opened.append(worktrees.open(name, base)))
    (opened[0].path / "src" / "part0" / "file0.txt").write_text(f"work of {name} {datetime.now(UTC)}\n")
    worktrees.release(opened[0])
    return cost


def _by_git(made: GeneratedRepository, path: Path) -> Cost:
    cost = cost_of(lambda: made.git("worktree", "add", "-q", "--detach", str(path), MAIN))
    made.git("worktree", "remove", "--force", str(path))
    return cost


def _by_hand(made: GeneratedRepository, warm: Path) -> Cost:
    """What makes a used work tree show another commit, with no care for what is planted in it."""

    def work() -> None:
        made.git("reset", "-q", "--hard", MAIN, at=warm)
        made.git("clean", "-q", "-f", "-d", "-x", at=warm)

    (warm / "src" / "part0" / "file0.txt").write_text(f"somebody's work, {datetime.now(UTC)}\n")
    return cost_of(work)


def _move_target(made: GeneratedRepository, number: int) -> None:
    """The target went on, as it does while a queue lands."""
    for place in range(_CHANGED):
        (made.path / "src" / "part0" / f"file{place}.txt").write_text(f"round {number}\n")
    made.git("commit", "-q", "-a", "-m", f"Round {number}")


def _tip(made: GeneratedRepository) -> Commit:
    return Commit(made.git("rev-parse", MAIN))


TABLE = Table(
    name="slots",
    title="A slot that is ready to work in",
    about="From the request to a folder that shows the target. Between two requests ten files of the target"
    " change, and the attempt before has changed one. CPU and wall time of git's processes and of "
    "ours.",
    growth="`git worktree add` and the first slot are linear in the files, in writing them. A slot from the "
    "pool is linear in the index, which git reads and whose files it looks at once, as the floor "
    "does; it writes only what differs. Below a thousand files the start of git's processes is most "
    "of the price. To get below the floor git must not look at each file: an overlay, or a cache that"
    " something keeps true.",
    across="files in the repository",
    measure=measure,
)
