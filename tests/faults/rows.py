"""What a test of this folder has to tell: one line of a table of docs/reliability.md."""

from enum import StrEnum

from msgspec import Struct


class Part(StrEnum):
    """The tables, in the order of the page."""

    CRASHES = "crashes"
    MACHINE = "machine"
    TOOLS = "tools"
    NODES = "nodes"
    TEXT = "text"
    COMPANY = "company"
    TIME = "time"


class Row(Struct, frozen=True, kw_only=True):
    """One fault and what came of it.

    `naive`: what the same did to a way of working that takes no care, where that was tried beside it.
    `cases`: how many times, or in how many forms, it was struck.
    `kept`: false where the promise could not be kept; then `seen` says why.
    """

    part: Part
    fault: str
    seen: str
    naive: str = ""
    cases: int = 1
    kept: bool = True
    test: str = ""
    """How pytest names the test; with it `make faults ARGS='-k …'` repeats the line."""
    seconds: float = 0.0
    """How long the test took, which may have told other rows too."""


class Results(Struct, frozen=True, kw_only=True):
    """All rows of one session, as `artifacts/faults/results.json` has them."""

    rows: tuple[Row, ...]
    day: str
    """When it ended, as an ISO date (UTC)."""
    seconds: int
    whole: bool
    """Whether no test was left out or failed: only that makes a page."""
    short: bool = False
    """Whether it struck at fewer moments and with fewer examples than there are."""
    skipped: tuple[str, ...] = ()
    """The tests that could not strike on this machine."""
