"""Real git repositories of any size, made in one call of git: a base and branches that each add to it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_command import git_environment
from cli_multi_rapid.process import Completed, run

MAIN = Branch("main")
_PERSON = "Ada Example <ada@example.invalid> 1767225600 +0000"
_BASE = ":1"
_SETTINGS = (("user.name", "Ada Example"), ("user.email", "ada@example.invalid"), ("gc.auto", "0"))

Files = Mapping[str, str]


class GitRefused(Exception):
    """A command of git that a benchmark needs did not succeed."""


class GeneratedRepository(Struct, frozen=True, kw_only=True):
    """A repository in a folder that nobody else uses."""

    path: Path

    def git(self, *args: str, stdin: bytes | None = None, at: Path | None = None) -> str:
        """Run git as a person without any configuration would. Raises `GitRefused` with git's words."""
        done = self.try_git(*args, stdin=stdin, at=at)
        if not done.ok:
            raise GitRefused(f"git {' '.join(args)}: {done.error_text}")
        return done.text

    def try_git(self, *args: str, stdin: bytes | None = None, at: Path | None = None) -> Completed:
        """Run git and return what it said."""
        return run(["git", *args], cwd=at or self.path, env=plain_environment(self.path), stdin=stdin)

    def heads(self, branches: Iterable[str]) -> list[Commit]:
        """The commit of each branch."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
        known = dict(line.split(" ") for line in lines)
        return [Commit(known[f"refs/heads/{name}"]) for name in branches]


def plain_environment(home: Path) -> dict[str, str]:
    """Our environment without anybody's configuration of git or of the orchestrator."""
    kept = git_environment(os.environ)
    return kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": str(home)}


def make_repository(path: Path, base: Files, branches: Sequence[tuple[str, Files]]) -> GeneratedRepository:
    """A repository with `base` on `main`, checked out, and branches with one commit each on top of it."""
    path.mkdir(parents=True)
    repository = GeneratedRepository(path=path)
    repository.git("init", "-q", "--template=", f"--initial-branch={MAIN}", ".")
    for name, value in _SETTINGS:
        repository.git("config", name, value)
    commits = [_commit(MAIN, base), *(_commit(name, files, start=_BASE) for name, files in branches)]
    repository.git("fast-import", "--quiet", "--done", stdin=b"".join([*commits, b"done\n"]))
    repository.git("checkout", "-q", MAIN)
    return repository


def _commit(branch: str, files: Files, *, start: str | None = None) -> bytes:
    """One commit as `git fast-import` reads it; one without a start is the base."""
    mark = f"mark {_BASE}\n" if start is None else ""
    head = [f"commit refs/heads/{branch}\n", mark, f"committer {_PERSON}\n", _data(f"Work of {branch}\n")]
    parent = [f"from {start}\n"] if start else []
    changes = [f"M 100644 inline {name}\n{_data(content)}" for name, content in files.items()]
    return "".join([*head, *parent, *changes, "\n"]).encode()


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"
