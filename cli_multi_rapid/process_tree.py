"""The processes behind a program: those that fled into sessions of their own are found, ended and reaped.

Coding agents start their tools in new sessions, so ending a process group leaves some behind. Three traces
lead to them: the marker in their environment, their session, and their parent. As a child subreaper this
process becomes the parent of every orphan, which gives away also those that dropped the marker. What is to
end even when this process is killed has a warden of its own above it (`process_warden.py`).

This needs Linux. Elsewhere only the process group of a program is ended, and nothing is found by its marker.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.process_table import (
    Process,
    command_of,
    is_thread,
    living_processes,
    marker_of,
    next_pid,
    pids_since,
    read_process,
    self_and_ancestors,
    start_ticks,
    strangers_among,
)

_LINUX: Final = sys.platform == "linux"
_PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
_COMMAND_LENGTH: Final = 200

_LONGEST_HUNT_S: Final = 5.0
"""Seconds until we give up on processes that do not die, such as those in an uninterruptible disk wait."""

_ROUND_S: Final = 0.2
"""Seconds to wait for those that were killed before we look again."""


class Leftover(Struct, frozen=True, kw_only=True):
    """A process that outlived its program. The command may hold secrets: redact it before it is stored."""

    pid: int
    command: str
    killed: bool = True
    """False when it lives on: it belongs to another user, hangs in the kernel, or was only looked for."""


def become_subreaper() -> bool:
    """Adopt all orphans among our descendants from now on, wardens among them.

    Returns whether the system can do that. The orphans of supervised programs are reaped by `Family.end`.
    """
    if not _LINUX:
        return False
    import ctypes  # noqa: PLC0415  # several ms that `--help` need not pay

    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def find_marked(prefix: str) -> tuple[Leftover, ...]:
    """The living processes whose marker is `prefix` or lies below it: `a/b` covers `a/b/1`, never `a/bc`."""
    marked = _marked(prefix, living_processes(), self_and_ancestors())
    return tuple(replace(_leftover(process), killed=False) for process in marked)


def kill_marked(prefix: str) -> tuple[Leftover, ...]:
    """Kill what a crashed run left behind: the processes of `find_marked` and all their descendants.

    Spares this process and its ancestors, for `resume` may be called from inside an agent.
    Returns what was found; `killed` tells whether it is gone.
    """
    spared = self_and_ancestors()

    def quarry() -> list[Process]:
        living = living_processes()
        return _with_descendants(_marked(prefix, living, spared), living, spared)

    hunt = _Hunt()
    hunt.run(quarry)
    return tuple(hunt.found.values())


class Family:
    """All processes of one supervised program, told from those of the others that run beside it.

    A process belongs to it by its marker, by its session, or by descent from one that does. An orphan that we
    adopted and that has no marker any more is ended by the last family that runs: until then it might be
    another's. It is taken for granted that no other code of this process starts sessions.
    """

    def __init__(self, marker: str) -> None:
        self.marker = marker
        self.began = time.monotonic()
        self.first = next_pid()
        """All its processes have this id or a later one. No leader's: who enters first may start last."""
        self.leader = 0
        """The process that leads its session; 0 while it is being started."""
        self.program = 0
        """The program's own process: the leader, or a child of it."""
        self.cpu_s = 0.0
        """CPU seconds of the orphans that were reaped. Those of the leader are told by its own wait."""
        self.ended = False
        """Whether it was searched for the last time. Set under the roster's lock."""
        self._hunt = _Hunt()

    def __enter__(self) -> "Family":
        _ROSTER.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        _ROSTER.leave(self)

    @property
    def leftovers(self) -> tuple[Leftover, ...]:
        """What `end` found beside the leader."""
        return tuple(self._hunt.found.values())

    def signal_group(self, number: signal.Signals, *, behind: bool = False) -> None:
        """Send a signal to the leader's process group. Only before the leader is waited for.

        `behind`: to the session that a child of the program leads. A sandbox that is not that far yet has
        started nothing, and gets the signal itself.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._session_behind() if behind else self.leader, number)

    def _session_behind(self) -> int:
        children = (process for process in living_processes() if process.parent == self.program)
        return next((child.pid for child in children if child.session == child.pid), self.leader)

    def end(self) -> None:
        """Kill whatever is left of the family, leader included, and reap the orphans among it.

        Only before the leader is waited for: as long as it is a zombie its ids cannot be given out again.
        """
        if not self.leader:
            return
        if _LINUX:
            self._hunt.run(self._quarry, expected=(self.leader, self.program))
        else:
            self.signal_group(signal.SIGKILL)

    def _quarry(self) -> list[Process]:
        with _ROSTER.lock:
            oldest = _ROSTER.oldest_if_alone(self)
            since = oldest or self
            strangers = strangers_among(pids_since(since.first, time.monotonic() - since.began))
            self._reap(process for process in strangers if process.dead)
            living = [process for process in strangers if not process.dead]
            adopted_from = start_ticks(oldest.began) if oldest else sys.maxsize
            own = [process for process in living if self._owns(process, adopted_from)]
            family = _with_descendants(own, living, (os.getpid(),)) if own else []
            family = [process for process in family if not is_thread(process.pid)]
            self.ended = not family
            return family

    def _owns(self, process: Process, adopted_from: int) -> bool:
        if process.session in _ROSTER.leaders():
            return process.session == self.leader
        marker = marker_of(process)
        if marker == self.marker:
            return True
        is_adopted = process.parent == os.getpid() and process.started >= adopted_from
        return is_adopted and not _ROSTER.knows(marker)

    def _reap(self, dead: Iterable[Process]) -> None:
        for process in dead:
            if process.parent == os.getpid() and _ROSTER.may_reap(process, self):
                self.cpu_s += _reap(process.pid)


class _Roster:
    """The families that are running. One for the whole process, because so is the table of its children."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._families: dict[str, Family] = {}
        self._oldest: Family | None = None
        self._unclear: set[int] = set()

    def enter(self, family: Family) -> None:
        with self.lock:
            if family.marker in self._families:
                raise InternalError(f"the marker {family.marker} is in use by a running program")
            if all(other.ended for other in self._families.values()):
                self._oldest = family
            self._families[family.marker] = family

    def leave(self, family: Family) -> None:
        with self.lock:
            del self._families[family.marker]
            leaders = self.leaders()
            if 0 not in leaders:
                for pid in self._unclear - leaders:
                    _reap(pid)
                self._unclear.clear()

    def oldest_if_alone(self, family: Family) -> Family | None:
        """If it is the last that is not at its end, the first one of those that ran without a break."""
        is_alone = all(other.ended or other is family for other in self._families.values())
        return self._oldest if is_alone else None

    def knows(self, marker: str) -> bool:
        return marker in self._families

    def leaders(self) -> set[int]:
        return {family.leader for family in self._families.values()}

    def may_reap(self, process: Process, family: Family) -> bool:
        """Whether a dead child of ours is an orphan, and not a program whose own call waits for it.

        While a program is being started its leader is unknown: what might be it is looked at again later.
        """
        leaders = self.leaders()
        if process.session == family.leader:
            return process.pid not in leaders
        if 0 in leaders and process.pid == process.session:
            self._unclear.add(process.pid)
            return False
        return process.session not in leaders


