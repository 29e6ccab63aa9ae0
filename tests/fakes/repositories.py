"""Real git repositories in temporary folders, made in one call and untouched by anybody's settings."""

import atexit
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit, Tree

_SETTINGS = """\
[user]
	name = Ada Example
	email = ada@example.invalid
[init]
	defaultBranch = main
[commit]
	gpgSign = false
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol "file"]
	allow = always
"""

Content = str | bytes | None
"""What a file holds; None removes it."""


def git_environment(home: Path) -> dict[str, str]:
    """An environment in which git sees no configuration but the repository's own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
    }


class RepositoryBuilder(Struct, frozen=True, kw_only=True):
    """A person's repository: the folder, and the few things a test wants to do in it."""

    path: Path

    def git(self, *args: str, stdin: bytes | None = None, at: Path | None = None) -> str:
        """Run git here as the person would, and return its output without the last newline.

        Raises `AssertionError` with git's own words when it fails.
        """
        done = self.try_git(*args, stdin=stdin, at=at)
        output = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, f"git {' '.join(args)}: {output}"
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def try_git(
        self, *args: str, stdin: bytes | None = None, at: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git here and return what happened, whatever it was."""
        return subprocess.run(
            ["git", *args],
            cwd=at or self.path,
            env=git_environment(self.path),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            check=False,
        )

    def write(self, files: Mapping[str, Content]) -> None:
        """Write files into the work tree without committing them."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, Content] | None = None, message: str = "change") -> Commit:
        """Write these files on the current branch and commit everything; an empty commit is fine."""
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head

    def branch(self, name: str, at: str = "HEAD") -> Branch:
        """Make a branch without checking it out."""
        self.git("branch", "--no-track", name, at)
        return Branch(name)

    def commit_on(
        self, branch: str, files: Mapping[str, Content], message: str = "change", *, start: str = "HEAD"
    ) -> Commit:
        """Commit on top of a branch (made at `start` when missing); the work tree stays as it is.

        The branch that is checked out moves as by a commit in its work tree.
        """
        if self._head_file() == f"ref: refs/heads/{branch}":
            return self.commit(files, message)
        name = f"refs/heads/{branch}"
        parent = name if self._is_there(branch) else start
        return Commit(
            self.git(
                "fast-import",
                "--quiet",
                "--date-format=now",
                stdin=_as_stream(branch, parent, message, files),
            )
        )

    @property
    def head(self) -> Commit:
        """The commit that is checked out."""
        return self.commit_of(self._head_file().removeprefix("ref: refs/heads/") or "HEAD")

    def commit_of(self, revision: str) -> Commit:
        """The commit that a revision names."""
        return self._tip_of(revision) or Commit(self.git("rev-parse", "--verify", f"{revision}^{{commit}}"))

    def _tip_of(self, branch: str) -> Commit | None:
        """The commit of a branch where that can be read from a file: git is asked half as often."""
        file = self.path / ".git" / "refs" / "heads" / branch
        return Commit(file.read_text().strip()) if file.is_file() else None

    def _is_there(self, branch: str) -> bool:
        if self._tip_of(branch):
            return True
        if (self.path / ".git" / "refs").is_dir() and not (self.path / ".git" / "packed-refs").exists():
            return False
        return not self.try_git("rev-parse", "-q", "--verify", f"refs/heads/{branch}").returncode

    def _head_file(self) -> str:
        """What `HEAD` says; empty where the repository is not an ordinary one."""
        file = self.path / ".git" / "HEAD"
        return file.read_text().strip() if file.is_file() else ""

    def tree_of(self, revision: str) -> Tree:
        """The tree that a revision names."""
        return Tree(self.git("rev-parse", "--verify", f"{revision}^{{tree}}"))

    def show(self, revision: str, path: str) -> str:
        """The text of a file in a commit."""
        done = self.try_git("show", f"{revision}:{path}")
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "surrogateescape")

    def files(self, revision: str = "HEAD") -> list[str]:
        """The names of all files in a commit."""
        listing = self.git("ls-tree", "-r", "-z", "--name-only", "--full-tree", revision)
        return [name for name in listing.split("\0") if name]

    def status(self) -> str:
        """`git status --porcelain`: empty when nothing is changed."""
        return self.git("status", "--porcelain")


