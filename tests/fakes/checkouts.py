"""A person's checkout, remembered to the byte, so that a test can say that nobody touched it."""

from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from tests.fakes.repositories import RepositoryBuilder

_OURS = frozenset({".git", "state", "artifacts"})


class Checkout(Struct, frozen=True, kw_only=True):
    """One work tree at one moment."""

    head: str
    staged: str
    unstaged: str
    files: dict[str, tuple[bytes, int]]
    """Content and time of change (ns) of every file, ignored and untracked ones too."""

    def without(self, paths: Collection[str]) -> "Checkout":
        """The same but for these files, which are expected to change."""
        files = {name: value for name, value in self.files.items() if name not in paths}
        return Checkout(head=self.head, staged=self.staged, unstaged=self.unstaged, files=files)


def remember(repository: RepositoryBuilder, at: Path | None = None) -> Checkout:
    """Look at a work tree; at the one of `repository` unless another one is named."""
    place = at or repository.path
    return Checkout(
        head=repository.git("rev-parse", "--symbolic-full-name", "HEAD", at=place),
        staged=repository.git("diff", "--cached", "--binary", at=place),
        unstaged=repository.git("diff", "--binary", at=place),
        files={
            str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mtime_ns)
            for top in sorted(place.iterdir())
            if top.name not in _OURS  # not even looked into: our trash is emptied in the background
            for path in ([top] if top.is_file() else sorted(top.rglob("*")))
            if path.is_file() and _OURS.isdisjoint(path.relative_to(place).parts)
        },
    )


def index_bytes(repository: RepositoryBuilder) -> bytes:
    """The index as it lies on the disk."""
    return (repository.path / ".git" / "index").read_bytes()
