"""The moments of a run that can be struck: every event that it appends, and every effect outside the log.

As a module it is a server without threads that forks a child for each command line: the child is
`cli-orchestrator` itself, without the start of an interpreter, and dies at the moment that it was given.
"""

import gc
import importlib
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock, local
from typing import Any, Final

from msgspec import Struct
from msgspec.json import decode, encode

import cli_multi_rapid
from tests.fakes.moments import Moment

_UNNEEDED: Final = ("web", "schema.published", "adapters.run_", "process_warden", "__main__")
SLOT_MADE: Final = "a worktree is made"
SLOT_BACK: Final = "a worktree is given back"
PROCESS: Final = "a process is started"
SNAPSHOT: Final = "a snapshot"
STEP: Final = "the checkout steps forward"
LANDING: Final = "the landing transaction"
GIT_EFFECTS: Final = {
    "update-ref": "a ref is written",
    "push": "a push",
    "merge": STEP,
    "read-tree": "a worktree is filled",
    "merge-tree": "a candidate is merged",
}
"""What a command of git is an effect of."""
ALONE_PUSH: Final = "a push has begun and goes on alone"
ALONE_STEP: Final = "the checkout's step has begun and goes on alone"
_ALONE: Final = {"push": ALONE_PUSH, "merge": ALONE_STEP}
"""Calls of git that outlive us: the kill comes when it runs, and the resume meets it at work."""


class Errand(Struct, frozen=True, kw_only=True):
    """One command line, and what is to happen to it."""

    words: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    output: str
    moment: Moment | None = None
    after_s: float | None = None
    """It is killed after so many seconds, wherever it is."""
    trace: str = ""
    """Where to write every moment that it passes, but for those that are another one under a second name."""


class Returned(Struct, frozen=True, kw_only=True):
    """How it ended: its exit code, or the signal that killed it as a negative number."""

    status: int
    seconds: float


class Passages:
    """Counts the moments that a process passes, and strikes when it comes to the chosen one."""

    def __init__(self, moment: Moment | None, trace: str) -> None:
        self._moment, self._seen, self._turn = moment, Counter[tuple[str, bool]](), Lock()
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if trace else None
        self._after_an_event = local()

    def pass_by(self, kind: str, *, before: bool) -> None:
        """The process is right before, or right after, something of a kind."""
        with self._turn:
            self._seen[kind, before] += 1
            at = self._seen[kind, before]
        is_event = "." in kind
        # Before an event that follows another one, with no effect between them: that is after the other.
        is_new = not (is_event and before and getattr(self._after_an_event, "now", False))
        self._after_an_event.now = is_event and not before
        if self._trace is not None and is_new:
            os.write(self._trace, encode(Moment(type=kind, before=before, at=at)) + b"\n")
        if Moment(type=kind, before=before, at=at) == self._moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, kind: str, do: Callable[[], Any]) -> Any:
        """Do something, and pass by before and after it."""
        self.pass_by(kind, before=True)
        done = do()
        self.pass_by(kind, before=False)
        return done


def lie_in_wait(passages: Passages) -> None:
    """Let all that this process does from now on pass by. This process is there for nothing else."""
    from cli_multi_rapid import process, worktrees

    def watched(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: passages.around(kind, lambda: function(*args, **kwargs))

    _watch_the_log(passages)
    _watch_git(passages)
    slots: Any = worktrees.Worktrees
    slots.open = watched(SLOT_MADE, slots.open)
    slots.release = watched(SLOT_BACK, slots.release)
    slots.snapshot = watched(SNAPSHOT, slots.snapshot)
    for name in ("start_guarded", "start_session"):
        vars(process)[name] = watched(PROCESS, vars(process)[name])


def _watch_the_log(passages: Passages) -> None:
    from cli_multi_rapid.store.sqlite import SqliteEventLog

    log: Any = SqliteEventLog
    append = log.append

    def append_and_pass(self: Any, run_id: Any, events: Sequence[Any], **how: Any) -> Any:
        kinds = dict.fromkeys(str(event.data.type) for event in events)
        for kind in kinds:
            passages.pass_by(kind, before=True)
        appended = append(self, run_id, events, **how)
        for kind in kinds:
            passages.pass_by(kind, before=False)
        return appended

    log.append = append_and_pass


def _watch_git(passages: Passages) -> None:
    from cli_multi_rapid import git_command, process

    run, popen = process.run, subprocess.Popen
    communicate: Any = popen.communicate

    def run_and_pass(argv: Sequence[str], **how: Any) -> Any:
        effect = next((GIT_EFFECTS[word] for word in argv if word in GIT_EFFECTS), None)
        if "update-ref" in argv and b"refs/cli-orchestrator/landed" in (how.get("stdin") or b""):
            effect = LANDING
        return passages.around(effect, lambda: run(argv, **how)) if effect else run(argv, **how)

    def pass_and_communicate(program: Any, *args: Any, **how: Any) -> Any:
        for word in program.args:
            if word in _ALONE:
                passages.pass_by(_ALONE[word], before=False)
        return communicate(program, *args, **how)

    vars(git_command)["run"] = run_and_pass
    setattr(popen, "communicate", pass_and_communicate)  # noqa: B010  # mypy allows no assignment to a method


def _be(errand: Errand) -> int:
    """Be the command line."""
    os.environ.update(errand.environment)
    os.chdir(errand.folder)
    tempfile.tempdir = None
    output = os.open(errand.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    if errand.moment is not None or errand.trace:
        lie_in_wait(Passages(errand.moment, errand.trace))
    from cli_multi_rapid.cli.main import main

    status = main(list(errand.words))
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _run(errand: Errand) -> Returned:
    """Fork the command line and wait for its end, or for its time to be killed."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = _be(errand)
        except BaseException as error:  # noqa: BLE001  # the child must not go on as the server
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        os._exit(status)
    if errand.after_s is not None:
        death = os.pidfd_open(child)
        select.select([death], [], [], errand.after_s)
        os.close(death)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return Returned(status=os.waitstatus_to_exitcode(status), seconds=time.monotonic() - began)


def _load_everything() -> None:
    for module in pkgutil.walk_packages(cli_multi_rapid.__path__, "cli_multi_rapid."):
        if not any(module.name.startswith(f"cli_multi_rapid.{name}") for name in _UNNEEDED):
            importlib.import_module(module.name)


if __name__ == "__main__":
    _load_everything()
    gc.freeze()  # no child looks through all of it for garbage
    for line in sys.stdin:
        answer = _run(decode(line, type=Errand))
        sys.stdout.write(encode(answer).decode() + "\n")
        sys.stdout.flush()