def _as_stream(branch: str, parent: str, message: str, files: Mapping[str, Content]) -> bytes:
    """A commit as `git fast-import` reads it; it answers with the commit's id."""
    lines = [f"commit refs/heads/{branch}", "mark :1", "committer Ada Example <ada@example.invalid> now"]
    parts = [*(line.encode() for line in lines), _data(f"{message}\n"), f"from {parent}^0".encode()]
    for name, content in files.items():
        assert '"' not in name, name
        if content is None:
            parts.append(b"D " + os.fsencode(name))
        else:
            parts += [b"M 644 inline " + os.fsencode(name), _data(content)]
    return b"\n".join([*parts, b"get-mark :1", b""])


def _data(content: str | bytes) -> bytes:
    data = content if isinstance(content, bytes) else content.encode()
    return b"data %d\n%s" % (len(data), data)


def make_repository(path: Path, files: Mapping[str, Content] | None = None) -> RepositoryBuilder:
    """A new repository on branch `main` with one commit that holds `files` (by default a README)."""
    files = {"README.md": "# Example\n"} if files is None else files
    return _copy_of(_first_commit(tuple(files.items())), path)


def make_empty_repository(path: Path, *options: str) -> RepositoryBuilder:
    """A new repository on branch `main` without any commit; `options` go to `git init`."""
    return _copy_of(_initial(options), path)


# Making a repository takes five processes; a copy of one takes none. Tests need more than a thousand.


def _copy_of(original: RepositoryBuilder, path: Path) -> RepositoryBuilder:
    shutil.copytree(original.path, path, symlinks=True, dirs_exist_ok=True)
    index = path / ".git" / "index"
    if index.exists():
        index.write_bytes(_refreshed(index.read_bytes(), path))
    return RepositoryBuilder(path=path)


def _refreshed(index: bytes, work_tree: Path) -> bytes:
    """An index (gitformat-index(5), version 2) that knows the work tree's inodes, as `update-index` makes it.

    Extensions are left out: git can do without each of them.
    """
    signature, version, count = struct.unpack(">4sII", index[:12])
    assert (signature, version) == (b"DIRC", 2)
    parts, place = [index[:12]], 12
    for _ in range(count):
        end = index.index(b"\0", place + 62)
        facts = (work_tree / os.fsdecode(index[place + 62 : end])).lstat()
        times = (*divmod(facts.st_ctime_ns, 10**9), *divmod(facts.st_mtime_ns, 10**9))
        words = (*times, facts.st_dev, facts.st_ino)
        following = place + (end - place + 8) // 8 * 8
        parts.append(struct.pack(">6I", *(word & 0xFFFFFFFF for word in words)))
        parts.append(index[place + 24 : following])
        place = following
    content = b"".join(parts)
    return content + hashlib.sha1(content, usedforsecurity=False).digest()


@cache
def _first_commit(files: tuple[tuple[str, Content], ...]) -> RepositoryBuilder:
    repository = _copy_of(_initial(()), _folder_of_this_process())
    repository.commit(dict(files), "first")
    return repository


@cache
def _initial(options: tuple[str, ...]) -> RepositoryBuilder:
    repository = RepositoryBuilder(path=_folder_of_this_process())
    repository.git("init", "-q", "--template=", "--initial-branch=main", *options, ".")
    git_dir = Path(repository.git("rev-parse", "--absolute-git-dir"))
    with (git_dir / "config").open("a", encoding="utf-8") as config:
        config.write(_SETTINGS)
    return repository


def _folder_of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="original-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def make_bare_remote(path: Path, origin: RepositoryBuilder, name: str = "origin") -> RepositoryBuilder:
    """A bare repository beside `origin`, filled from it and known to it as the remote `name`."""
    remote = make_empty_repository(path, "--bare")
    origin.git("remote", "add", name, str(path))
    origin.git("push", "-q", name, "--all")
    return remote
