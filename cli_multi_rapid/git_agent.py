"""The `.git` that an agent finds in its slot: real, its own, and never trusted by us afterwards.

Isolated: a small repository made by hand (a process less than `git init`), which borrows the person's objects
and shares nothing else: hooks, config and refs that an agent plants there reach nobody. Linked: a `git
worktree` of the person's repository, for partial clones, whose missing objects only the real repository can
fetch.
"""

import os
import shutil
import stat
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_config import Setting, Settings, as_config_file, content_settings, value_of
from cli_multi_rapid.git_names import branch_ref
from cli_multi_rapid.git_objects import Identity

_SHARED_FILES = ("shallow", "info/exclude", "info/attributes")


class Origin(Struct, frozen=True, kw_only=True):
    """What of the person's repository an agent's git needs to know."""

    common_dir: Path
    object_format: str
    settings: Settings
    identity: Identity


def make_isolated(origin: Origin, work_tree: Path, lane: Branch, base: Commit, index: Path) -> None:
    """Make `work_tree/.git` with HEAD on `lane` at `base`, and `git status` clean."""
    git_dir = work_tree / ".git"
    ref = branch_ref(lane)
    for folder in ("objects/info", "objects/pack", "info", "refs/tags", str(Path(ref).parent)):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    (git_dir / "HEAD").write_text(f"ref: {ref}\n", encoding="utf-8")
    (git_dir / ref).write_text(f"{base}\n", encoding="utf-8")
    (git_dir / "config").write_text(_config(origin), encoding="utf-8", errors="surrogateescape")
    alternates = git_dir / "objects" / "info" / "alternates"
    alternates.write_bytes(os.fsencode(_objects_of(origin)) + b"\n")
    for name in _SHARED_FILES:
        if (origin.common_dir / name).is_file():
            shutil.copyfile(origin.common_dir / name, git_dir / name)
    shutil.copy2(index, git_dir / "index")


def _objects_of(origin: Origin) -> Path:
    objects = origin.common_dir / "objects"
    if "\n" in str(objects) or str(objects).startswith('"'):
        raise EnvironmentFault(
            f"slots cannot borrow objects from {str(objects)!r}", hint="move the repository to a simpler path"
        )
    return objects


def _config(origin: Origin) -> str:
    sha256 = origin.object_format != "sha1"
    ours = {
        "core.repositoryformatversion": "1" if sha256 else "0",
        "core.bare": "false",
        "core.logallrefupdates": "true",
        "user.name": origin.identity.name,
        "user.email": origin.identity.mail,
        "gc.auto": "0",
        "maintenance.auto": "false",
    }
    if sha256:
        ours["extensions.objectformat"] = origin.object_format
    if value_of(origin.settings, "filter.lfs.clean") and not value_of(origin.settings, "lfs.storage"):
        ours["lfs.storage"] = str(origin.common_dir / "lfs")
    settings = [Setting(scope="local", name=name, value=value) for name, value in ours.items()]
    return as_config_file([*content_settings(origin.settings), *settings])


def make_linked(git: Git, work_tree: Path, base: Commit) -> Path:
    """Make a detached, empty `git worktree` and return its private git dir. One at a time per repository."""
    git.tell("worktree", "add", "--quiet", "--no-checkout", "--detach", str(work_tree), base)
    pointer = (work_tree / ".git").read_text(encoding="utf-8", errors="surrogateescape").strip()
    return Path(pointer.removeprefix("gitdir: "))


def move_linked(private_dir: Path, work_tree: Path) -> None:
    """Tell git that the folder of a linked worktree was renamed."""
    pointer = f"{work_tree / '.git'}\n"
    (private_dir / "gitdir").write_text(pointer, encoding="utf-8", errors="surrogateescape")


def forget_linked(private_dir: Path) -> None:
    """Make git forget a linked worktree whose folder is gone. One at a time per repository."""
    if private_dir.parent.name == "worktrees":
        shutil.rmtree(private_dir, ignore_errors=True)


def read_from_slots(common_dir: Path, *, linked: bool) -> tuple[Path, ...]:
    """The folders of the person's repository that the git in a slot reads: of isolated slots only objects."""
    if linked:
        return (common_dir,)
    stores = [common_dir / "objects"]
    for store in stores:
        stores += [other for other in _alternates(store) if other not in stores]
    return (*stores, common_dir / "lfs")


def _alternates(store: Path) -> list[Path]:
    """The object stores that another one borrows from; gitrepository-layout(5) has the format."""
    listed = store / "info" / "alternates"
    if not listed.is_file():
        return []
    lines = listed.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [Path(os.path.normpath(store / line)) for line in lines if line and not line.startswith("#")]


def has_commits_of_its_own(work_tree: Path, base: Commit) -> bool:
    """Whether a ref in the agent's own `.git` is not at `base`: work that its files may not show."""
    refs = work_tree / ".git" / "refs"
    for folder, _, names in os.walk(refs):
        for path in (Path(folder) / name for name in names):
            is_plain = stat.S_ISREG(path.lstat().st_mode)  # a planted pipe would never end
            if not is_plain or path.read_text(encoding="utf-8", errors="replace").strip() != base:
                return True
    return os.path.lexists(work_tree / ".git" / "packed-refs")
