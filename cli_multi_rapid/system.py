"""The machine's clock and its source of new names."""

import os
import time
from datetime import UTC, datetime

from cli_multi_rapid.core.ids import EventId, RunId
from cli_multi_rapid.ports import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that reads like a digit."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; not changed by setting the clock."""
        return time.monotonic()


class RandomIds:
    """Names that nobody else makes: the time, so that they sort, and random digits of the kernel."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def run_id(self) -> RunId:
        """Like `20261120-094612-k3f9`: the second in UTC, then one of a million endings."""
        ending = "".join(_ALPHABET[byte % 32] for byte in os.urandom(4))
        return RunId(f"{self._clock.now():%Y%m%d-%H%M%S}-{ending}")

    def event_id(self) -> EventId:
        """32 hexadecimal digits: milliseconds, then 80 random bits.

        Growing ids keep the log's index of ids growing at its end, which is the cheap way.
        """
        return EventId(f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}")
