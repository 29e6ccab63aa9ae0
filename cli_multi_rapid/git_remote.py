"""A remote as a landing sees it: where its refs are, with their commits brought here.

Every call ends in time and none asks a question: without a terminal, a prompt for a password would hang the
queue for ever. What a remote says is text from outside: it is stripped of escape sequences and of secrets.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_config import Settings, value_of
from cli_multi_rapid.git_history import is_ancestor, resolve
from cli_multi_rapid.git_names import branch_ref
from cli_multi_rapid.process import Completed, ProgramTimeout
from cli_multi_rapid.redaction import Redactor, printable

LOOK_TIMEOUT_S = 60.0
"""For reading a remote's refs, which is one answer of a few lines."""

TRANSFER_TIMEOUT_S = 300.0
"""For a fetch or a push. A push that takes longer is in doubt: the next look at the remote tells."""

_QUIET_SSH = "ssh -oBatchMode=yes -oConnectTimeout=30"
_MOST_WORDS = 500
_LOOKS = 3

_NO_CONTACT = re.compile(
    r"Could not read from remote repository|does not appear to be a git repository|unable to access"
    r"|Could not resolve|Connection|[Tt]imed out|early EOF|hung up|unexpected disconnect|did not end within"
)
_NO_PERMISSION = re.compile(
    r"error: 40[13]|Permission|[Dd]enied|Authentication failed|could not read \w+ for"
)


class RemoteRefs(Struct, frozen=True, kw_only=True):
    """The refs of a remote at one moment; all their commits are here."""

    tip: Commit | None
    """Of the target; None: the remote has no such branch."""
    markers: Mapping[str, Commit]


class NoAnswer(Struct, frozen=True, kw_only=True):
    """The remote could not be asked. `unreachable`: it was not there, rather than unwilling."""

    reason: str
    unreachable: bool


def quiet(git: Git, settings: Settings) -> Git:
    """The same git for calls over the network, where nobody sits in front of a prompt.

    What the person has configured for ssh stays as it is.
    """
    own_ssh = {"GIT_SSH_COMMAND", "GIT_SSH"} & git.environment.keys() or value_of(settings, "core.sshcommand")
    ssh = {} if own_ssh else {"GIT_SSH_COMMAND": _QUIET_SSH}
    return replace(git, environment={**git.environment, **ssh}).with_settings("credential.interactive=false")


def require_remote(git: Git, settings: Settings, name: str) -> None:
    """Raise `UserError` unless this is the name of a remote with one address to push to."""
    known = sorted(
        {
            setting.name.removeprefix("remote.").rpartition(".")[0]
            for setting in settings
            if setting.name.startswith("remote.") and setting.name.endswith((".url", ".pushurl"))
        }
    )
    if name not in known:
        raise UserError(
            f"there is no remote {name} to push to",
            hint=f"this repository knows {', '.join(known) or 'no remote'}; "
            f"add it (git remote add {name} URL), or put the right name into landing.push",
        )
    addresses = git.tell("remote", "get-url", "--push", "--all", "--", name).text.split("\n")
    if len(addresses) > 1:
        raise UserError(
            f"the remote {name} pushes to {len(addresses)} addresses, which cannot be one atomic push",
            hint="name a remote with one push address in landing.push",
        )


def read_remote(git: Git, remote: str, target: Branch, markers: Sequence[str]) -> RemoteRefs | NoAnswer:
    """Where the target and these markers are on a remote; commits that are not here are fetched."""
    for _ in range(_LOOKS):  # a branch that somebody rewinds between our two questions is not here afterwards
        found = _list_refs(git, remote, [branch_ref(target), *markers])
        if isinstance(found, NoAnswer):
            return found
        if not _all_here(git, found) and (silence := _fetch(git, remote, found)):
            return silence
        if _all_here(git, found):
            tip = found.pop(branch_ref(target), None)
            return RemoteRefs(tip=tip, markers=found)
    return NoAnswer(reason=f"the branches of {remote} move while they are read", unreachable=False)


def marked_on(git: Git, refs: RemoteRefs) -> dict[str, Commit]:
    """The markers whose commit is on the remote's target: what they speak for has landed there."""
    tip = refs.tip
    return {
        marker: at for marker, at in refs.markers.items() if tip is not None and is_ancestor(git, at, tip)
    }


def _list_refs(git: Git, remote: str, names: Sequence[str]) -> dict[str, Commit] | NoAnswer:
    done = converse(git, "ls-remote", "--refs", "--", remote, *names, timeout_s=LOOK_TIMEOUT_S)
    if isinstance(done, NoAnswer):
        return done
    lines = (line.split("\t") for line in done.text.split("\n") if line)
    # Git takes the names for the ends of names: `refs/x/refs/heads/main` would match as well.
    return {name: Commit(at) for at, name in lines if name in names}


def _fetch(git: Git, remote: str, refs: Iterable[str]) -> NoAnswer | None:
    """Bring the commits of some refs here. Of our refs git moves only its own copies of the remote's."""
    options = (
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
    )
    done = converse(git, "fetch", *options, "--", remote, *refs, timeout_s=TRANSFER_TIMEOUT_S)
    return done if isinstance(done, NoAnswer) else None


def _all_here(git: Git, refs: Mapping[str, Commit]) -> bool:
    return all(resolve(git, at) is not None for at in refs.values())


def converse(git: Git, *args: str, timeout_s: float) -> Completed | NoAnswer:
    """Run a git command that talks to a remote, and that has to succeed."""
    try:
        done = git.ask(*args, timeout_s=timeout_s)
    except ProgramTimeout:
        return NoAnswer(reason=f"no answer within {timeout_s:g} s", unreachable=True)
    return done if done.ok else NoAnswer(reason=said(git, done), unreachable=no_contact(done.error_text))


def no_contact(words: str) -> bool:
    """Whether git's words say that the remote was not there, rather than that it said no."""
    return _NO_CONTACT.search(words) is not None and _NO_PERMISSION.search(words) is None


def said(git: Git, done: Completed) -> str:
    """What git and the remote said, in one safe line."""
    lines = done.error_text.split("\n")
    kept = [line.removeprefix("fatal: ").removeprefix("error: ").removeprefix("remote: ") for line in lines]
    return safe(git, " ".join(kept)) or f"git ended with {done.returncode}"


def safe(git: Git, words: str) -> str:
    """Text of a remote without secrets and without what steers a terminal, cut to a readable length."""
    clean = printable(Redactor.from_environment(git.environment).redact(words))
    line = " ".join(clean.split())
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 3]}..."
