"""Pushing to a remote: the same compare-and-swap as at home, with leases instead of old values."""

from collections.abc import Sequence
from dataclasses import dataclass

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_names import checked_ref
from cli_multi_rapid.git_refs import RefChange, Whatever


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """The remote has all refs where they should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRefused:
    """The remote did not take it."""

    reason: str
    moved: bool
    """A ref of the remote was not where it was expected: plan again."""
    details: str
    """All that git and the remote's hooks said."""


def push(git: Git, remote: str, changes: Sequence[RefChange], *, atomic: bool = True) -> Pushed | PushRefused:
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
    done = git.ask("push", *(["--atomic"] if atomic else []), *options, *leases, "--", remote, *refspecs)
    if done.ok:
        return Pushed()
    lines = [line.split("\t") for line in done.text.split("\n") if line.startswith("!\t")]
    verdicts = [f"{parts[1].rpartition(':')[2]}: {parts[2]}" for parts in lines if len(parts) == 3]
    return PushRefused(
        reason="; ".join(verdicts) or done.error_text or f"return code {done.returncode}",
        moved=any("stale info" in verdict or "fetch first" in verdict for verdict in verdicts),
        details=done.error_text,
    )
