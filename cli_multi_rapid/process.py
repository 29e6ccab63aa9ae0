"""The only place that starts programs: quick calls, and supervised programs that may misbehave."""

import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.process_environment import base_environment, inherited_environment, which
from cli_multi_rapid.process_output import LineReader, OutputRecord
from cli_multi_rapid.process_start import ProgramMissing, Started, cannot_start, start_guarded, start_session
from cli_multi_rapid.process_steward import Warden
from cli_multi_rapid.process_table import MARKER_VARIABLE
from cli_multi_rapid.process_terms import CancelToken, Exit, ExitOutcome, Supervision
from cli_multi_rapid.process_tree import Family, Leftover, become_subreaper, find_marked, kill_marked
from cli_multi_rapid.redaction import Redactor

__all__ = [
    "MARKER_VARIABLE",
    "CancelToken",
    "Completed",
    "Exit",
    "ExitOutcome",
    "Leftover",
    "LineReader",
    "ProgramMissing",
    "ProgramTimeout",
    "Supervision",
    "base_environment",
    "become_subreaper",
    "find_marked",
    "inherited_environment",
    "kill_marked",
    "run",
    "run_through",
    "supervise",
    "which",
]

_LINUX: Final = sys.platform == "linux"
_READ_BYTES: Final = 64 * 1024
_TIDYING_S: Final = 1.0
_LAST_READS: Final = 32
"""More than a pipe holds: what is still in it when all its writers are dead."""


class ProgramTimeout(EnvironmentFault):
    """A quick call did not end in time; its process group was killed."""


