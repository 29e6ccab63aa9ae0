"""Which names git accepts, decided before git sees them, so that a plan's text never becomes an option."""

import re

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.schema.names import can_be_kept

HEADS = "refs/heads/"
OURS = "refs/cli-orchestrator/"
"""Everything of ours that is no lane: markers, pins, candidates."""

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")


def is_ref(name: str) -> bool:
    """Whether this is a full ref name by the rules of `git check-ref-format`, like `refs/heads/main`."""
    return (
        name.startswith("refs/")
        and not name.endswith(("/", "."))
        and _FORBIDDEN.search(name) is None
        and not any("\ud800" <= letter <= "\udfff" for letter in name)
        and can_be_kept(name)
    )


def is_branch(name: str) -> bool:
    """Whether this can be a branch: a valid ref that no command line takes for an option or for HEAD."""
    return not name.startswith(("-", "/", ".")) and name not in {"", "HEAD", "@"} and is_ref(HEADS + name)


def branch_ref(branch: Branch) -> str:
    """The full ref of a branch. Raises `UserError` when git would not accept the name."""
    if not is_branch(branch):
        raise UserError(
            f"{branch[:200]!r} cannot be the name of a branch",
            hint="git allows no spaces, `..`, `~`, `^`, `:`, `?`, `*`, `[`, `\\`, and no leading `-` or `.`",
        )
    return HEADS + branch


def checked_ref(name: str) -> str:
    """The name itself. Raises `UserError` when it is no full, valid ref name."""
    if not is_ref(name):
        raise UserError(f"{name[:200]!r} is not a full ref name such as refs/heads/main")
    return name


def is_inside(path: str) -> bool:
    """Whether a path names something inside a tree: relative, no `..`, nothing below a `.git`."""
    parts = path.split("/")
    return (
        bool(path)
        and "\0" not in path
        and all(part not in {"", ".", ".."} for part in parts)
        and (not any(part.lower() == ".git" for part in parts))
    )
