"""The target as it was between an entry's base and the tip that it failed on, and the entry merged there."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.git import Conflicted, Repository

_LONGEST = 1024
"""How many commits of the target are looked at one by one; older ones count as a single step."""


class TrailStep(Struct, frozen=True, kw_only=True):
    """Something that came to the target: an entry, or commits that are nobody's."""

    name: str
    """The entry, or the target's name."""
    onto: Commit
    """A commit of the target."""
    members: tuple[MergeEntry, ...] = ()
    """What of the next train belongs on top of it, up to this step."""


class Trail(Struct, frozen=True, kw_only=True):
    """What came to the target since an entry's base, oldest first."""

    base: Commit
    steps: tuple[TrailStep, ...]


def follow_trail(repository: Repository, state: QueueState, entry: MergeEntry, tip: Commit) -> Trail:
    """The steps from what the entry and the tip have in common to the tip; none for unrelated histories."""
    base = repository.merge_base(entry.head, tip)
    if base is None:
        return Trail(base=tip, steps=())
    passing = repository.first_parents(tip, without=base, limit=_LONGEST)
    trains: dict[Commit, list[MergeEntry]] = {}
    for landed in map(state.entries.__getitem__, state.landed_order):
        if landed.status is MergeStatus.MERGED and landed.landed_commit is not None:
            trains.setdefault(landed.landed_commit, []).append(landed.entry)
    steps: list[TrailStep] = []
    before = repository.commit_facts(passing[0]).parents if passing else ()
    if before and not repository.is_ancestor(before[0], entry.head):
        steps.append(TrailStep(name=state.target, onto=before[0]))  # it holds more than the base
    for commit in passing:
        for step in _steps_of(repository, state, commit, trains.get(commit), base):
            if steps and step.name == steps[-1].name:
                steps.pop()  # commits that are nobody's, one behind the other, are one step
            steps.append(step)
    return Trail(base=base, steps=tuple(steps))


def _steps_of(
    repository: Repository, state: QueueState, commit: Commit, train: list[MergeEntry] | None, base: Commit
) -> Iterator[TrailStep]:
    if train is None:
        yield TrailStep(name=state.target, onto=commit)
        return
    tip = repository.commit_facts(commit).parents[0]
    new = [member for member in train if not repository.is_ancestor(member.head, base)]
    for count, member in enumerate(new[:-1], 1):
        yield TrailStep(name=member.id, onto=tip, members=tuple(new[:count]))
    for member in new[-1:]:
        yield TrailStep(name=member.id, onto=commit)


def merge_at(
    repository: Repository, trail: Trail, place: int, entry: MergeEntry, now: datetime
) -> tuple[Commit, Tree] | None:
    """The entry on the target as it was after so many steps; None when it does not merge there."""
    if place == 0:
        return entry.head, repository.tree_of(entry.head)
    step = trail.steps[place - 1]
    current, tree = step.onto, repository.tree_of(step.onto)
    for member in (*step.members, entry):
        outcome = repository.merge(current, member.head)
        if isinstance(outcome, Conflicted):
            return None
        tree = outcome.tree
        current = repository.commit(tree, (current, member.head), f"Merge {member.branch}", when=now)
    return current, tree
