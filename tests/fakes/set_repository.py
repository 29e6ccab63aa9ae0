"""A repository made of sets: a change is a word, a commit holds a set of them, a tree is the name of a set.

Its target moves by compare-and-swap together with one marker for each entry, as in `git_landing.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256
from random import Random

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import MergeLanding
from tests.fakes.weather import Changes, Weather


class Moved(Enum):
    """What became of a landing."""

    LANDED = auto()
    ELSEWHERE = auto()
    """The target is not where the landing expects it."""
    REFUSED = auto()
    ALREADY = auto()
    """Some of it landed before, with other work."""


class Swap(Struct, frozen=True, kw_only=True):
    """The target went from one commit to another for a landing."""

    before: Commit
    landing: MergeLanding
    at: int
    """How many events the log held."""
    by_hand: bool = False
    """A person did it, with the command that they were told."""


def tree_of(changes: Changes) -> Tree:
    """Equal contents have equal trees."""
    return Tree(sha256(" ".join(sorted(changes)).encode()).hexdigest()[:40])


@dataclass(slots=True, kw_only=True)
class SetRepository:
    """Commits, one target, and the markers of what has landed."""

    weather: Weather
    random: Random
    contents: dict[str, Changes] = field(default_factory=dict)
    """Commit or tree -> what it holds."""
    parents: dict[Commit, tuple[Commit, ...]] = field(default_factory=dict)
    tip: Commit = field(init=False)
    history: list[Commit] = field(default_factory=list)
    """Every tip, the oldest first."""
    markers: dict[EntryId, Commit] = field(default_factory=dict)
    swaps: list[Swap] = field(default_factory=list)
    _refusals: dict[Commit, bool] = field(default_factory=dict)
    _serial: int = 0

    def __post_init__(self) -> None:
        self.tip = self.commit({"base"})
        self.history.append(self.tip)

    def commit(self, changes: Iterable[str], *parents: Commit) -> Commit:
        """A new commit with this content."""
        self._serial += 1
        made = Commit(f"{self._serial:040x}")
        held = frozenset(changes)
        self.contents[made] = self.contents[tree_of(held)] = held
        self.parents[made] = parents
        return made

    def tree_at(self, commit: Commit) -> Tree:
        """The tree of a commit."""
        return tree_of(self.contents[commit])

    def merge(self, onto: Changes, base: Changes, head: Changes) -> Changes | None:
        """The content of both, or None when they do not merge."""
        ours, theirs = onto - base, head - base - onto
        if any(self.weather.clash(one, other) for one in ours for other in theirs):
            return None
        return onto | head

    def move(self, change: str) -> None:
        """Somebody else commits to the target."""
        self._advance(self.commit(self.contents[self.tip] | {change}, self.tip))

    def contains(self, commit: Commit) -> bool:
        """Whether a commit is in the target's first-parent history."""
        at: Commit | None = self.tip
        while at is not None and at != commit:
            at = next(iter(self.parents[at]), None)
        return at is not None

    def swap(self, landing: MergeLanding, at: int, *, by_hand: bool = False) -> Moved:
        """Move the target and the markers for a landing, or say why not; once more is the same as once.

        `by_hand`: as a person does it, who is not refused and leaves no markers.
        """
        if any(self.markers.get(name, landing.commit) != landing.commit for name in landing.entries):
            return Moved.ALREADY
        if self.tip != landing.expected and not self.contains(landing.commit):
            return Moved.ELSEWHERE
        if self.tip == landing.expected:
            if not by_hand and self._refuses(landing.commit):
                return Moved.REFUSED
            self.swaps.append(Swap(before=self.tip, landing=landing, at=at, by_hand=by_hand))
            self._advance(landing.commit)
        if not by_hand:
            self.markers.update(dict.fromkeys(landing.entries, landing.commit))
        return Moved.LANDED

    def forget_refusals(self) -> None:
        """What was in the way of landings may be gone."""
        self._refusals.clear()

    def _refuses(self, commit: Commit) -> bool:
        """Whether something of the person's is in the way: the same answer until it may be gone."""
        if commit not in self._refusals:
            self._refusals[commit] = self.random.random() < self.weather.held
        return self._refusals[commit]

    def _advance(self, commit: Commit) -> None:
        self.tip = commit
        self.history.append(commit)
