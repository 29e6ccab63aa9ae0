"""Finding the person's repository, once, in the person's own folder. Never done for a slot."""

import os
import re
import shutil
from collections.abc import Mapping
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
    git_version(program, environment)
    return program


def git_version(program: str, environment: Mapping[str, str]) -> str:
    """The version of a git, like `2.47.3`; of the same file it is asked once per process.

    Raises `EnvironmentFault` for one that is too old or cannot be run.
    """
    try:
        facts = Path(program).stat()
        identity = (program, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    except OSError:
        return _ask_version(program, environment)
    if identity not in _versions:
        _versions[identity] = _ask_version(program, environment)
    return _versions[identity]


_versions: dict[tuple[str, int, int, int], str] = {}


def _ask_version(program: str, environment: Mapping[str, str]) -> str:
    done = run([program, "version"], env=environment)
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
