"""What is known of an entry that fails on top of what landed, and on what else it was tried. Pure."""

from collections.abc import Collection, Sequence

from msgspec import Struct, field

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.core.inquiry_events import MergeProbed
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.verdicts import Contents


class Station(Struct, frozen=True, kw_only=True):
    """A tree that an inquiry asks about: the entry on the target as it was once, or its base alone."""

    commit: Commit
    tree: Tree
    contents: Contents = ()


class Inquiry(Struct, kw_only=True):
    """The search for whom an entry contradicts.

    Its places count what came to the target since the entry's base: at place 0 is the entry's own tree, at
    the last place the one that it failed on.
    """

    check: CheckSpec
    since: tuple[str, ...]
    tip: Commit
    """The tip of the target that it failed on."""
    base: Station
    """What the entry was made on, without it."""
    failed_on: Station | None
    """The entry on all that came since: the tree that it failed on. None: it was not tried there yet, and
    only its own tree is asked about."""
    in_company: bool = False
    """It failed there beside others, who have landed since: the entry's own failures do not count that."""
    passed: int = -1
    """A place where it passed before anybody asked, with others; -1: nowhere."""
    overtaken: int = 0
    """How many entries have landed since it was opened."""
    probed: dict[int, Station | None] = field(default_factory=dict)
    """What was looked at in between; None: the entry does not merge there."""

    @property
    def top(self) -> int:
        """The place of the tree that the entry failed on."""
        return len(self.since)

    @property
    def active(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.since)

    @property
    def places(self) -> tuple[int, ...]:
        """The places whose tree is known, or known not to exist."""
        return (*self.probed, *(() if self.failed_on is None else (self.top,)))

    @property
    def stations(self) -> tuple[Station, ...]:
        """Every tree that it asks about."""
        known = (self.base, self.failed_on, *self.probed.values())
        return tuple(station for station in known if station is not None)

    def learn(self, data: MergeProbed) -> None:
        """Take note of a tree."""
        self.probed[data.place] = (
            None
            if data.commit is None
            else Station(commit=data.commit, tree=data.tree, contents=data.contents)
        )

    def station(self, place: int) -> Station | None:
        """The tree at a place; None: not made yet, or the entry does not merge there."""
        return self.failed_on if place == self.top else self.probed.get(place)


def passed_place(since: Sequence[str], passed_with: Collection[str]) -> int:
    """The last place at which everything that an entry has passed with had come; -1 if that is the top."""
    known = set(passed_with)
    place = max((place for place, name in enumerate(since, 1) if name in known), default=0)
    return place if place < len(since) else -1
