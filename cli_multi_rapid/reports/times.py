"""Points and lengths of time as reports write them."""

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """`2025-10-03T14:05:30Z`, with milliseconds when there are any."""
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def iso_or_none(moment: datetime | None) -> str | None:
    """`iso`, and None for what has not happened."""
    return None if moment is None else iso(moment)


def from_iso(text: str) -> datetime:
    """The moment that `iso` wrote. Raises `ValueError` for another text."""
    return datetime.fromisoformat(text)


def minutes(seconds: float) -> float:
    """Minutes to the tenth of a second, as the report keys `…_min` hold them."""
    return round(seconds / 60, 4)


def span(seconds: float) -> str:
    """A length of time for people: `0.4 s`, `42 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, unit, below, smaller in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // below:02d} {smaller}"
    return f"{whole} s"
