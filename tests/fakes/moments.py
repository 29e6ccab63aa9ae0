"""A moment between two steps: what happens at the append of a chosen fact, or at a call of git.

`start_work` has a process of its own drive a run or work on a queue, which is gone at such a moment, as by
`kill -9`, or has its lease stolen.
"""

import os
import signal
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid import git_command, process, wiring
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.engine.queue_processor import process_queue
from cli_multi_rapid.engine.session import Session
from cli_multi_rapid.engine.workshop import Workshop
from cli_multi_rapid.ports import EventLog
from tests.fakes.forks import Fork
from tests.fakes.queues import MAIN, QueueBench

PROJECT = Path(__file__).resolve().parents[2]


_LONGEST_WORK_S = 120
GIT = "git"
"""In place of the type of a fact: a call of git that writes."""
_WRITES = {"update-ref", "commit-tree", "merge", "checkout", "read-tree", "mktree", "worktree", "hash-object"}


class Moment(Struct, frozen=True, kw_only=True):
    """Right before, or right after, a fact is in the log, or git has done something."""

    type: str = ""
    """The type of the fact; empty: whatever it is; `GIT`."""
    before: bool = False
    at: int = 1
    """It is that many such facts away."""


BEFORE_THE_REFS_MOVE = Moment(type="merge.landing")
"""The landing is announced and nothing has moved."""
AFTER_THE_REFS_MOVED = Moment(type="merge.landed", before=True)
"""The target and the markers have moved, and the log does not know."""


class InterruptedLog:
    """The real log, but at a moment something else happens first. `times`: how often."""

    def __init__(
        self, log: EventLog, moment: Moment, action: Callable[[], object], *, times: int = 1
    ) -> None:
        self._log = log
        self._moment = moment
        self._action = action
        self._until = moment.at + times
        self._seen = 0

    def append(
        self,
        run_id: RunId,
        events: Sequence[NewEvent],
        *,
        expected_seq: int | None,
        fence: int | None = None,
    ) -> list[Event]:
        """Append, and let it happen when it is time."""
        wanted = any(self._moment.type in ("", event.data.type) for event in events)
        self._seen += wanted
        is_now = wanted and self._moment.at <= self._seen < self._until
        if is_now and self._moment.before:
            self._action()
        appended = self._log.append(run_id, events, expected_seq=expected_seq, fence=fence)
        if is_now and not self._moment.before:
            self._action()
        return appended

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


def interrupted(
    bench: QueueBench, moment: Moment, action: Callable[[], object], *, times: int = 1
) -> QueueBench:
    """The same bench, whose queue is interrupted at a moment."""
    return replace(bench, shop=interrupted_shop(bench.shop, moment, action, times=times))


def interrupted_shop(
    shop: Workshop, moment: Moment, action: Callable[[], object], *, times: int = 1
) -> Workshop:
    """The same workshop, whose log is interrupted at a moment."""
    log = InterruptedLog(shop.log, moment, action, times=times)
    return replace(shop, log=log)


def interrupt_git(moment: Moment, action: Callable[[], object]) -> None:
    """Let something happen at a call of git that writes, from now on in this process."""
    run, seen = process.run, count(1)

    def run_and_act(argv: Sequence[str], **how: Any) -> object:
        is_now = not _WRITES.isdisjoint(argv) and next(seen) == moment.at
        if is_now and moment.before:
            action()
        done = run(argv, **how)
        if is_now and not moment.before:
            action()
        return done

    vars(git_command)["run"] = run_and_act  # this process is there for nothing else


def start_work(folder: Path, work: str, moment: Moment, deed: str = "kill") -> int:
    """Let another process drive the latest `run`, or process the `queue`, into a moment; its return code.

    `deed`: what it does then: `kill` itself, or have another process `steal` its lease and work to the end.
    0: all was done, and perhaps the moment never came.
    """
    when = "before" if moment.before else "after"
    words = [str(folder), work, moment.type or "any", when, str(moment.at), deed]
    worker = Fork("moments", words, PROJECT)
    _, errors = worker.communicate(timeout=_LONGEST_WORK_S)
    status = worker.wait()
    assert status in (0, STOLEN, -signal.SIGKILL), errors
    return status


def kill_processor(bench: QueueBench, moment: Moment) -> None:
    """Let another process work on the queue until it is killed at a moment."""
    assert start_work(bench.repository.path, "queue", moment) == -signal.SIGKILL


STOLEN = 5
"""The return code of a process that was told that another one took over."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def break_locks(shop: Workshop) -> None:
    """What somebody does who takes the lock files of a living process away."""
    for lock in (shop.home.state / "locks").iterdir():
        lock.unlink()


def _steal(shop: Workshop, folder: Path) -> None:
    break_locks(shop)
    assert start_work(folder, "queue", Moment(at=0)) == 0


def main(folder: Path, work: str, moment: Moment, deed: str) -> int:
    """Drive the latest run of a repository, or process its queue, into the moment.

    Nodes may kill it as well: their environment has `DRIVER`, its process id.
    """
    with wiring.open_workshop(folder) as shop:
        action = _die if deed == "kill" else lambda: _steal(shop, folder)
        struck = shop
        if moment.type == GIT:
            interrupt_git(moment, action)
        else:
            struck = interrupted_shop(shop, moment, action)
        try:
            if work == "run":
                os.environ["DRIVER"] = str(os.getpid())
                Session(struck, next(s for s in shop.log.streams() if not is_queue_stream(s))).run()
            else:
                process_queue(struck, MAIN, lambda _event: None)
        except EnvironmentFault as fault:
            if "took over" not in fault.message:
                raise
            return STOLEN
    return 0


def start(words: Sequence[str]) -> int:
    """Be what `start_work` starts."""
    place, task, kind, side, number, what = words
    when = Moment(type="" if kind == "any" else kind, before=side == "before", at=int(number))
    return main(Path(place), task, when, what)
