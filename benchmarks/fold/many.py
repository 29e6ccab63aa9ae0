"""Many branches with a file each, folded into one candidate in memory."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fold.figures import Cost, Row, cost_of, median_of
from benchmarks.generated_repository import MAIN, GeneratedRepository, make_repository
from cli_multi_rapid.core.ids import Branch, Commit, EntryId
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.engine.candidates import Candidate, Workbench
from cli_multi_rapid.git import Repository, open_repository

GOAL_S = 1.4


class WrongResult(Exception):
    """What was built is not what was asked for, so its time says nothing."""


def fold_many(count: int, rounds: int) -> list[Row]:
    """Fold `count` branches as the queue does, each round with nothing known of them."""
    names = [f"work/{number}" for number in range(count)]
    branches = [(name, {f"src/{name}.txt": f"{name}\n"}) for name in names]
    costs = []
    for _ in range(rounds):
        with TemporaryDirectory(prefix="merge-fold-") as folder:
            made = make_repository(Path(folder) / "repository", {"README.md": "Base.\n"}, branches)
            costs.append(_fold_once(made, Path(folder) / "state", _entries(made, names)))
    cost = median_of(costs)
    goal = f"wall <= {GOAL_S:g} s" if count == 512 else ""
    return [
        Row(
            what=f"{count} disjoint branches folded into one candidate",
            cost=cost,
            goal=goal,
            reached=cost.wall_s <= GOAL_S if goal else None,
        )
    ]


def _fold_once(made: GeneratedRepository, state: Path, entries: list[MergeEntry]) -> Cost:
    repository = open_repository(made.path, state)
    built: list[Candidate] = []
    cost = cost_of(lambda: built.append(_build(repository, entries)))
    candidate = built[0]
    files = repository.list_files(candidate.commit)
    if candidate.clash is not None or len(files) != len(entries) + 1:
        raise WrongResult(f"{len(candidate.entries)} of {len(entries)} branches were folded")
    return cost


def _build(repository: Repository, entries: list[MergeEntry]) -> Candidate:
    commit = repository.branch_tip(MAIN)
    if commit is None:
        raise WrongResult("there is no branch to fold onto")
    tip = Tip(commit=commit, tree=repository.tree_of(commit))
    return Workbench(repository).build(tip, entries, datetime.now(UTC))


def _entries(made: GeneratedRepository, names: list[str]) -> list[MergeEntry]:
    base = Commit(made.git("rev-parse", MAIN))
    return [
        MergeEntry(
            id=EntryId(name),
            branch=Branch(name),
            head=head,
            base=base,
            target=MAIN,
            marker=f"refs/bench/{name}",
        )
        for name, head in zip(names, made.heads(names), strict=True)
    ]