_ROSTER: Final = _Roster()


class _Hunt:
    """Kills in rounds until no quarry is left: what was forked during one round is found in the next."""

    def __init__(self) -> None:
        self.found: dict[int, Leftover] = {}

    def run(self, quarry: Callable[[], list[Process]], *, expected: Collection[int] = ()) -> None:
        """Look and kill until nothing is seen. `expected`: the program; it dies too, but is no leftover."""
        deadline = time.monotonic() + _LONGEST_HUNT_S
        while living := quarry():
            for process in living:
                if process.pid not in expected and process.pid not in self.found:
                    self.found[process.pid] = _leftover(process)
            refused = _kill_all(living)
            # At once: when its parent is dead nothing may lead us to it any more.
            self._spare(refused)
            if len(refused) == len(living):
                return
            if time.monotonic() > deadline:
                self._spare(living)
                return

    def _spare(self, living: Iterable[Process]) -> None:
        for process in living:
            self.found[process.pid] = replace(_leftover(process), killed=False)


def _reap(pid: int) -> float:
    """Take a dead child's status; its CPU seconds. Never waitpid(-1): it would rob others of theirs."""
    try:
        _, _, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return 0.0
    return usage.ru_utime + usage.ru_stime


def _kill_all(processes: Iterable[Process]) -> list[Process]:
    """Kill what we may and wait a moment for its death; return those that we may not kill."""
    refused, waiting = [], set()
    for process in processes:
        death = _kill(process)
        if death is None:
            refused.append(process)
        elif death >= 0:
            waiting.add(death)
    watch = select.poll()
    for death in waiting:
        watch.register(death, select.POLLIN)
    deadline = time.monotonic() + _ROUND_S
    while waiting and (left := deadline - time.monotonic()) > 0:
        for death, _ in watch.poll(left * 1000):
            watch.unregister(death)
            os.close(death)
            waiting.discard(death)
    for death in waiting:
        os.close(death)
    return refused


def _kill(process: Process) -> int | None:
    """Kill a process and the group it leads. Returns its pidfd, -1 for none, or None if we may not kill it.

    The second look, with the pidfd open, makes sure that the id was not given to another process since.
    """
    try:
        death = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return -1
    except (OSError, AttributeError):  # a kernel, a sandbox or a libc without pidfds
        death = -1
    try:
        now = read_process(process.pid)
        if now is not None and now.started == process.started:
            os.kill(process.pid, signal.SIGKILL)
            if process.group == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return death
    except PermissionError:
        if death >= 0:
            os.close(death)
        return None
    return death


def _marked(prefix: str, processes: Iterable[Process], spared: Collection[int]) -> list[Process]:
    prefix = prefix.rstrip("/") + "/"
    if prefix == "/":
        raise InternalError("an empty marker would match every process")
    candidates = (process for process in processes if process.pid not in spared)
    return [process for process in candidates if f"{marker_of(process)}/".startswith(prefix)]


def _with_descendants(
    roots: Iterable[Process], living: Iterable[Process], spared: Collection[int]
) -> list[Process]:
    children: dict[int, list[Process]] = {}
    for process in living:
        children.setdefault(process.parent, []).append(process)
    family = {process.pid: process for process in roots}
    queue = list(family)
    while queue:
        for child in children.get(queue.pop(), ()):
            if child.pid not in family and child.pid not in spared:
                family[child.pid] = child
                queue.append(child.pid)
    return list(family.values())


def _leftover(process: Process) -> Leftover:
    return Leftover(pid=process.pid, command=command_of(process.pid)[:_COMMAND_LENGTH] or "unknown")
