"""One merge: in memory, as the queue does it, beside `git merge` in a warm work tree."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fold.figures import Cost, Row, cost_of, median_of
from benchmarks.fold.many import WrongResult
from benchmarks.generated_repository import MAIN, GeneratedRepository, make_repository
from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git import Merged, Repository, open_repository

GOAL_WALL = 5.0
GOAL_CPU = 2.5
_FOLDER_SIZE = 50


def merge_one(files: int, pairs: int) -> list[Row]:
    """The same merge both ways, in turn; the first pair warms up and does not count."""
    base = {f"src/part{number // _FOLDER_SIZE}/file{number}.txt": _text(number) for number in range(files)}
    changed = {name: f"{text}one more line\n" for name, text in list(base.items())[:: files // 10]}
    with TemporaryDirectory(prefix="merge-one-") as folder:
        made = make_repository(Path(folder) / "repository", base, [("work", changed)])
        made.git("commit", "-q", "--allow-empty", "-m", "The target went on")
        repository = open_repository(made.path, Path(folder) / "state")
        ours, (theirs,) = Commit(made.git("rev-parse", MAIN)), made.heads(["work"])
        made.git("worktree", "add", "-q", "--detach", str(Path(folder) / "warm"), MAIN)
        costs = [
            (_in_memory(repository, ours, theirs), _in_work_tree(made, Path(folder) / "warm", ours, theirs))
            for _ in range(pairs + 1)
        ]
    memory, beside = (median_of(side) for side in zip(*costs[1:], strict=True))
    wall, cpu = beside.wall_s / memory.wall_s, beside.cpu_s / memory.cpu_s
    name = f"{files} files:"
    return [
        Row(what=f"{name} `git merge` in a warm work tree", cost=beside),
        Row(
            what=f"{name} in memory, with the commit: 1/{wall:.1f} wall, 1/{cpu:.1f} CPU of that",
            cost=memory,
            goal=f"<= 1/{GOAL_WALL:g} wall, 1/{GOAL_CPU:g} CPU",
            reached=wall >= GOAL_WALL and cpu >= GOAL_CPU,
        ),
    ]


def _in_memory(repository: Repository, ours: Commit, theirs: Commit) -> Cost:
    def work() -> None:
        outcome = repository.merge(ours, theirs)
        if not isinstance(outcome, Merged):
            raise WrongResult("the branches do not merge")
        repository.commit(outcome.tree, (ours, theirs), "Merge work", when=datetime.now(UTC))

    return cost_of(work)


def _in_work_tree(made: GeneratedRepository, warm: Path, ours: Commit, theirs: Commit) -> Cost:
    """The reset to where it starts from does not count."""
    cost = cost_of(lambda: made.git("merge", "-q", "--no-ff", "-m", "Merge work", theirs, at=warm))
    merged = Tree(made.git("rev-parse", "HEAD^{tree}", at=warm))
    if merged == made.git("rev-parse", f"{ours}^{{tree}}"):
        raise WrongResult("git merged nothing")
    made.git("reset", "-q", "--hard", ours, at=warm)
    return cost


def _text(number: int) -> str:
    return "".join(f"line {line} of file {number}\n" for line in range(20))
