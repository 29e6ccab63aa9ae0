"""How a storm of cases is let loose on a reader, and what no single case may take."""

import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

T = TypeVar("T")

MOST_CPU_S: Final = 30
"""Of one case. Processor time: a busy machine is no hang. The largest document takes half of it."""
LONGEST_STORM_S: Final = 60
"""By the clock. A slow machine tries fewer cases, and the row says how many."""
MOST_MEMORY: Final = 1024 * 1024 * 1024
"""Bytes that one case may add to the process."""


class Hang(AssertionError):
    """A case took more processor time than any honest input needs."""


@contextmanager
def within_bounds(cpu_s: float = MOST_CPU_S, memory: int = MOST_MEMORY) -> Iterator[None]:
    """Raises `Hang` or `MemoryError` inside the block when it takes more than that."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"more than {cpu_s:g} s of processor time")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGPROF, ring)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + memory, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGPROF, before)


def storm(cases: st.SearchStrategy[T], strike: Callable[[T], None], count: int, *, short: bool) -> int:
    """Strike with so many cases, each within the bounds; a twentieth, and always the same, in the short form.

    Returns how many there were. Fails with the smallest case that breaks the reader.
    """
    struck, ends_at = 0, time.monotonic() + LONGEST_STORM_S
    most = max(25, count // 20) if short else count

    @seed(5)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        # Not `explain`: it traces every line, which takes ten times as long.
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def one(case: T) -> None:
        nonlocal struck
        if time.monotonic() > ends_at:
            return
        struck += 1
        with within_bounds():
            strike(case)

    one()
    return struck
