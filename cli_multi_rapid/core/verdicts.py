"""What a verdict is about: a check, the environment, and the content that the check sees. Pure.

A check sees the whole tree, or, when it declares `inputs`, the files that those globs match and those that
count for every check (`shared_inputs`). Its verdict then holds for every tree in which these are the same.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import chain
from typing import NamedTuple, Protocol

from msgspec import Struct

from cli_multi_rapid.core.globs import Glob, parse_glob
from cli_multi_rapid.core.ids import Tree
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.shared_inputs import RULES, is_shared


class TreeFile(NamedTuple):
    """A file of a tree: symlinks and submodules too. A tuple, because a tree has tens of thousands."""

    path: str
    mode: str
    """As git writes it: 100644, 100755, 120000 (symlink), 160000 (submodule)."""
    oid: str
    """The id of the content."""


class Inputs:
    """Which files count for a check with these `inputs`.

    Answers are remembered, because the trees that it is asked about are large and much alike.
    """

    __slots__ = ("_counting", "_folders", "_globs")

    def __init__(self, globs: Sequence[str]) -> None:
        """Raises `InvalidGlob`."""
        parsed = [parse_glob(text) for text in globs]
        whole = [glob for glob in parsed if _is_whole_folder(glob)]
        self._folders = tuple(glob.head for glob in whole)
        self._globs = tuple(glob for glob in parsed if glob not in whole)
        self._counting = _Answers(lambda path: self.declare(path) or is_shared(path))

    def declare(self, path: str) -> bool:
        """Whether a path is one that the globs match."""
        return path.startswith(self._folders) or any(glob.matches(path) for glob in self._globs)

    def touched_by(self, paths: Iterable[str]) -> bool:
        """Whether one of these paths counts."""
        return any(self._counting[path] for path in paths)

    def pick(self, listing: Iterable[TreeFile]) -> list[TreeFile]:
        """The files of a tree that count, in their order."""
        counting = self._counting
        return [file for file in listing if counting[file.path]]

    def digest(self, listing: Iterable[TreeFile]) -> str:
        """The same for the same counting files, and for no others: names, modes and contents."""
        fields = chain.from_iterable(sorted(self.pick(listing)))  # no path holds a NUL
        digest = sha256("\0".join(fields).encode("utf-8", "surrogateescape")).hexdigest()
        return f"{RULES}.{digest}"


class _Answers(dict[str, bool]):
    """A question about paths, asked once for each."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[str], bool]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, path: str) -> bool:
        answer = self[path] = self._ask(path)
        return answer


def _is_whole_folder(glob: Glob) -> bool:
    """Whether it means all below one folder (`src/**`, `src/`), or all: its head alone can tell then."""
    return glob.text in {glob.head, f"{glob.head}**"} and (not glob.head or glob.head.endswith("/"))


def inputs_digest(check: CheckSpec, listing: Iterable[TreeFile]) -> str:
    """What a check with `inputs` sees of a tree, as one word."""
    return Inputs(check.inputs).digest(listing)


class InputsDigest(Struct, frozen=True, kw_only=True):
    """What the checks with these `inputs` see of one tree."""

    inputs: tuple[str, ...]
    """The globs. A check's id would not do: two entries may define one check differently."""
    digest: str

    @property
    def is_current(self) -> bool:
        """Whether it was made with the present list of shared inputs."""
        return self.digest.startswith(f"{RULES}.")


Contents = tuple[InputsDigest, ...]


class Checkable(Protocol):
    """A tree that checks are about, with what is known of its parts."""

    @property
    def tree(self) -> Tree:
        """The whole of it."""

    @property
    def contents(self) -> Contents:
        """What checks with `inputs` see of it. One that is missing here is taken to see the whole tree."""


def key_of(check: CheckSpec, place: Checkable, fingerprint: str) -> str:
    """The key of a check's verdict on a tree."""
    seen = (part.digest for part in place.contents if part.inputs == check.inputs)
    return verdict_key(check, next(seen, place.tree), fingerprint)


def verdict_key(check: CheckSpec, content: str, fingerprint: str) -> str:
    """The content key of a verdict: the check's definition, the environment, and what the check sees.

    `content` is the tree, or the digest of the check's inputs.
    """
    parts = (
        check.id,
        *check.argv,
        check.run or "",
        *(f"{name}={value}" for name, value in sorted(check.env.items())),
        str(check.min_time_s),
        fingerprint,
        content,
        *sorted(set(check.inputs)),
    )
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
