"""What `doctor` finds: a topic, how it stands, and what to type."""

from enum import StrEnum

from msgspec import Struct


class Standing(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    NOTICE = "notice"
    """Left over or unusual; nothing is broken, and the command puts it in order."""
    PROBLEM = "problem"
    """Work cannot go on like this."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    topic: str
    standing: Standing
    detail: str
    command: str | None = None
    """What puts it right, ready to be typed."""


def good(topic: str, detail: str) -> Finding:
    """Nothing to do."""
    return Finding(topic=topic, standing=Standing.GOOD, detail=detail)


def notice(topic: str, detail: str, command: str | None = None) -> Finding:
    """Worth a look."""
    return Finding(topic=topic, standing=Standing.NOTICE, detail=detail, command=command)


def problem(topic: str, detail: str, command: str | None = None) -> Finding:
    """To be repaired."""
    return Finding(topic=topic, standing=Standing.PROBLEM, detail=detail, command=command)
