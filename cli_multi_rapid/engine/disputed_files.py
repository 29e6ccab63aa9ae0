"""Which files to look at when an entry is ejected: those that it and its partners both changed."""

from collections.abc import Sequence

from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.git import Repository

_MOST = 50
"""An event names no more files than this."""


def disputed_files(
    repository: Repository, entry: MergeEntry, partners: Sequence[MergeEntry]
) -> tuple[str, ...]:
    """What the entry and a partner both changed; if nothing, what either changed; alone: what it changed."""
    own = _changed(repository, entry)
    theirs = set[str]().union(*(_changed(repository, partner) for partner in partners))
    return tuple(sorted((own & theirs) or (own | theirs)))[:_MOST]


def _changed(repository: Repository, entry: MergeEntry) -> set[str]:
    """The files that differ between what an entry was made on and its head."""
    base, head = repository.tree_of(entry.base), repository.tree_of(entry.head)
    return set(repository.changed_paths(base, head) or ())
