"""Hints arrive, whoever sends them, and nobody waits for them."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from cli_multi_rapid.bus.local import LocalBus
from cli_multi_rapid.bus.memory import MemoryBus
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Branch, RunId, queue_stream
from cli_multi_rapid.ports import Bus
from tests.conftest import REPOSITORY

RUN = RunId("20261120-090000-test")
LAST = RunId("last")
PATIENCE_S = 20


def long_folder(folder: Path) -> Path:
    """A path that no socket address can hold."""
    return folder / ("long" * 30) / "state" / "bus"


BUSES: dict[str, Callable[[Path], Bus]] = {
    "memory": lambda _: MemoryBus(),
    "local": lambda folder: LocalBus(folder / "bus"),
    "local, long path": lambda folder: LocalBus(long_folder(folder)),
}


@pytest.fixture(params=BUSES)
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    bus = BUSES[request.param](tmp_path)
    yield bus
    if isinstance(bus, LocalBus):
        bus.close()


def everything_until_last(heard: "SimpleQueue[RunId]") -> set[RunId]:
    found = set()
    while (run_id := heard.get(timeout=PATIENCE_S)) != LAST:
        found.add(run_id)
    return found


def test_every_subscriber_hears_of_every_stream(bus: Bus) -> None:
    heard: list[SimpleQueue[RunId]] = [SimpleQueue(), SimpleQueue()]
    stops = [bus.subscribe(queue.put) for queue in heard]
    streams = {RUN, queue_stream(Branch("feature/ünï"))}
    for stream in [*streams, LAST]:
        bus.hint(stream)
    assert [everything_until_last(queue) for queue in heard] == [streams, streams]
    for stop in stops:
        stop()


def test_a_subscriber_is_called_from_another_thread(bus: Bus) -> None:
    threads: SimpleQueue[threading.Thread] = SimpleQueue()
    stop = bus.subscribe(lambda _: threads.put(threading.current_thread()))
    bus.hint(RUN)
    assert threads.get(timeout=PATIENCE_S) is not threading.current_thread()
    stop()


def test_who_has_left_hears_nothing(bus: Bus) -> None:
    gone: SimpleQueue[RunId] = SimpleQueue()
    here: SimpleQueue[RunId] = SimpleQueue()
    leave, stop = bus.subscribe(gone.put), bus.subscribe(here.put)
    leave()
    leave()
    bus.hint(LAST)
    everything_until_last(here)
    stop()
    with pytest.raises(Empty):
        gone.get_nowait()


def test_a_subscriber_may_leave_while_it_is_called(bus: Bus) -> None:
    left = threading.Event()
    calls: list[RunId] = []

    ready = threading.Event()

    def wake(run_id: RunId) -> None:
        ready.wait(PATIENCE_S)
        calls.append(run_id)
        stop()
        left.set()

    stop = bus.subscribe(wake)
    bus.hint(RUN)
    bus.hint(LAST)
    ready.set()
    assert left.wait(PATIENCE_S)
    bus.hint(RUN)
    stop()
    assert len(calls) == 1


def test_subscribers_come_and_go(bus: Bus) -> None:
    gone: list[SimpleQueue[RunId]] = []
    for _ in range(20):
        heard: SimpleQueue[RunId] = SimpleQueue()
        stop = bus.subscribe(heard.put)
        bus.hint(LAST)
        everything_until_last(heard)
        stop()
        gone.append(heard)
    assert all(heard.empty() for heard in gone), "who has gone is called all the same"


def test_a_hint_without_subscribers_is_fine(bus: Bus) -> None:
    bus.hint(RUN)


def test_a_hint_never_waits_for_a_busy_subscriber(bus: Bus) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def wake(_: RunId) -> None:
        busy.set()
        go_on.wait(PATIENCE_S)

    stop = bus.subscribe(wake)
    bus.hint(RUN)
    assert busy.wait(PATIENCE_S)
    for _ in range(2000):  # far more than a socket's queue holds
        bus.hint(RUN)
    go_on.set()
    stop()


SUBSCRIBER = """
import sys, threading
from pathlib import Path
from cli_multi_rapid.bus.local import LocalBus

