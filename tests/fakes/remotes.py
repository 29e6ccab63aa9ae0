"""A bare repository beside a person's, its hooks, and other people who push to it."""

import shlex
from pathlib import Path

from cli_multi_rapid.core.ids import Commit
from tests.fakes.repositories import Content, RepositoryBuilder, make_empty_repository

LANDED = "refs/cli-orchestrator/landed"


def clone(remote: RepositoryBuilder, path: Path) -> RepositoryBuilder:
    """Another person's repository: `main` of the remote, checked out, with the remote as `origin`."""
    other = make_empty_repository(path)
    other.git("remote", "add", "origin", str(remote.path))
    other.git("fetch", "-q", "origin")
    other.git("checkout", "-q", "-B", "main", "--track", "origin/main")
    return other


def push_foreign(remote: RepositoryBuilder, folder: Path, files: dict[str, Content]) -> Commit:
    """Somebody else commits on the remote's `main`."""
    other = clone(remote, folder)
    commit = other.commit(files, "foreign")
    other.git("push", "-q", "origin", "main")
    return commit


def foreign_push_line(remote: RepositoryBuilder, folder: Path) -> str:
    """A shell line with which somebody else pushes a commit to the remote's `main`, as often as it is run."""
    steps = (
        f"rm -rf {shlex.quote(str(folder))}",
        f"git clone -q {shlex.quote(str(remote.path))} {shlex.quote(str(folder))}",
        f"cd {shlex.quote(str(folder))}",
        "date +%s%N > foreign.txt",
        "git add foreign.txt",
        "git -c user.name=Bob -c user.email=bob@example.invalid commit -q -m foreign",
        "git push -q origin main",
    )
    return f"(unset $(env | grep -o '^GIT_[A-Z_]*'); {' && '.join(steps)})"


def set_hook(remote: RepositoryBuilder, name: str, body: str) -> Path:
    """Let the remote run a script; remove the file that is returned to be rid of it."""
    hook = remote.path / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    hook.chmod(0o755)
    return hook


def markers_of(repository: RepositoryBuilder) -> dict[str, str]:
    """The landing markers of a repository with their commits."""
    lines = repository.git("for-each-ref", "--format=%(refname) %(objectname)", LANDED).splitlines()
    return {name: at for name, _, at in (line.partition(" ") for line in lines)}


def assert_same_landings(repository: RepositoryBuilder, remote: RepositoryBuilder) -> None:
    """Target and markers are at the same commits here and there."""
    assert repository.commit_of("main") == remote.commit_of("main")
    assert markers_of(repository) == markers_of(remote)
