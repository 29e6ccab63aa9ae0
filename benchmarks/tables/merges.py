"""Candidates in memory, as `benchmarks/merge_fold.py` measures them."""

from benchmarks.fold.figures import Row as Measured
from benchmarks.fold.many import fold_many
from benchmarks.fold.one import merge_one
from benchmarks.fold.verified import land_verified
from benchmarks.suite.peers import Peers
from benchmarks.suite.rows import Row, Scale, Table

_BRANCHES = 512


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """Merges by git and in memory in turn, and many branches folded."""
    pairs = 3 * scale.rounds
    found = [row for files in scale.pick((5_000, 50_000), (1_000,)) for row in merge_one(files, pairs)]
    rows = [_as_row(row, pairs) for row in found]
    for branches in scale.pick((8, 64, _BRANCHES), (8, 64)):
        (row,) = fold_many(branches, scale.rounds)
        rows.append(_as_row(row, scale.rounds, curve="folded", at=float(branches)))
    return [*rows, *(_as_row(row, scale.rounds) for row in land_verified(scale.rounds))]


def _as_row(row: Measured, rounds: int, *, curve: str = "", at: float | None = None) -> Row:
    return Row(
        what=row.what,
        cpu_s=row.cost.cpu_s,
        wall_s=row.cost.wall_s,
        goal=row.goal,
        reached=row.reached,
        rounds=rounds,
        curve=curve,
        at=at,
    )


TABLE = Table(
    name="merges",
    title="Candidates: merging in memory",
    about="One merge with its commit in memory beside `git merge` in a warm work tree; branches with a file"
    " each folded into one candidate; an entry whose tree was verified before, from `queue process` "
    "to landed.",
    growth="A merge in memory depends on what differs, not on the size of the repository. Folding disjoint "
    "branches is linear in them, with a constant number of git processes: below a hundred branches "
    "those are all of the price. Branches that touch the same files are merged one by one.",
    across="branches",
    measure=measure,
)
