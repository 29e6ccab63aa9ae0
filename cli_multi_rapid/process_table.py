"""What /proc says about the processes of this machine; empty answers where there is no /proc."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

MARKER_VARIABLE: Final = "CLI_ORCHESTRATOR_MARKER"
"""Tells to which attempt a process belongs, for instance `<run>/<node>/<attempt>`. Children inherit it."""

_LINUX: Final = sys.platform == "linux"
_MARKER_KEY: Final = b"\0" + MARKER_VARIABLE.encode() + b"="

_NO_SESSION: Final = 0
"""The session of the kernel's threads, and of what entered a container without a session of its own there."""

_KERNEL_THREAD: Final = 0x00200000
"""PF_KTHREAD among the flags of proc(5) stat (linux/sched.h): a thread of the kernel has no environment."""

_TRUSTED_AGE_S: Final = 1.0
"""Seconds in which process ids cannot have gone once round (the smallest usual range is 32768)."""


_LONGEST_EXEC_MS: Final = 200
"""Milliseconds that we wait for a process in an exec to show itself again. A descheduled one needs some."""


class Process(Struct, frozen=True, kw_only=True):
    """One process as it was when we looked."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    """Clock ticks since boot; with the pid it identifies a process for ever."""
    dead: bool
    kernel: bool
    """It is a thread of the kernel, not a program."""


def next_pid() -> int:
    """The least id that the next process can get, unless the ids begin anew."""
    return _last_pid() + 1


def pids_since(first: int, age_s: float) -> Iterator[int]:
    """The ids given out from `first` on, `age_s` ago; possibly also those of threads and older processes.

    Ids are given out in ascending order, so for a young program this is a short range. A list of all
    processes would cost more than the rest of a short check, and many kernels lack proc(5) children.
    """
    last = _last_pid()
    if 0 < first <= last and age_s < _TRUSTED_AGE_S:
        upcoming = first
    else:
        yield from _all_pids()
        upcoming = last + 1
    # What is forked while we look gets a higher id: a few more looks catch it.
    for _ in range(8):
        yield from range(upcoming, last + 1)
        upcoming, last = last + 1, _last_pid()
        if last < upcoming:
            return


def living_processes() -> list[Process]:
    """Every process that we can see, the kernel's own left out."""
    processes = (read_process(pid) for pid in _all_pids())
    return [process for process in processes if process and not process.dead and not process.kernel]


def strangers_among(pids: Iterable[int]) -> list[Process]:
    """The processes outside our own session: what left it with a session of its own can never come back."""
    own_session = os.getsid(0)
    found = []
    for pid in pids:
        try:
            if os.getsid(pid) in (own_session, _NO_SESSION):
                continue
        except OSError:
            continue
        process = read_process(pid)
        if process is not None:
            found.append(process)
    return found


def read_process(pid: int) -> Process | None:
    """One process, from proc(5) stat; None if it is gone."""
    # The command's name may hold blanks and parentheses, so fields count from its end.
    fields = _contents(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    if len(fields) < 20:
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
        # A main thread that ended before its siblings looks like a zombie, but the process lives.
        dead=fields[0] in (b"Z", b"X") and int(fields[17]) <= 1,
        kernel=bool(int(fields[6]) & _KERNEL_THREAD),
    )


def is_thread(pid: int) -> bool:
    """Whether the id names a thread that is not its process's first; /proc answers for those as well."""
    return f"\nTgid:\t{pid}\n".encode() not in _contents(f"/proc/{pid}/status")


def marker_of(process: Process) -> str:
    """The marker in a process's environment; empty if it has none or we may not look.

    In the middle of an exec a process shows neither environment nor command: then we look again a little
    later, for otherwise it would escape us just when it starts.
    """
    looks_alike = 0
    for _ in range(_LONGEST_EXEC_MS):
        environ = _contents(f"/proc/{process.pid}/environ")
        if environ:
            return (b"\0" + environ).partition(_MARKER_KEY)[2].partition(b"\0")[0].decode("utf-8", "replace")
        if _contents(f"/proc/{process.pid}/cmdline"):
            looks_alike += 1
            if looks_alike == 2:
                break
            continue
        now = read_process(process.pid)
        if now is None or now.dead:
            break
        time.sleep(0.001)
    return ""


def command_of(pid: int) -> str:
    """The command line of a process, words parted by blanks; empty if it is gone."""
    return _contents(f"/proc/{pid}/cmdline").replace(b"\0", b" ").strip().decode("utf-8", "replace")


def self_and_ancestors() -> set[int]:
    """The ids of this process, its parent, and so on up."""
    chain: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in chain:
        chain.add(pid)
        process = read_process(pid)
        pid = process.parent if process else 0
    return chain


def start_ticks(monotonic: float) -> int:
    """A `time.monotonic()` on the scale of `Process.started`, rounded down (a step is 10 ms)."""
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - (time.monotonic() - monotonic)
    return int(since_boot * os.sysconf("SC_CLK_TCK")) - 1


def _last_pid() -> int:
    """The id given out last in our pid namespace, from proc(5) loadavg; 0 where that is not told."""
    return int(_contents("/proc/loadavg").rpartition(b" ")[2] or 0)


def _all_pids() -> list[int]:
    if not _LINUX:
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  # twice as fast


def _contents(path: str) -> bytes:
    """A file of /proc; empty if the process is gone or not ours to look at."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        pieces = []
        while piece := os.read(file, 1 << 17):
            pieces.append(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        os.close(file)
