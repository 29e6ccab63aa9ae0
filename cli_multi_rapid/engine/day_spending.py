"""What the other runs of today have spent, as fresh as a decision about money needs it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.ports import Clock

_FRESH_FOR = timedelta(seconds=1)
"""Reading takes milliseconds on a busy day, and decisions come in bursts."""


class DaySpending:
    """Reads again when another run wrote something, and once a second at least: hints may get lost."""

    def __init__(self, read: Callable[[], MicroUsd], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._known = ZERO
        self._read_at: datetime | None = None

    def heard(self) -> None:
        """Another run wrote something. May be called from any thread."""
        self._read_at = None

    def now(self) -> MicroUsd:
        """The sum in micro-dollars."""
        now = self._clock.now()
        if self._read_at is None or not now - self._read_at < _FRESH_FOR:
            self._read_at = now
            self._known = self._read()
        return self._known
