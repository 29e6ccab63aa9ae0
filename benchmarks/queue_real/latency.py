"""Where a real queue's time goes beside the checks themselves, read from its events."""

from collections.abc import Sequence
from datetime import datetime
from statistics import fmean

from msgspec import Struct

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted, MergeChecking, MergeLanded


class Latency(Struct, frozen=True, kw_only=True):
    """Means in milliseconds, per occurrence."""

    around_check: float
    """From `check.started` to `check.finished`, without the time that the check's program ran: a slot is
    opened, the result judged, the slot given back, the deciding thread woken."""
    to_next_check: float
    """From an end of a check, with all that is decided and landed on it, to the start of the next check."""
    outside: float
    """Of the command before its first event and behind its last one; once per run."""
    trains: int
    """Landings."""


def latency_of(events: Sequence[Event], command_s: float) -> Latency:
    """Read it from the events of one `queue process` that took `command_s`."""
    around: list[float] = []
    gaps: list[float] = []
    begun: dict[str, datetime] = {}
    ended: datetime | None = None
    for event in events:
        if isinstance(event.data, CheckStarted):
            begun[event.data.key] = event.time
            if ended is not None:
                gaps.append((event.time - ended).total_seconds())
                ended = None  # those started beside it would count the same wait again
        elif isinstance(event.data, CheckFinished) and not event.data.reused:
            ended = event.time
            if event.data.verdict is not Verdict.ERROR:
                span = (event.time - begun[event.data.key]).total_seconds()
                around.append(span - event.data.duration_s)
    return Latency(
        around_check=1000 * fmean(around or [0.0]),
        to_next_check=1000 * fmean(gaps or [0.0]),
        outside=1000 * max(0.0, command_s - span_s(events)),
        trains=sum(isinstance(event.data, MergeLanded) for event in events),
    )


def span_s(events: Sequence[Event]) -> float:
    """From the first candidate to the last event: without the command's own start and end."""
    work = [event.time for event in events if isinstance(event.data, MergeChecking)]
    return (events[-1].time - work[0]).total_seconds() if work else 0.0
