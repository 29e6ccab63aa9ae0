"""Whoever started a run closes the window: the run goes on, or ends in order when it is told to."""

import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec import Struct, field

from tests.fakes.command_line import PACKAGE_ROOT, type_in
from tests.fakes.real_runs import Gate, make_gate, node, plan_of, saved, writes
from tests.fakes.repositories import RepositoryBuilder, make_repository

_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


class Window(Struct, kw_only=True):
    """A terminal with a program in it; what the program says is read, so that it never waits."""

    program: subprocess.Popen[bytes]
    master: int
    said: bytearray = field(default_factory=bytearray)
    _stop: tuple[int, int] = field(default_factory=os.pipe)
    _reader: threading.Thread | None = None

    def read(self) -> None:
        """Start to read."""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while self._stop[0] not in (ready := select.select([self.master, self._stop[0]], [], [])[0]):
                self.said += os.read(ready[0], 65536)

    def close(self) -> None:
        """Close the window: a program that it controls gets SIGHUP, and every write to it fails."""
        if self._reader is not None:
            os.write(self._stop[1], b".")
            self._reader.join()
            self._reader = None
            for handle in (self.master, *self._stop):
                os.close(handle)


@contextmanager
def window(repository: RepositoryBuilder, words: Sequence[object], *, controlling: bool) -> Iterator[Window]:
    """The command line in a terminal of its own, which it is controlled by or merely writes to."""
    command = [sys.executable, "-m", "cli_multi_rapid.cli.main", *map(str, words)]
    master, slave = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, *command] if controlling else command,
        cwd=repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = Window(program=program, master=master)
    shown.read()
    try:
        yield shown
    finally:
        shown.close()
        if program.poll() is None:
            program.kill()
        program.wait()


def waiting_plan(gate: Gate, arrival: Gate) -> str:
    return plan_of(node("a", f"{arrival.announce}; {gate.wait}; echo a > a.txt"), writes("b", deps=["a"]))


def gates(folder: Path) -> tuple[Gate, Gate]:
    return make_gate(folder), make_gate(folder, "arrival")


@pytest.mark.parametrize("more", [[], ["--ci"]], ids=["live view", "plain lines"])
def test_a_run_whose_terminal_is_gone_goes_on_to_its_end(
    repository: RepositoryBuilder, more: list[str]
) -> None:
    gate, arrival = gates(repository.path.parent)
    words = ["execute", saved(repository, waiting_plan(gate, arrival)), *more]
    with window(repository, words, controlling=False) as shown:
        arrival.await_arrival()
        shown.close()
        gate.open()
        assert shown.program.wait(timeout=60) == 0, shown.said.decode()
    assert repository.show("main", "b.txt") == "b\n"
    assert type_in(repository.path, "status", "--format", "json").document["status"] == "SUCCESS"


@pytest.mark.parametrize("more", [[], ["--ci"]], ids=["live view", "plain lines"])
def test_a_closed_window_interrupts_the_run_in_order_and_resume_goes_on(
    repository: RepositoryBuilder, more: list[str]
) -> None:
    gate, arrival = gates(repository.path.parent)
    words = ["execute", saved(repository, waiting_plan(gate, arrival)), *more]
    with window(repository, words, controlling=True) as shown:
        arrival.await_arrival()
        shown.close()
        assert shown.program.wait(timeout=60) == 128 + signal.SIGINT, shown.said.decode()
    left = type_in(repository.path, "status", "--format", "json").document
    assert (left["status"], left["exit_code"]) != ("RUNNING", None)

    gate.path.unlink()
    gate.path.write_text("open")
    arrival.path.unlink()
    assert type_in(repository.path, "resume").status == 0
    assert repository.show("main", "b.txt") == "b\n"