bus = LocalBus(Path(sys.argv[1]))
bus.subscribe(lambda run_id: print(run_id, flush=True))
print("ready", flush=True)
threading.Event().wait()
"""
SENDER = """
import sys
from pathlib import Path
from cli_multi_rapid.bus.local import LocalBus

LocalBus(Path(sys.argv[1])).hint(sys.argv[2])
"""


@pytest.fixture(params=["short", "long"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "bus" if request.param == "short" else long_folder(tmp_path)


def start_subscriber(folder: Path) -> "subprocess.Popen[str]":
    program = subprocess.Popen(
        [sys.executable, "-c", SUBSCRIBER, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


def test_hints_cross_processes_in_both_directions(folder: Path) -> None:
    with start_subscriber(folder) as program, closing(LocalBus(folder)) as bus:
        heard: SimpleQueue[RunId] = SimpleQueue()
        stop = bus.subscribe(heard.put)
        bus.hint(RUN)
        assert program.stdout is not None
        assert program.stdout.readline() == f"{RUN}\n"
        subprocess.run([sys.executable, "-c", SENDER, str(folder), LAST], cwd=REPOSITORY, check=True)
        assert everything_until_last(heard) <= {RUN}
        stop()
        program.kill()


def test_the_socket_of_a_killed_process_is_removed_by_the_next_hint(folder: Path) -> None:
    with start_subscriber(folder) as program:
        os.kill(program.pid, signal.SIGKILL)
    assert [socket.name for socket in folder.iterdir()] == [f"{program.pid}-0.sock"]
    with closing(LocalBus(folder)) as bus:
        bus.hint(RUN)
    assert list(folder.iterdir()) == []


def test_sockets_are_private_and_gone_when_the_bus_is_closed(folder: Path) -> None:
    bus = LocalBus(folder)
    bus.subscribe(lambda _: None)
    bus.subscribe(lambda _: None)
    assert sorted(path.name for path in folder.iterdir()) == [f"{os.getpid()}-{n}.sock" for n in (0, 1)]
    assert folder.stat().st_mode & 0o777 == 0o700
    bus.close()
    assert list(folder.iterdir()) == []
    bus.hint(RUN)


def test_a_subscriber_that_wants_nothing_costs_nothing(folder: Path) -> None:
    """The thread sleeps in the kernel: it is not scheduled while no hint comes."""
    with start_subscriber(folder) as program, ExitStack() as at_the_end:
        at_the_end.callback(program.kill)
        threads = Path(f"/proc/{program.pid}/task")

        def switches() -> int:
            lines = [
                line
                for task in threads.iterdir()
                for line in (task / "status").read_text().splitlines()
                if line.startswith("voluntary_ctxt_switches")
            ]
            assert len(lines) == 2
            return sum(int(line.split()[1]) for line in lines)

        bus = LocalBus(folder)
        heard: SimpleQueue[RunId] = SimpleQueue()
        bus.subscribe(heard.put)
        counts = [switches()]
        for _ in range(5):  # a busy machine lets it fall asleep late, but a poller would wake up each time
            for _ in range(20):  # our own round trips take some time
                subprocess.run(["true"], check=True)
            counts.append(switches())
        assert min(later - before for before, later in pairwise(counts)) <= 1, counts
        bus.close()


def test_a_message_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    with closing(LocalBus(tmp_path / "bus")) as bus:
        heard: SimpleQueue[RunId] = SimpleQueue()
        bus.subscribe(heard.put)
        [path] = (tmp_path / "bus").iterdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"\xff\x00", str(path))
            stranger.sendto(b"", str(path))
        bus.hint(LAST)
        assert len(everything_until_last(heard)) <= 2


def test_a_folder_that_cannot_hold_a_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "bus").write_text("")
    with closing(LocalBus(tmp_path / "bus")) as bus:
        bus.hint(RUN)
        with pytest.raises(EnvironmentFault, match="no socket can be made"):
            bus.subscribe(lambda _: None)
