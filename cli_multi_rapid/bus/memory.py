"""Hints between the threads of one process: the same contract as between processes, for tests."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from cli_multi_rapid.core.ids import RunId


class MemoryBus:
    """Every subscriber has a thread that calls it, so that a hint never waits."""

    def __init__(self) -> None:
        self._subscribers: list[SimpleQueue[RunId | None]] = []

    def hint(self, run_id: RunId) -> None:
        """Say that a stream has news."""
        for waiting in list(self._subscribers):
            waiting.put(run_id)

    def subscribe(self, wake: Callable[[RunId], None]) -> Callable[[], None]:
        """Call `wake` on every hint; the returned function ends that and waits for a call in progress."""
        waiting: SimpleQueue[RunId | None] = SimpleQueue()

        def listen() -> None:
            while (run_id := waiting.get()) is not None and waiting in self._subscribers:
                wake(run_id)

        thread = threading.Thread(target=listen, name="bus", daemon=True)
        self._subscribers.append(waiting)
        thread.start()

        def stop() -> None:
            if waiting in self._subscribers:
                self._subscribers.remove(waiting)
            waiting.put(None)
            if thread is not threading.current_thread():
                thread.join()

        return stop
