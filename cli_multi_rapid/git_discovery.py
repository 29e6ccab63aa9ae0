"""Finding the person's repository, once, in the person's own folder. Never done for a slot."""

import os
import re
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.process import run

OLDEST_GIT = (2, 38)
"""The first version with `merge-tree --write-tree` and `cat-file -z`."""


class Found(Struct, frozen=True, kw_only=True):
    """A repository and how we came to it."""

    root: Path
    """The top of the work tree; of a bare repository its git dir."""
    own_dir: Path
    """The git dir of this work tree: its HEAD and index."""
    common_dir: Path
    """The git dir that all work trees share: objects, refs and config."""
    object_format: str
    is_bare: bool
    is_shallow: bool


def find_git(environment: Mapping[str, str]) -> str:
    """The git on the PATH, which has to be able to merge without a work tree. Raises `EnvironmentFault`."""
    program = shutil.which("git", path=environment.get("PATH", os.defpath)) or "git"
    _check_version(program, tuple(sorted(environment.items())))
    return program


def git_version(program: str, environment: Mapping[str, str]) -> str:
    """The version of a git that `find_git` found, like `2.47.3`."""
    return _check_version(program, tuple(sorted(environment.items())))


@cache
def _check_version(program: str, environment: tuple[tuple[str, str], ...]) -> str:
    """The version, once per process; with the whole environment, which a stand-in for git may need."""
    done = run([program, "version"], env=dict(environment))
    found = re.search(r"(\d+)\.(\d+)\S*", done.text)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        raise EnvironmentFault(
            f"git {oldest} or newer is needed, here is: {done.text or done.error_text}",
            hint=f"install git {oldest} or newer, or put it first on the PATH",
        )
    return found[0]


def find_repository(program: str, path: Path, environment: Mapping[str, str]) -> Found:
    """The repository that a folder belongs to. Raises `EnvironmentFault` when there is none git accepts."""
    done = run(
        [
            program,
            *("rev-parse", "--is-bare-repository", "--path-format=absolute", "--absolute-git-dir"),
            *("--git-common-dir", "--show-object-format", "--is-shallow-repository", "--show-cdup"),
        ],
        cwd=path,
        env=environment,
    )
    if "not a git repository" in done.error_text:
        raise EnvironmentFault(
            f"{path} is in no git repository", hint="run `git init` there, or pass --repo DIR"
        )
    if not done.ok:
        hint = "see `git config --global --add safe.directory`" if "dubious" in done.error_text else ""
        raise EnvironmentFault(f"{path} cannot be used: {done.error_text}", hint=hint)
    bare, own_dir, common_dir, object_format, shallow, *up = done.text.split("\n")
    is_bare = bare == "true"
    root = Path(common_dir) if is_bare else path.resolve() / (up[0] if up else "")
    return Found(
        root=root.resolve(),
        own_dir=Path(own_dir),
        common_dir=Path(common_dir),
        object_format=object_format,
        is_bare=is_bare,
        is_shallow=shallow == "true",
    )
