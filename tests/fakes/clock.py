"""Time and names that a test decides."""

from datetime import UTC, datetime, timedelta
from itertools import count

from cli_multi_rapid.core.ids import EventId, RunId

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until a test moves it."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = timedelta()

    def now(self) -> datetime:
        """The moment that the test has reached."""
        return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds since the fake was made."""
        return self._passed.total_seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += timedelta(seconds=seconds)


class CountingIds:
    """The same names in every run of a test: `run-1`, `event-1`, ... A prefix tells two makers apart."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._runs = count(1)
        self._events = count(1)

    def run_id(self) -> RunId:
        """The next run's id."""
        return RunId(f"{self._prefix}run-{next(self._runs)}")

    def event_id(self) -> EventId:
        """The next event's id."""
        return EventId(f"{self._prefix}event-{next(self._events)}")