class Completed(Struct, frozen=True, kw_only=True):
    """A quick call that ended; a negative return code is the signal that ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether the program reported success."""
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Standard output without its last newline; bytes that are no UTF-8 survive as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def error_text(self) -> str:
        """Standard error for a person to read."""
        return self.stderr.decode("utf-8", "replace").strip()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run a short program to its end and return what it said, whatever its return code.

    `env` is the complete environment: nothing is inherited. Without `stdin` the program reads /dev/null. It
    gets its own process group, so that Ctrl-C reaches only us and a timeout kills its children too.
    Raises `EnvironmentFault` when it cannot be started (`ProgramMissing` when there is no such program), and
    `ProgramTimeout` when it was killed after `timeout_s`.
    """
    try:
        program = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        raise cannot_start(argv[0], cwd, error) from error
    with program:
        try:
            stdout, stderr = program.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired:
            _end_group(program)
            raise ProgramTimeout(f"{argv[0]} did not end within {timeout_s:g} s and was killed") from None
        except BaseException:
            _end_group(program)
            raise
    return Completed(argv=tuple(argv), returncode=program.returncode, stdout=stdout, stderr=stderr)


def run_through(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str]) -> int:
    """Run a program as a part of this one, to its end; its return code, negative for a signal.

    For our own programs that are supervised themselves (`adapters/run_*.py`): it shares their output and
    their process group, so that whoever supervises them sees what it says and ends it with them. Standard
    input is /dev/null. Raises as `run` does when it cannot be started.
    """
    try:
        return subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, check=False).returncode
    except (OSError, ValueError) as error:
        raise cannot_start(argv[0], cwd, error) from error


def supervise(  # noqa: PLR0913  # what, where, as whom, within which limits: every caller has all of it at hand
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str],
    marker: str,
    log: Path,
    redactor: Redactor,
    supervision: Supervision,
    cancel: CancelToken,
    on_line: LineReader | None = None,
) -> Exit:
    """Run a program that may hang, flood or leave children behind; return when no process of it is left.

    `env` is the complete environment, to which the marker is added; no two running programs may share one.
    Standard input is /dev/null; standard output and error go, redacted, to `log`. On a timeout or a
    cancellation the program gets the signals of `supervision.stops`, then its whole tree SIGKILL. Several
    threads may call this at once. Elsewhere than on Linux only the process group is ended, and what left it
    lives on.
    Raises `EnvironmentFault` when the log or the folder is not usable, `UserError` for a NUL in an argument.
    """
    if cancel.cancelled:
        return Exit(outcome=ExitOutcome.CANCELLED, log=log, problem=redactor.redact(cancel.reason))
    limits = supervision
    record = OutputRecord(
        log, redactor, log_bytes=limits.max_log_bytes, excerpt_bytes=limits.excerpt_bytes, on_line=on_line
    )
    with record, Family(marker) as family:
        try:
            start = start_guarded if supervision.guarded and _LINUX else start_session
            started = start(argv, cwd, {**env, MARKER_VARIABLE: marker})
        except ProgramMissing as error:
            return Exit(outcome=ExitOutcome.NOT_FOUND, log=log, problem=redactor.redact(error.message))
        family.leader, family.program = started.leader.pid, started.program
        watch = _Watch(started, family, record, supervision, cancel)
        watch.to_the_end()
        return watch.exit_of(log, redactor)


class _Watch:
    """One supervised program, from its start to the last of its processes."""

    def __init__(
        self,
        started: Started,
        family: Family,
        record: OutputRecord,
        supervision: Supervision,
        cancel: CancelToken,
    ) -> None:
        program = started.leader
        assert program.stdout is not None  # noqa: S101  # it was started with a pipe
        self._started, self._program, self._output = started, program, program.stdout
        self._family, self._record, self._cancel = family, record, cancel
        self._sandboxed = supervision.sandboxed
        self._deadline = None if supervision.timeout_s is None else family.began + supervision.timeout_s
        self._stops = list(supervision.stops)
        self._stopped_by: ExitOutcome | None = None
        self._cpu_s = 0.0
        self._duration_s = 0.0

    def to_the_end(self) -> None:
        """Follow the program, then end what is left of its family."""
        exit_signal = _exit_signal_of(self._program)
        try:
            self._follow(exit_signal)
        finally:
            # Also when a reader of the output raised: nothing is left running.
            os.close(exit_signal)
            self._family.end()
            self._wait()
            self._started.let_go()
            with self._output:
                self._drain()
        self._record.finish()
        self._duration_s = time.monotonic() - self._family.began

    def exit_of(self, log: Path, redactor: Redactor) -> Exit:
        """What happened, after the end."""
        status, excerpt = self._program.returncode, self._record.excerpt
        problems = (
            self._cancel.reason if self._stopped_by is ExitOutcome.CANCELLED else "",
            self._record.problem,
        )
        killer = -status if status is not None and status < 0 else None
        return Exit(
            outcome=self._stopped_by or (ExitOutcome.SIGNALLED if killer else ExitOutcome.EXITED),
            code=None if killer else status,
            signal=killer,
            duration_s=self._duration_s,
            cpu_s=self._cpu_s + self._family.cpu_s,
            output_head=excerpt.head,
            output_tail=excerpt.tail,
            output_missing_bytes=excerpt.missing,
            log=log,
            log_truncated_bytes=self._record.log_truncated_bytes,
            leftovers=tuple(
                replace(one, command=redactor.redact(one.command)) for one in self._family.leftovers
            ),
            problem=redactor.redact("; ".join(filter(None, problems))),
        )

    def _follow(self, exit_signal: int) -> None:
        """Read until the program is gone, or until only SIGKILL is left to try."""
        pipe, stop = self._output.fileno(), self._cancel.fileno()
        waiting = select.poll()
        for descriptor in (pipe, stop, exit_signal):
            waiting.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in waiting.poll(self._patience_ms()):
                if descriptor == exit_signal:
                    return
                if descriptor == stop:
                    waiting.unregister(stop)
                    self._begin_stop(ExitOutcome.CANCELLED)
                elif not self._read():
                    waiting.unregister(pipe)
            if self._patience_ms() == 0:
                self._begin_stop(ExitOutcome.TIMED_OUT)
                if not self._stops:
                    return
                step = self._stops.pop(0)
                self._family.signal_group(step.signal, behind=self._sandboxed)
                self._deadline = time.monotonic() + step.wait_s

    def _begin_stop(self, outcome: ExitOutcome) -> None:
        """The first cause counts; the signals follow, beginning at once."""
        if self._stopped_by is None:
            self._stopped_by = outcome
            self._deadline = time.monotonic()

    def _patience_ms(self) -> int | None:
        if self._deadline is None:
            return None
        return max(0, math.ceil((self._deadline - time.monotonic()) * 1000))

    def _read(self) -> bool:
        data = os.read(self._output.fileno(), _READ_BYTES)
        self._record.feed(data)
        return bool(data)

    def _drain(self) -> None:
        """Read what the pipe holds, not up to its end: a process that we cannot kill may keep it open."""
        os.set_blocking(self._output.fileno(), False)
        with suppress(BlockingIOError):
            for _ in range(_LAST_READS):
                if not self._read():
                    return

    def _wait(self) -> None:
        """Take the program's exit status, with its CPU time; without waiting for what cannot be killed."""
        if self._program.returncode is None:
            pid, status, usage = os.wait4(self._program.pid, os.WNOHANG if _LINUX else 0)
            if pid:
                self._program.returncode = os.waitstatus_to_exitcode(status)
                self._cpu_s = usage.ru_utime + usage.ru_stime


def _exit_signal_of(program: "subprocess.Popen[bytes] | Warden") -> int:
    """A file descriptor that becomes readable when the program is dead; it is still to be waited for."""
    try:
        return os.pidfd_open(program.pid)
    except (AttributeError, OSError):  # not Linux, or a sandbox that knows no pidfds
        read_end, write_end = os.pipe()

    def await_death() -> None:
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        else:
            program.wait()
        os.close(write_end)

    threading.Thread(target=await_death, name=f"exit-of-{program.pid}", daemon=True).start()
    return read_end


def _end_group(program: "subprocess.Popen[bytes]") -> None:
    """Kill a quick call with its children, but let it tidy up first: a killed git leaves its locks behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, number)
        with suppress(subprocess.TimeoutExpired):
            program.wait(_TIDYING_S)
