"""Pushing to a remote: the same compare-and-swap as at home, with leases instead of old values."""

import re
from collections.abc import Sequence

from msgspec import Struct

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_names import checked_ref
from cli_multi_rapid.git_refs import RefChange, Whatever
from cli_multi_rapid.git_remote import TRANSFER_TIMEOUT_S, no_contact, safe, said
from cli_multi_rapid.process import Completed, ProgramTimeout


class Pushed(Struct, frozen=True, kw_only=True):
    """The remote has all refs where they should be."""


class PushRefused(Struct, frozen=True, kw_only=True):
    """The remote did not take it, as far as we know: an answer can be lost."""

    reason: str
    """In one line, without secrets and escape sequences."""
    moved: bool
    """A ref of the remote may not be where it was expected: look, then plan again."""
    unreachable: bool = False
    """There was no remote to talk to, or the talk broke off."""


_MOVED = re.compile(
    r"stale info|fetch first|failed to update ref|cannot lock ref|already exists|atomic push fail"
)
"""Git's words for a lease that does not hold, and the server's for the loser of a race.

The server names the ref that a hook refused; all others, and all refs after a lost race, are an
`atomic push failure`.
"""
_COMPANION = "atomic push fail"
_LOST_RACE = re.compile(r"cannot lock ref .*(is at \w+ but expected|reference already exists)")
"""Another push came between the look and the transaction: git says so only in the remote's own words."""


def push(
    git: Git,
    remote: str,
    changes: Sequence[RefChange],
    *,
    atomic: bool = True,
    timeout_s: float = TRANSFER_TIMEOUT_S,
) -> Pushed | PushRefused:
    """Push commits to refs of a remote, each with its lease: all or none when `atomic`, never by force.

    `old` None means that the remote must not have the ref yet. A remote ref that already is at `new` counts
    as pushed, so that a push can be repeated after a lost answer. Raises `UserError` for a name that is no
    remote.
    """
    if not remote or remote.startswith("-"):
        raise UserError(f"{remote!r} cannot be the name of a remote")
    leases = [
        f"--force-with-lease={change.ref}:{change.old or ''}"
        for change in changes
        if not isinstance(change.old, Whatever)
    ]
    refspecs = [f"{change.new or ''}:{checked_ref(change.ref)}" for change in changes]
    options = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed"]
    argv = ["push", *(["--atomic"] if atomic else []), *options, *leases, "--", remote, *refspecs]
    try:
        done = git.ask(*argv, timeout_s=timeout_s)
    except ProgramTimeout:
        reason = f"no answer within {timeout_s:g} s"
        return PushRefused(reason=reason, moved=False, unreachable=True)
    return Pushed() if done.ok else _refused(git, done)


def _refused(git: Git, done: Completed) -> PushRefused:
    words = done.error_text
    lines = [line.split("\t") for line in done.text.split("\n") if line.startswith("!\t")]
    verdicts = {parts[1].rpartition(":")[2]: _bare(parts[2]) for parts in lines if len(parts) == 3}
    if not verdicts:
        return PushRefused(reason=said(git, done), moved=False, unreachable=no_contact(words))
    telling = {ref: why for ref, why in verdicts.items() if _COMPANION not in why} or verdicts
    whys = set(telling.values())
    why = "; ".join(f"{ref}: {why}" for ref, why in telling.items())
    if telling.keys() == verdicts.keys() and len(whys) == 1:
        why = whys.pop()  # the same for all
    hooks = [line.removeprefix("remote:") for line in words.split("\n") if line.startswith("remote:")]
    return PushRefused(
        reason=safe(git, f"{' '.join(hooks)} ({why})" if hooks else why),
        moved=any(_MOVED.search(why) for why in telling.values()) or bool(_LOST_RACE.search(words)),
    )


def _bare(summary: str) -> str:
    """`[remote rejected] (hook declined)` without its frame."""
    inner = re.fullmatch(r"\[[a-z ]*rejected\] \((.*)\)", summary)
    return inner[1] if inner else summary
