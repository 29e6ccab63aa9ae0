"""Folds many branches into one tree at once, as long as they have nothing to do with each other.

Merging n branches one by one starts git n times, and each time it looks for the common history among all that
came before. A branch that only adds or rewrites files which nobody else touches needs no merge: its files are
laid over the tree. That is what git would do too. Nothing is deleted on any side, so there is no rename to be
found; no file is changed on two sides, so no line and no attribute decides; no file of one is a folder of
another. Where any of this cannot be said for certain, the fold ends, and the caller merges.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git_command import Git, split
from cli_multi_rapid.git_overlay import Entries, TreeFile, lay_over

_ABSENT = "000000"
"""The mode of a file on the side of a difference where it is not."""


class Folded(Struct, frozen=True, kw_only=True):
    """The tip with the first `count` heads laid over it."""

    count: int
    tree: Tree


class _Change(Struct, frozen=True, kw_only=True):
    """One file of a difference: its new side, and whether it is missing on one of the two."""

    file: TreeFile
    added: bool
    deleted: bool


class _Touched(Struct):
    """Paths that somebody has changed, and the folders above them."""

    paths: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def add(self, files: Iterable[TreeFile]) -> None:
        for file in files:
            self.paths.add(file.path)
            self.folders.update(_folders_above(file.path))

    def meets(self, files: Iterable[TreeFile]) -> bool:
        """Whether one of these is such a path, above one or below one."""
        return any(
            file.path in self.paths
            or file.path in self.folders
            or not self.paths.isdisjoint(_folders_above(file.path))
            for file in files
        )


class Fold:
    """What can be laid over one tip. What is known of a head is kept, so that the next fold asks less."""

    def __init__(self, git: Git, tip: Commit, tree: Tree) -> None:
        self._git = git
        self._tip = tip
        self._tree = tree
        self._patches: dict[Commit, tuple[TreeFile, ...] | None] = {}
        """What a head brings; None when it has to be merged."""
        self._owners: dict[Commit, Commit] = {}
        """The head that brings a commit. What two bring is a common history of theirs, behind the tip."""
        self._since: dict[Commit, _Touched | None] = {}
        """What the tip changed since a base; None when it deleted something."""
        self._folders: dict[bytes, Entries] = {}

    def fold(self, heads: Sequence[Commit]) -> Folded:
        """Lay as many of these heads over the tip, from the first on, as need no merge."""
        self.learn(heads)
        touched, laid = _Touched(), list[TreeFile]()
        count = 0
        for head in heads:
            patch = self._patches[head]
            if patch is None or touched.meets(patch):
                break
            touched.add(patch)
            laid += patch
            count += 1
        return Folded(
            count=count, tree=lay_over(self._git, self._tree, laid, self._folders) if laid else self._tree
        )

    def learn(self, wanted: Iterable[Commit]) -> None:
        """Look at heads that may be asked for; many at once cost hardly more than one."""
        heads = [head for head in dict.fromkeys(wanted) if head not in self._patches]
        if not heads:
            return
        bases = self._find_bases(heads)
        news = [base for base in set(bases.values()) if base not in self._since and base != self._tip]
        # In one call: what each head changed since its base, and (read backwards) the tip since each base.
        differences = self._read_differences([*bases.items(), *((base, self._tip) for base in news)])
        self._since.setdefault(self._tip, _Touched())
        for base in news:
            self._since[base] = _touched_since(differences.get(base, ()))
        for head in heads:
            since = self._since[bases[head]] if head in bases else None
            changes = differences.get(head, ())
            patch = tuple(change.file for change in changes if not change.deleted)
            plain = since is not None and len(patch) == len(changes) and not since.meets(patch)
            self._patches[head] = patch if plain else None

    def _find_bases(self, heads: Sequence[Commit]) -> Mapping[Commit, Commit]:
        """Where each head left the history of the tip, for those that brought commits of theirs alone."""
        asked = "\n".join((f"^{self._tip}", *heads, "")).encode()
        # A head that is not there is for whoever wants to merge it to find out.
        options = ("--parents", "--ignore-missing", "--stdin")
        listing = self._git.tell("rev-list", *options, stdin=asked).text.splitlines()
        parents = {Commit(own): others for own, *others in (line.split(" ") for line in listing)}
        bases = {}
        for head in heads:
            at, alone = head, head in parents
            while alone and at in parents:
                alone = len(parents[at]) == 1 and self._owners.setdefault(at, head) == head
                at = Commit(parents[at][0]) if alone else at
            if alone:
                bases[head] = at
        return bases

    def _read_differences(self, pairs: Iterable[tuple[Commit, Commit]]) -> Mapping[Commit, Sequence[_Change]]:
        """For each (new, old) what `new` changed; none twice as `new`. What changed nothing is not there."""
        asked = "".join(f"{new} {old}\n" for new, old in pairs).encode()
        options = ("--stdin", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none")
        fields = iter(split(self._git.tell("diff-tree", *options, stdin=asked).stdout))
        found: dict[Commit, list[_Change]] = {}
        changes: list[_Change] = []
        for word in fields:
            if word.startswith(":"):
                old_mode, mode, _, blob, _ = word[1:].split(" ")
                file = TreeFile(path=next(fields), mode=mode, blob=blob)
                changes.append(_Change(file=file, added=old_mode == _ABSENT, deleted=mode == _ABSENT))
            else:
                changes = found.setdefault(Commit(word), [])
        return found


def _touched_since(backwards: Sequence[_Change]) -> _Touched | None:
    """What the tip changed, from the difference that leads back; None when it deleted something."""
    if any(change.added for change in backwards):
        return None
    touched = _Touched()
    touched.add(change.file for change in backwards)
    return touched


def _folders_above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
