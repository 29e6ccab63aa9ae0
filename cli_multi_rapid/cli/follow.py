"""Following a stream while it grows: woken by the bus, with a slow look at the log as the net."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.core.run_events import RunFinished, RunStarted

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records

NET_S: Final = 1.0
"""Hints are lossy and a driver may die without a word: look again after this long."""


class Follower:
    """The events of one stream as they come, until the run rests or nobody drives it any more.

    The stream of a queue never rests: who follows it stops by leaving.
    """

    def __init__(self, records: "Records", stream: RunId, wakes: "SimpleQueue[None]") -> None:
        self._records = records
        self._stream = stream
        self._wakes = wakes
        self._seq = 0
        self._finished: RunFinished | None = None

    @property
    def finished(self) -> RunFinished | None:
        """How the run came to rest; None while it has not, or its process died."""
        return self._finished

    def skip(self, events: list[Event]) -> None:
        """Take events as told already."""
        for event in events:
            self._note(event)

    def batches(self) -> Iterator[list[Event]]:
        """The news, as often as there are some; an empty batch is only a chance to look around.

        A run is given up when two looks, a while apart, find no event and no driver.
        """
        abandoned = False
        while True:
            news = self._records.log.read(self._stream, self._seq)
            self.skip(news)
            yield news
            if self._finished is not None:
                return
            if not is_queue_stream(self._stream) and not news:
                if self._records.leases.holder(self._stream) is not None:
                    abandoned = False
                elif abandoned:
                    return
                else:
                    abandoned = True
            self._wait()

    def _note(self, event: Event) -> None:
        self._seq = event.seq
        if isinstance(event.data, RunFinished):
            self._finished = event.data
        elif isinstance(event.data, RunStarted):
            self._finished = None

    def _wait(self) -> None:
        try:
            self._wakes.get(timeout=NET_S)
        except Empty:
            return
        while not self._wakes.empty():
            self._wakes.get_nowait()


@contextmanager
def following(records: "Records", stream: RunId) -> Iterator[Follower]:
    """A follower that hears of news at once; it listens before it reads, so that nothing falls between."""
    wakes: SimpleQueue[None] = SimpleQueue()

    def wake(told: RunId) -> None:
        if told == stream:
            wakes.put(None)

    unsubscribe = records.bus.subscribe(wake)
    try:
        yield Follower(records, stream, wakes)
    finally:
        unsubscribe()
