"""Signals become messages, so that a loop ends in order: work saved, processes gone, leases given back."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli_multi_rapid.engine.inbox import Inbox, Interrupted


@contextmanager
def signals_to(inbox: Inbox) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP become messages. The second one is not waited for. Main thread only."""
    seen: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        inbox.put(Interrupted(signal_name=signal.Signals(number).name))

    before = {
        number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
