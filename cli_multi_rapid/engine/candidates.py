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


class Workbench:
    """Merges beginnings of the line onto the tip, each entry once per tip and predecessor."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._tip: Tip | None = None
        self._merged: dict[tuple[tuple[EntryId, Commit], ...], tuple[Commit, Tree]] = {}

    def build(self, tip: Tip, entries: Sequence[MergeEntry], now: datetime) -> Candidate:
        """Merge entries onto the tip until one clashes.

        The candidate's first parent is the tip, its other parents are the members' heads, so that every
        first-parent commit of the target is one that was checked.
        """
        if self._tip != tip:
            self._tip, self._merged = tip, {}
        current, tree = tip.commit, tip.tree
        merged: list[MergeEntry] = []
        path: tuple[tuple[EntryId, Commit], ...] = ()
        clash: Clash | None = None
        for entry in entries:
            path = (*path, (entry.id, entry.head))
            if path not in self._merged:
                outcome = self._repository.merge(current, entry.head)
                if isinstance(outcome, Conflicted):
                    clash = Clash(entry=entry, files=outcome.files)
                    break
                message = f"Merge {entry.branch}"
                step = self._repository.commit(outcome.tree, (current, entry.head), message, when=now)
                self._merged[path] = (step, outcome.tree)
            current, tree = self._merged[path]
            merged.append(entry)
        commit = current if len(merged) < 2 else train(self._repository, tip.commit, tree, merged, now)
        return Candidate(entries=tuple(entry.id for entry in merged), commit=commit, tree=tree, clash=clash)


def train(
    repository: Repository, tip: Commit, tree: Tree, entries: Sequence[MergeEntry], now: datetime
) -> Commit:
    """The commit that lands these entries on this tip with a tree that is known to hold them all."""
    heads = tuple(entry.head for entry in entries)
    message = f"Merge {entries[0].branch}" if len(entries) == 1 else train_message(entries)
    return repository.commit(tree, (tip, *heads), message, when=now)


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
