"""Builds candidates in memory: the target's tip plus entries in order, as one commit."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.git import Conflicted, Fold, Repository

_WORTH_FOLDING = 3
"""A fold asks git three questions, however many entries it holds; a merge asks one."""

_Path = tuple[tuple[EntryId, Commit], ...]
_Made = tuple[Commit, Tree]


class Clash(Struct, frozen=True, kw_only=True):
    """An entry that does not merge onto what comes before it."""

    entry: MergeEntry
    files: tuple[str, ...]


class Candidate(Struct, frozen=True, kw_only=True):
    """The entries that merged, and the commit that holds them; `clash` is the first that did not."""

    entries: tuple[EntryId, ...]
    commit: Commit
    tree: Tree
    clash: Clash | None


class Workbench:
    """Merges beginnings of the line onto the tip, each entry once per tip and predecessor.

    Entries that have nothing to do with each other are laid over the tip all at once (see `git_fold`).
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._tip: Commit | None = None
        self._fold: Fold | None = None
        self._merged: dict[_Path, _Made] = {}

    def build(
        self, tip: Tip, entries: Sequence[MergeEntry], now: datetime, *, ahead: Iterable[MergeEntry] = ()
    ) -> Candidate:
        """Merge entries onto the tip until one clashes. `ahead` may be asked for soon, on the same tip.

        The candidate's first parent is the tip, its other parents are the members' heads, so that every
        first-parent commit of the target is one that was checked.
        """
        self._stand_on(tip)
        done = self._known(tip, entries, now, ahead)
        current, tree = self._merged[_path(entries[:done])]
        merged = list(entries[:done])
        clash: Clash | None = None
        for entry in entries[done:]:
            outcome = self._repository.merge(current, entry.head)
            if isinstance(outcome, Conflicted):
                clash = Clash(entry=entry, files=outcome.files)
                break
            message = f"Merge {entry.branch}"
            current = self._repository.commit(outcome.tree, (current, entry.head), message, when=now)
            tree = outcome.tree
            merged.append(entry)
            self._merged[_path(merged)] = (current, tree)
        commit = train(self._repository, tip.commit, tree, merged, now) if merged else tip.commit
        return Candidate(entries=tuple(entry.id for entry in merged), commit=commit, tree=tree, clash=clash)

    def _stand_on(self, tip: Tip) -> None:
        """Forget what was merged on another tip, but for what follows a beginning that is the tip now."""
        if self._tip == tip.commit:
            return
        landed = next((path for path, (commit, _) in self._merged.items() if commit == tip.commit), None)
        kept = {} if landed is None else _following(landed, self._merged)
        self._tip, self._fold, self._merged = tip.commit, None, {**kept, (): (tip.commit, tip.tree)}

    def _known(
        self, tip: Tip, entries: Sequence[MergeEntry], now: datetime, ahead: Iterable[MergeEntry]
    ) -> int:
        """How many of the entries, from the first on, are merged: before, or by a fold just now."""
        path = _path(entries)
        done = next(count for count in range(len(path), -1, -1) if path[:count] in self._merged)
        if len(entries) - done < _WORTH_FOLDING:
            return done
        if self._fold is None:
            self._fold = self._repository.fold_onto(tip.commit)
            self._fold.learn(entry.head for entry in (*entries, *ahead))
        folded = self._fold.fold([entry.head for entry in entries])
        if folded.count <= done:
            return done
        laid = entries[: folded.count]
        self._merged[path[: folded.count]] = (
            train(self._repository, tip.commit, folded.tree, laid, now),
            folded.tree,
        )
        return folded.count


def _following(beginning: _Path, merged: dict[_Path, _Made]) -> dict[_Path, _Made]:
    length = len(beginning)
    return {path[length:]: made for path, made in merged.items() if path[:length] == beginning}


def _path(entries: Sequence[MergeEntry]) -> _Path:
    return tuple((entry.id, entry.head) for entry in entries)


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
    waiting = [known.entry for known in entries]
    gone = repository.missing([entry.head for entry in waiting])
    return [entry for entry in waiting if entry.head in gone]
