"""The terms on which a program is supervised: its limits, the request to stop, and how it ended."""

import os
import threading
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.ports import STOP_STEPS, StopStep
from cli_multi_rapid.process_tree import Leftover


class Supervision(Struct, frozen=True, kw_only=True):
    """How long a program may run and how much of its output is kept."""

    timeout_s: float | None
    stops: tuple[StopStep, ...] = STOP_STEPS
    """How to end it. After the last step's time its whole tree gets SIGKILL."""
    max_log_bytes: int = 16 * 1024 * 1024
    excerpt_bytes: int = 64 * 1024
    """Bytes of the beginning, and as many of the end, that stay in memory for the verdict."""
    sandboxed: bool = False
    """The program is a sandbox that dies of SIGINT and SIGTERM: they go past it, to the session behind it."""
    guarded: bool = True
    """Whether all that comes of the program ends when we are killed."""


class CancelToken:
    """A request to stop that any thread can make, and that wakes whoever waits on its file descriptor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_end, self._write_end = os.pipe()
        self._reason: str | None = None

    def cancel(self, reason: str) -> None:
        """Ask for the stop; only the first reason counts."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                if self._write_end >= 0:
                    os.write(self._write_end, b"\0")

    @property
    def cancelled(self) -> bool:
        """Whether the stop was asked for."""
        return self._reason is not None

    @property
    def reason(self) -> str:
        """Why, in the words of whoever asked; empty before."""
        return self._reason or ""

    def fileno(self) -> int:
        """Readable once cancelled, for any number of waiters; they must not read from it."""
        return self._read_end

    def close(self) -> None:
        """Release the file descriptors, when nobody waits any more."""
        with self._lock:
            for end in (self._read_end, self._write_end):
                if end >= 0:
                    os.close(end)
            self._read_end = self._write_end = -1

    def __enter__(self) -> "CancelToken":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ExitOutcome(StrEnum):
    """How a supervised program came to its end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    """By a signal that we did not send."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"
    """Never started: there is no such program, or it cannot be executed."""


class Exit(Struct, frozen=True, kw_only=True):
    """The end of a supervised program. Everything in it is redacted."""

    outcome: ExitOutcome
    code: int | None = None
    """None if it was ended by a signal or never started."""
    signal: int | None = None
    duration_s: float = 0.0
    cpu_s: float = 0.0
    """User and system seconds of the program and of those descendants that somebody waited for."""
    output_head: bytes = b""
    output_tail: bytes = b""
    """What follows the head; not directly, if `output_missing_bytes` says so."""
    output_missing_bytes: int = 0
    log: Path
    log_truncated_bytes: int = 0
    leftovers: tuple[Leftover, ...] = ()
    """The descendants that outlived the program, or did not obey, and had to be killed; not those that its
    warden killed."""
    problem: str = ""
    """For people: why it could not be started, why it was cancelled, or what else went wrong."""

    @property
    def returncode(self) -> int | None:
        """The exit code, or the signal that ended it as a negative number."""
        return self.code if self.signal is None else -self.signal

    @property
    def ok(self) -> bool:
        """Whether the program ended by itself and reported success, which proves nothing about its work."""
        return self.outcome is ExitOutcome.EXITED and self.code == 0

    @property
    def output(self) -> bytes:
        """Head and tail, with a note between them if something is missing there."""
        if not self.output_missing_bytes:
            return self.output_head + self.output_tail
        note = f"\n[... {self.output_missing_bytes} bytes are missing here ...]\n".encode()
        return self.output_head + note + self.output_tail
