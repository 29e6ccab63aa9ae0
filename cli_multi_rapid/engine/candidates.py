"""Builds candidates in memory: the target's tip plus entries in order, as one commit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli_multi_rapid.core.ids import Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.merge_policy import Tip
from cli_multi_rapid.core.queue_state import EntryState
from cli_multi_rapid.git import Conflicted, Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """An entry that does not merge onto what comes before it."""

    entry: MergeEntry
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The entries that merged, and the commit that holds them; `clash` is the first that did not."""

    entries: tuple[EntryId, ...]
    commit: Commit
    tree: Tree
    clash: Clash | None


def build_candidate(
    repository: Repository, tip: Tip, entries: Sequence[MergeEntry], now: datetime
) -> Candidate:
    """Merge entries onto the tip until one clashes.

    The candidate's first parent is the tip, its other parents are the members' heads, so that every
    first-parent commit of the target is one that was checked.
    """
    merged: list[MergeEntry] = []
    current, tree = tip.commit, tip.tree
    clash: Clash | None = None
    for entry in entries:
        outcome = repository.merge(current, entry.head)
        if isinstance(outcome, Conflicted):
            clash = Clash(entry=entry, files=outcome.files)
            break
        merged.append(entry)
        tree = outcome.tree
        current = repository.commit(tree, (current, entry.head), f"Merge {entry.branch}", when=now)
    if len(merged) != 1:
        heads = tuple(entry.head for entry in merged)
        current = repository.commit(tree, (tip.commit, *heads), train_message(merged), when=now)
    return Candidate(entries=tuple(entry.id for entry in merged), commit=current, tree=tree, clash=clash)


def train_message(entries: Sequence[MergeEntry]) -> str:
    """What the history says about a train of several entries."""
    lines = [f"- {entry.branch}: {entry.label or entry.id}" for entry in entries]
    return f"Land {len(entries)} verified changes\n\n" + "\n".join(lines) + "\n"


def find_partner(repository: Repository, clash: Clash, landed: Sequence[MergeEntry], fallback: str) -> str:
    """The entry that a clashing one contradicts: the newest landed one that does not merge with it alone."""
    for other in reversed(landed):
        if isinstance(repository.merge(other.head, clash.entry.head), Conflicted):
            return other.id
    return fallback


def find_vanished(repository: Repository, entries: Iterable[EntryState]) -> list[MergeEntry]:
    """The entries that can never land: their branch was deleted and `git gc` took their commit away."""
    return [known.entry for known in entries if repository.resolve(known.entry.head) is None]
