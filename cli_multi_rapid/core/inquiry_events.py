"""Facts about the search for whom a failing entry contradicts: asked, looked at, withdrawn."""

from typing import ClassVar

from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, Tree
from cli_multi_rapid.core.verdicts import Contents


class MergeQuestioned(Payload, frozen=True, kw_only=True):
    """An entry fails alone on a target that has moved since it was made: is it the entry, or what landed?

    It leaves the line until that is known.
    """

    type: ClassVar[str] = "merge.questioned"
    entry_id: EntryId
    check: CheckId
    reason: str
    since: tuple[str, ...]
    """What reached the target since the entry's own base, oldest first: entries, or the target's name for
    commits that are nobody's entry. Empty: nothing did, so there is nothing to look for."""
    tip: Commit
    """The tip that it failed on."""
    base: Commit
    """The newest commit that both the entry and the target hold."""
    tree: Tree
    """The tree of the base."""
    contents: Contents = ()
    """What checks with `inputs` see of that tree."""


class MergeProbed(Payload, frozen=True, kw_only=True):
    """An entry was merged onto the target as it was once, to see whether it failed there too."""

    type: ClassVar[str] = "merge.probed"
    entry_id: EntryId
    place: int
    """How many of what came since its base the tree holds; 0: it is the entry's own tree."""
    commit: Commit | None
    """None: the entry does not merge there."""
    tree: Tree
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


class MergeAcquitted(Payload, frozen=True, kw_only=True):
    """The tree that an entry failed on passes after all: it was a flake, and it waits in line again."""

    type: ClassVar[str] = "merge.acquitted"
    entry_id: EntryId
