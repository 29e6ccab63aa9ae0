"""The orchestrator's side of `process_warden`: the steward that stands ready, and the wardens it forks."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.process_table import MARKER_VARIABLE
from cli_multi_rapid.process_tree import become_subreaper

_WARDEN: Final = Path(__file__).with_name("process_warden.py")
_FOR_THE_INTERPRETER: Final = ("LD_LIBRARY_PATH", MARKER_VARIABLE)
"""Of our own environment, what the steward's interpreter may need, and what tells whose we are ourselves; all
else of it is the programs'."""
_PASSED_ON: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""The signals that a program ignores if we do, because `nohup` or a shell asked for it."""
_PATIENCE_S: Final = 1.0
"""Seconds to wait for the end of a steward that was dismissed; it has nothing to finish."""
_LONGEST_WAIT_S: Final = 30.0
"""Seconds until a steward that does not answer is taken for one that somebody has stopped."""
_ATTEMPTS: Final = 5
"""How many stewards in a row may die of one request until we say that there cannot be one."""
_ANSWER_BYTES: Final = 8


class Warden:
    """The process above one program, as a child of ours: to be waited for like any other."""

    def __init__(self, pid: int, output: IO[bytes], lifeline: socket.socket) -> None:
        self.pid = pid
        """It leads a session and a process group, once it has started its program."""
        self.stdout: IO[bytes] | None = output
        """What the program writes, until the last of its processes closes it."""
        self.returncode: int | None = None
        """Set by whoever waits for it."""
        self.lifeline = lifeline
        """When this end closes, it kills the program and all that came of it."""

    def start(self, order: bytes) -> int:
        """Have it start the program of an `order_of`; the program's id. Raises `OSError` as the start would.

        When it died from a signal before it could answer, the id is its own.
        """
        answer = b""
        with suppress(OSError):  # it died; its end says no more than that
            self.lifeline.sendall(order)
            answer = _answer(self.lifeline)
        if not answer and self._was_killed():
            return self.pid  # by the program, before it could say so: how it ended is told as of any other
        return _pid_in(answer)

    def give_up(self) -> None:
        """End it when it has not started anything."""
        self.lifeline.close()
        if self.stdout is not None:
            self.stdout.close()
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Take its exit status."""
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def _was_killed(self) -> bool:
        """Whether it, which closed its socket, died from a signal; it stays to be waited for."""
        end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return end is not None and end.si_code != os.CLD_EXITED


class Steward:
    """A process that stands ready to fork wardens; started for the first, and again if it died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def stand_ready(self) -> None:
        """Start it now, so that it is up when the first warden is asked for; does nothing but on Linux."""
        if sys.platform == "linux":
            with self._lock, suppress(OSError):  # whoever asks for a warden will be told
                self._channel()

    def warden(self) -> Warden:
        """A new warden, below us. Makes us a child subreaper, or it would be nobody's. Linux only.

        Raises `OSError` when there cannot be another process or pipe, `EnvironmentFault` when the interpreter
        cannot run it.
        """
        become_subreaper()
        with self._lock:
            for _ in range(_ATTEMPTS):  # a steward can be killed like any process
                ours, theirs = socket.socketpair()
                output, written = os.pipe()
                with ExitStack() as unless_it_lives:
                    unless_it_lives.callback(ours.close)
                    unless_it_lives.callback(os.close, output)
                    answer = self._ask(ours, theirs, written)
                    if answer:
                        pid = _pid_in(answer)
                        unless_it_lives.pop_all()
                        return Warden(pid, os.fdopen(output, "rb", buffering=0), ours)
        raise _no_answer()

    def dismiss(self) -> None:
        """End it; its wardens live on."""
        with self._lock:
            self._forget()

    def _ask(self, ours: socket.socket, theirs: socket.socket, output: int) -> bytes:
        """Have a warden forked that takes the latter two; what the steward says, if it can.

        Else there may be a warden that nobody has told us of: it ends because ours is closed.
        """
        answer = b""
        try:
            asked = self._channel()
            try:
                with suppress(ConnectionError, TimeoutError):
                    socket.send_fds(asked, [b"\0"], [theirs.fileno(), output])
                    answer = _answer(asked)
            finally:
                if not answer:  # also if we were interrupted: what it says now is for nobody
                    ours.close()
                    self._forget()
        finally:
            theirs.close()
            os.close(output)
        return answer

    def _channel(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_WARDEN), str(theirs.fileno())],
                    cwd="/",
                    env={name: os.environ[name] for name in _FOR_THE_INTERPRETER if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    process_group=0,  # in our own session: a stranger might be taken for an orphan
                )
            ours.settimeout(_LONGEST_WAIT_S)
            self._control = ours
        return self._control

    def _forget(self) -> None:
        """Let this one go: the next warden is another's."""
        if self._control is None or self._process is None:
            return
        self._control.close()
        self._control = None
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it was stopped
            self._process.wait()
        _reap_group(self._process.pid)


STEWARD: Final = Steward()
"""One for the whole process, because so is the table of its children."""
atexit.register(STEWARD.dismiss)


def order_of(argv: Sequence[str], cwd: Path | None, env: Mapping[str, str]) -> bytes:
    """What a warden reads. Raises `ValueError` for what no program can be given."""
    ignored = (str(int(number)) for number in _PASSED_ON if signal.getsignal(number) is signal.SIG_IGN)
    settings = (f"{name}={value}" for name, value in env.items())
    folder = str((cwd or Path()).absolute())  # ours is not the steward's
    words = [os.fsencode(word) for word in (folder, " ".join(ignored), str(len(argv)), *argv, *settings)]
    if any(b"\0" in word for word in words):
        raise ValueError("embedded null byte")
    order = b"\0".join(words)
    return len(order).to_bytes(8, "big") + order


def _reap_group(steward: int) -> None:
    """Take what a steward was just forking when it died: children of ours since, and as good as dead."""
    deadline = time.monotonic() + _PATIENCE_S
    with suppress(ChildProcessError):  # no more of them
        while time.monotonic() < deadline:
            pid, _ = os.waitpid(-steward, os.WNOHANG)
            if not pid:
                time.sleep(0.001)


def _answer(asked: socket.socket) -> bytes:
    """A process id and an error number; nothing from what died before it could say all of it."""
    answer = b""
    while len(answer) < _ANSWER_BYTES:
        try:
            piece = asked.recv(_ANSWER_BYTES - len(answer))
        except ConnectionError:
            return b""
        if not piece:
            return b""
        answer += piece
    return answer


def _pid_in(answer: bytes) -> int:
    """Raises the `OSError` that is in it instead, `EnvironmentFault` when there is no answer."""
    if not answer:
        raise _no_answer()
    failure = int.from_bytes(answer[4:], "big")
    if failure:
        raise OSError(failure, os.strerror(failure))
    return int.from_bytes(answer[:4], "big")


def _no_answer() -> EnvironmentFault:
    return EnvironmentFault(f"{sys.executable} cannot run {_WARDEN}, which starts programs")
