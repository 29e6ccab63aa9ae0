"""Hints between the processes of one machine: a datagram to every socket in a folder."""

import errno
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import RunId

_LONGEST_ADDRESS = 107
"""Bytes of a unix socket's path on Linux, without the closing NUL (unix(7))."""

_LONGEST_HINT = 4096
_MOST_AT_ONCE = 1000


class LocalBus:
    """Every subscriber listens on its own socket `<pid>-<n>.sock` in one folder; a hint goes to all of them.

    Hints are lost when a subscriber's queue is full or it starts a moment later: readers catch up from the
    log. A socket whose process died is removed by the next hint. A folder whose path is too long for a socket
    address is reached through `/proc/self/fd`, so that all processes meet in the same folder nevertheless.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._listeners: list[_Listener] = []

    def hint(self, run_id: RunId) -> None:
        """Say that a stream has news. Never fails, never waits."""
        message = run_id.encode("utf-8", "surrogateescape")
        with suppress(OSError):  # no folder: nobody listens
            with os.scandir(self._folder) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(".sock")]
            if names:
                with _Address(self._folder) as address:
                    for name in names:
                        self._send(message, address.of(name), self._folder / name)

    def subscribe(self, wake: Callable[[RunId], None]) -> Callable[[], None]:
        """Call `wake` from a thread of its own on every hint; hints of one stream may come as one call.

        The returned function ends that and waits for a call in progress. `wake` must not raise.
        Raises `EnvironmentFault` when the folder cannot hold a socket.
        """
        try:
            listener = _Listener(self._folder, wake)
        except OSError as error:
            raise EnvironmentFault(
                f"no socket can be made in {self._folder}: {error.strerror or error}",
                hint="it must be writable and lie on a local disk; --home names another place",
            ) from error
        self._listeners = [*(known for known in self._listeners if not known.stopped), listener]
        return listener.stop

    def close(self) -> None:
        """End all subscriptions and hints."""
        for listener in self._listeners:
            listener.stop()
        self._sender.close()

    def _send(self, message: bytes, address: str, path: Path) -> None:
        try:
            self._sender.sendto(message, address)
        except ConnectionRefusedError:  # its process is dead: a live one is bound before its name appears
            with suppress(OSError):
                path.unlink()
        except OSError:
            # A full queue: the subscriber wakes up anyway. Or the socket went away just now.
            return


class _Address:
    """Socket addresses of the names in a folder, however long its path is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def __enter__(self) -> "_Address":
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def of(self, name: str) -> str:
        """The address of one name, good while the block lasts."""
        path = str(self._folder / name)
        if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
            return path
        if self._handle is None:
            self._handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._handle}/{name}"


class _Listener:
    """A bound socket and the thread that waits at it, without ever looking at a clock."""

    def __init__(self, folder: Path, wake: Callable[[RunId], None]) -> None:
        self._wake = wake
        self._turn = threading.Lock()
        self._stopping = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._path = self._bind(folder)
        except BaseException:
            self._socket.close()
            raise
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name=f"bus {self._path.stem}", daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> bool:
        """Whether it calls nobody any more."""
        return self._stopping

    def stop(self) -> None:
        """End the thread, which removes the socket; safe to call twice, and from `wake` itself."""
        with self._turn:
            if not self._stopping:
                self._stopping = True
                os.eventfd_write(self._end, 1)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _bind(self, folder: Path) -> Path:
        number = 0
        with _Address(folder) as address:
            while True:
                path = folder / f"{os.getpid()}-{number}.sock"
                try:
                    self._socket.bind(address.of(path.name))
                    return path
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
                number += 1

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._end, select.POLLIN)
        try:
            while not self._stopping:
                try:
                    poll.poll()
                except (
                    OSError
                ):  # fewer files may be open than we wait for: whoever works looks by itself then
                    return
                for run_id in self._hints():
                    if not self._stopping:
                        self._wake(run_id)
        finally:
            self._free()

    def _hints(self) -> list[RunId]:
        """What is waiting, each stream once, in order."""
        found: dict[RunId, None] = {}
        with suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                message = self._socket.recv(_LONGEST_HINT)
                found[RunId(message.decode("utf-8", "surrogateescape"))] = None
        return list(found)

    def _free(self) -> None:
        with self._turn:
            self._stopping = True  # also when `wake` raised: nobody may write to a closed handle
            os.close(self._end)
        self._socket.close()
        with suppress(OSError):  # read-only by now: who hints next finds that nobody listens
            self._path.unlink()
