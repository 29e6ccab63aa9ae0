"""How git is called: our own folders, our own settings, nothing inherited, nothing discovered.

A folder that an agent worked in can hold hooks, a file system monitor, filters or a fake `.git` file. So
every call names its git dir, work tree and index, and the inherited `GIT_*` variables are scrubbed. Text from
plans reaches git only on standard input, as a validated full ref name or behind `--end-of-options`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.machine_faults import remedy_in
from cli_multi_rapid.process import Completed, run

SAFE_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "log.showSignature=false",
    # Of another process's ref lock: git itself waits this long before it refuses.
    "core.filesRefLockTimeout=2000",
    "core.packedRefsTimeout=2000",
)

SLOT_SETTINGS = (
    # A slot shows every file, and its index is one plain file that can be copied.
    "core.sparseCheckout=false",
    "index.sparse=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    # A line ending that does not survive a round trip is the project's affair, not a reason to lose an
    # attempt.
    "core.safecrlf=false",
)

_GONE = re.compile(r"not something we can merge|nonexistent object|bad object|unable to read (tree|sha1)")
"""How git says that an object is not there."""

OBJECT_IS_GONE = "an object is gone; after a `git gc --prune=now` during a run, resume makes it again"
"""What to do then."""

_KEPT_VARIABLES = frozenset(
    {
        "GIT_ALLOW_PROTOCOL",
        "GIT_ASKPASS",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_HTTP_PROXY_AUTHMETHOD",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_NO_VERIFY",
    }
)
_KEPT_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")


def git_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The person's environment without what would redirect git, and with messages for a program to read."""
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)
    }
    kept.pop("LANGUAGE", None)
    return kept | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat"}


class Git(Struct, frozen=True, kw_only=True):
    """Where one call of git works. All paths are ours or the person's, never an agent's `.git`."""

    git_dir: Path
    work_tree: Path
    """Decides whose `.gitattributes` count; an empty folder of ours unless files are meant."""
    index: Path
    environment: Mapping[str, str]
    program: str = "git"
    """Where git is: found once, or every call searches the whole PATH again."""
    object_format: str = "sha1"
    objects_by_hand: bool = False
    """Whether new objects are treated as git does by default, so that we may write some ourselves."""
    settings: tuple[str, ...] = SAFE_SETTINGS

    def __repr__(self) -> str:
        return f"Git({self.git_dir}, work tree {self.work_tree})"  # the environment may hold secrets

    def at(self, *, git_dir: Path | None = None, work_tree: Path, index: Path) -> "Git":
        """The same git for other files."""
        return replace(self, git_dir=git_dir or self.git_dir, work_tree=work_tree, index=index)

    def for_slot(self, *, work_tree: Path, index: Path) -> "Git":
        """The same git for a folder that an agent may have written to."""
        return replace(self, work_tree=work_tree, index=index).with_settings(*SLOT_SETTINGS)

    def with_settings(self, *settings: str) -> "Git":
        """The same git with more `name=value` settings; the last one of a name counts."""
        return replace(self, settings=self.settings + settings)

    def ask(
        self,
        *args: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        """Run a git command and return what it said, whatever its return code.

        Raises `ProgramTimeout` when it was killed after `timeout_s`.
        """
        settings = [part for setting in self.settings for part in ("-c", setting)]
        environment = {
            **self.environment,
            **(env or {}),
            "GIT_DIR": str(self.git_dir),
            "GIT_WORK_TREE": str(self.work_tree),
            "GIT_INDEX_FILE": str(self.index),
        }
        argv = [self.program, *settings, *args]
        return run(argv, cwd=self.work_tree, env=environment, stdin=stdin, timeout_s=timeout_s)

    def tell(self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Completed:
        """Run a git command that has to succeed. Raises `EnvironmentFault` with git's words if it fails."""
        done = self.ask(*args, stdin=stdin, env=env)
        if not done.ok:
            raise git_failed(done)
        return done


def git_failed(done: Completed) -> EnvironmentFault:
    """An unexpected refusal of git, in its own words."""
    command = next((part for part in done.argv[1:] if part != "-c" and "=" not in part), "git")
    words = done.error_text or f"return code {done.returncode}"
    return EnvironmentFault(f"git {command} failed: {words}", hint=_hint(words))


def _hint(words: str) -> str:
    if "index.lock" in words:
        return "another git command is running there; if none is, remove the index.lock file that it names"
    if "dubious ownership" in words:
        return "the repository belongs to another user; see `git config --global --add safe.directory`"
    if _GONE.search(words):
        return OBJECT_IS_GONE
    remedy = remedy_in(words)
    return f"{remedy}, then try again" if remedy else ""


def blame_machine(done: Completed) -> None:
    """Raise `EnvironmentFault` when git was refused by the machine and not by what it was asked to do."""
    if not done.ok and remedy_in(done.error_text):
        raise git_failed(done)


def joined(names: Iterable[str]) -> bytes:
    """Names as git's `-z` input."""
    return b"".join(os.fsencode(name) + b"\0" for name in names)


def split(output: bytes) -> list[str]:
    """Git's `-z` output as names; bytes that are no UTF-8 survive as surrogates."""
    return [os.fsdecode(part) for part in output.split(b"\0")[:-1]]
