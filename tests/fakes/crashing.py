"""A child process that drives the latest run and kills itself at a chosen append."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from cli_multi_rapid import wiring
from cli_multi_rapid.core.events import Event, NewEvent
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.engine.session import Session
from cli_multi_rapid.ports import EventLog


class CrashingLog:
    """The real log, until the n-th append; then this process is gone as by `kill -9`."""

    def __init__(self, log: EventLog, at: int, *, before: bool) -> None:
        self._log = log
        self._left = at
        self._before = before

    def append(
        self,
        run_id: RunId,
        events: Sequence[NewEvent],
        *,
        expected_seq: int | None,
        fence: int | None = None,
    ) -> list[Event]:
        """Append, and die when it is time."""
        self._left -= 1
        if self._left == 0 and self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        appended = self._log.append(run_id, events, expected_seq=expected_seq, fence=fence)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return appended

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


def main(repository: Path, at: int, before: bool) -> None:
    """Drive the latest run of a repository into its crash; exits with 0 when it never came to it."""
    with wiring.open_workshop(repository) as shop:
        run_id = next(stream for stream in shop.log.streams() if not is_queue_stream(stream))
        log = CrashingLog(shop.log, at, before=before)
        Session(replace(shop, log=log), run_id).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "before")
