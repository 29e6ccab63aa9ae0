"""A moment between two steps of the merge queue: what happens at the append of a chosen fact.

As a module it is a process that works on a queue and is gone at such a moment, as by `kill -9`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid import wiring
from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.ids import Branch, RunId
from cli_multi_rapid.engine.queue_processor import process_queue
from cli_multi_rapid.engine.workshop import Workshop
from cli_multi_rapid.ports import EventLog
from tests.fakes.queues import MAIN, QueueBench

PROJECT = Path(__file__).resolve().parents[2]


class Moment(Struct, frozen=True, kw_only=True):
    """Right before, or right after, a fact of this type is in the log."""

    type: str
    before: bool = False


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
        self._left = times

    def append(
        self,
        run_id: RunId,
        events: Sequence[NewEvent],
        *,
        expected_seq: int | None,
        fence: int | None = None,
    ) -> list[Event]:
        """Append, and let it happen when it is time."""
        is_now = self._left > 0 and any(event.data.type == self._moment.type for event in events)
        if is_now and self._moment.before:
            self._happen()
        appended = self._log.append(run_id, events, expected_seq=expected_seq, fence=fence)
        if is_now and not self._moment.before:
            self._happen()
        return appended

    def _happen(self) -> None:
        self._left -= 1
        self._action()

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


def kill_processor(bench: QueueBench, moment: Moment) -> None:
    """Let another process work on the queue until it is killed at a moment."""
    when = "before" if moment.before else "after"
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.moments", str(bench.repository.path), moment.type, when],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(repository: Path, moment: Moment, target: Branch = MAIN) -> None:
    """Work on the queue of a repository into the moment."""
    with wiring.open_workshop(repository) as shop:
        process_queue(interrupted_shop(shop, moment, _die), target, lambda _event: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Moment(type=sys.argv[2], before=sys.argv[3] == "before"))
