"""From moments to places on a time axis: long stretches in which nothing happened are cut short."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

_CUT: Final = 0.12
"""A gap is cut when it is longer than this share of all busy time ..."""
_LEAST_CUT_S: Final = 60.0
"""... and than this, in seconds."""
_CUT_WIDTH: Final = 46.0
_STEPS_S: Final = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
    3600, 7200, 14_400, 28_800, 86_400, 172_800, 604_800,
)  # fmt: skip
_TICK_WIDTH: Final = 62.0


class Stretch(Struct, frozen=True, kw_only=True):
    """A part of the axis: seconds since the origin, and where it is drawn."""

    start_s: float
    end_s: float
    left: float
    right: float
    cut: bool = False

    def place(self, seconds: float) -> float:
        """Where a moment of this stretch is drawn."""
        length = self.end_s - self.start_s
        share = (seconds - self.start_s) / length if length > 0 else 0.0
        return self.left + share * (self.right - self.left)


class TimeScale(Struct, frozen=True, kw_only=True):
    """The axis. Moments outside of it are drawn at its ends."""

    origin: datetime
    stretches: tuple[Stretch, ...]

    def x(self, moment: datetime) -> float:
        """Where a moment is drawn."""
        return self._place((moment - self.origin).total_seconds())

    def _place(self, seconds: float) -> float:
        first, last = self.stretches[0], self.stretches[-1]
        seconds = min(max(seconds, first.start_s), last.end_s)
        at = bisect_right([stretch.start_s for stretch in self.stretches], seconds) - 1
        return self.stretches[at].place(seconds)

    def cuts(self) -> list[Stretch]:
        """The stretches that were cut short."""
        return [stretch for stretch in self.stretches if stretch.cut]

    def ticks(self) -> Iterator[tuple[float, float]]:
        """(place, seconds since the origin) of round times, at a readable distance."""
        shown = [stretch for stretch in self.stretches if not stretch.cut]
        seconds = sum(stretch.end_s - stretch.start_s for stretch in shown)
        width = sum(stretch.right - stretch.left for stretch in shown)
        wanted = seconds / max(1.0, width) * _TICK_WIDTH
        step = next((step for step in _STEPS_S if step >= wanted), max(wanted, _STEPS_S[-1]))
        last = float("-inf")
        for stretch in shown:
            count = -int(-stretch.start_s // step)
            while count * step <= stretch.end_s:
                place = stretch.place(count * step)
                if place - last >= _TICK_WIDTH * 0.8:
                    yield place, count * step
                    last = place
                count += 1


def scale_of(spans: Sequence[tuple[datetime, datetime]], left: float, right: float) -> TimeScale | None:
    """The axis that shows some spans between two places; None when there are none."""
    if not spans:
        return None
    origin = min(start for start, _ in spans)
    busy = list(_merged(((s - origin).total_seconds(), (e - origin).total_seconds()) for s, e in spans))
    parts = list(_parts(busy))
    cuts = sum(1 for _, _, cut in parts if cut)
    seconds = sum(end - start for start, end, cut in parts if not cut)
    per_second = max(1.0, right - left - cuts * _CUT_WIDTH) / seconds if seconds > 0 else 0.0
    stretches = []
    for start, end, cut in parts:
        width = _CUT_WIDTH if cut else (end - start) * per_second
        stretches.append(Stretch(start_s=start, end_s=end, left=left, right=left + width, cut=cut))
        left += width
    return TimeScale(origin=origin, stretches=tuple(stretches))


def _merged(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    current: tuple[float, float] | None = None
    for start, end in sorted(spans):
        if current is not None and start <= current[1]:
            current = (current[0], max(current[1], end))
            continue
        if current is not None:
            yield current
        current = (start, max(start, end))
    if current is not None:
        yield current


def _parts(busy: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float, bool]]:
    """Busy stretches with the short gaps between them, and the long gaps, which are cut."""
    longest = max(_LEAST_CUT_S, _CUT * sum(end - start for start, end in busy))
    start, end = busy[0]
    for next_start, next_end in busy[1:]:
        if next_start - end > longest:
            yield start, end, False
            yield end, next_start, True
            start = next_start
        end = next_end
    yield start, end, False
