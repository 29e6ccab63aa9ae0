"""Programs of this project in processes of their own, without the start of an interpreter.

A hundred tests need another process at work, and its imports would cost each of them a sixth of a second of a
processor: here a server that has imported everything forks it. As a module it is that server. It has no
threads: deaths are told to it on a pipe, beside the errands that it waits for.
"""

import atexit
import gc
import importlib
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, NoReturn

from msgspec import Struct
from msgspec.json import decode, encode

import cli_multi_rapid
from cli_multi_rapid.git_discovery import find_git

_PROJECT: Final = Path(__file__).resolve().parents[2]
_ENTRIES: Final = {
    "cli-orchestrator": "cli_multi_rapid.cli.main:main",
    "moments": "tests.fakes.moments:start",
    "drivers": "tests.fakes.drivers:start",
}
"""Programs: what is called with the words of the command line, and returns the exit code."""
_UNNEEDED: Final = (
    *("web", "schema.published", "adapters.run_", "process_warden", "__main__"),
    *(
        "store.projections",
        "store.queries",
        "store.read_models",
        "store.tables",
    ),  # they double what a fork copies
)
_MOST_BYTES: Final = 1 << 20
_NUMBER: Final = 4
"""Bytes of a process id or a return code on their way from the server."""


class _Errand(Struct, frozen=True, kw_only=True):
    program: str
    words: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]


# --- seen from a test ---------------------------------------------------------------------------------------


class Fork:
    """A program at work, to be used like a `subprocess.Popen` with text in pipes and nothing on stdin."""

    def __init__(
        self,
        program: str,
        words: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        errand = _Errand(
            program=program,
            words=tuple(map(str, words)),
            folder=str(folder),
            environment={**os.environ, **(environment or {})},
        )
        pipes = [os.pipe() for _ in range(3)]
        theirs = [writing for _, writing in pipes]
        socket.send_fds(_server(), [encode(errand)], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.stdout, self.stderr, self._end = (os.fdopen(reading, "rb", buffering=0) for reading, _ in pipes)
        self.pid = self._next_number()
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it is known to have ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Its return code, once it has ended."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Its return code, when it has ended. Raises `TimeoutExpired`."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self.returncode = self._next_number()
            self._end.close()
        return self.returncode

    def _next_number(self) -> int:
        said = self._end.read(_NUMBER)
        assert said, "the server of the forks is gone"  # and no zero, which would be a success
        return int.from_bytes(said, "little", signed=True)

    def read_line(self) -> str:
        """The next line on its stdout, when it is there; empty when there is none any more."""
        return self.stdout.readline().decode()

    def read_complaint(self) -> str:
        """The next line on its stderr, in the same way."""
        return self.stderr.readline().decode()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """All that it writes, when it has ended. Raises `TimeoutExpired`."""
        said: dict[object, bytes] = {self.stdout: b"", self.stderr: b""}
        until = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for pipe in (self.stdout, self.stderr):
                if not pipe.closed:
                    selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, until - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout)
                for key, _ in ready:
                    if part := os.read(key.fd, _MOST_BYTES):
                        said[key.fileobj] += part
                    else:
                        selector.unregister(key.fileobj)
        self.close()
        self.wait(max(0.0, until - time.monotonic()))
        return said[self.stdout].decode(), said[self.stderr].decode()

    def close(self) -> None:
        """Listen no more."""
        self.stdout.close()
        self.stderr.close()


@cache
def _server() -> socket.socket:
    """The way to the server of this process, which ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(theirs.fileno())],
        cwd=_PROJECT,
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


# --- the server ---------------------------------------------------------------------------------------------


def _serve(way: socket.socket) -> None:
    """Fork what is asked for and tell of each beginning and end, until nobody can ask any more."""
    ends: dict[int, int] = {}
    deaths, knell = os.pipe()
    os.set_blocking(knell, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(knell)
    with selectors.DefaultSelector() as selector:
        selector.register(way, selectors.EVENT_READ)
        selector.register(deaths, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if deaths in ready:
                os.read(deaths, _MOST_BYTES)
                _tell_of_the_dead(ends)
            if way in ready:
                message, descriptors, _, _ = socket.recv_fds(way, _MOST_BYTES, 3)
                if not message:
                    return
                child, end = _fork(decode(message, type=_Errand), *descriptors)
                ends[child] = end


def _fork(errand: _Errand, out: int, err: int, end: int) -> tuple[int, int]:
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _be(errand, out, err)
    os.close(out)
    os.close(err)
    _tell(end, child)
    return child, end


def _tell_of_the_dead(ends: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (death := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            end = ends.pop(death[0])
            _tell(end, os.waitstatus_to_exitcode(death[1]))
            os.close(end)


def _tell(end: int, number: int) -> None:
    with suppress(BrokenPipeError):
        os.write(end, number.to_bytes(_NUMBER, "little", signed=True))


def _be(errand: _Errand, out: int, err: int) -> NoReturn:
    """Be the program."""
    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(errand.environment)
        os.chdir(errand.folder)
        tempfile.tempdir = None
        time.tzset()
        module, _, name = _ENTRIES[errand.program].partition(":")
        sys.argv = [module, *errand.words]
        status = getattr(importlib.import_module(module), name)(list(errand.words))
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:  # noqa: BLE001  # a program that fails tells why and ends; it does not go on as the server
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _load_everything() -> None:
    for module in pkgutil.walk_packages(cli_multi_rapid.__path__, "cli_multi_rapid."):
        if not any(module.name.startswith(f"cli_multi_rapid.{name}") for name in _UNNEEDED):
            importlib.import_module(module.name)
    for entry in _ENTRIES.values():
        importlib.import_module(entry.partition(":")[0])
    find_git(os.environ)  # its version is asked once for all programs


if __name__ == "__main__":
    _load_everything()
    gc.freeze()  # no child looks through all of it for garbage
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c is for the programs
    _serve(socket.socket(fileno=int(sys.argv[1])))
