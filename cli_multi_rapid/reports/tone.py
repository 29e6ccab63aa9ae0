"""What a status means at a glance: a few tones, each with a colour for light and dark and a sign.

Colour is never the only carrier: every view also writes the status as a word.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class Tone(StrEnum):
    """How a node or a check stands, for the eye."""

    GOOD = "good"
    """Completed and, when there was something to land, landed."""
    DONE = "done"
    """Completed, and on its way to land."""
    BUSY = "busy"
    ASKS = "asks"
    """Waits for a person."""
    BAD = "bad"
    HELD = "held"
    """Cannot go on because of another."""
    IDLE = "idle"


class Paint(Struct, frozen=True, kw_only=True):
    """Text and line colours that have a contrast of 4.5 or more on their ground, in light and in dark."""

    light: str
    light_ground: str
    dark: str
    dark_ground: str
    sign: str


PAINTS: Mapping[Tone, Paint] = {
    Tone.GOOD: Paint(
        light="#116329", light_ground="#dafbe1", dark="#7ee787", dark_ground="#12351f", sign="+"
    ),
    Tone.DONE: Paint(
        light="#0b5d66", light_ground="#d7f5f8", dark="#76e3ea", dark_ground="#0c3237", sign="*"
    ),
    Tone.BUSY: Paint(
        light="#0550ae", light_ground="#ddf4ff", dark="#79c0ff", dark_ground="#0c2d52", sign=">"
    ),
    Tone.ASKS: Paint(
        light="#7d4e00", light_ground="#fff8c5", dark="#e3b341", dark_ground="#3a2d09", sign="?"
    ),
    Tone.BAD: Paint(light="#a40e26", light_ground="#ffebe9", dark="#ffa198", dark_ground="#4b1113", sign="!"),
    Tone.HELD: Paint(
        light="#6639ba", light_ground="#fbefff", dark="#d2a8ff", dark_ground="#2f1c52", sign="-"
    ),
    Tone.IDLE: Paint(
        light="#57606a", light_ground="#f6f8fa", dark="#9ea7b3", dark_ground="#21262d", sign="."
    ),
}
"""Every tone's colours."""

_OF_STATUS: Mapping[str, Tone] = {
    "pending": Tone.IDLE,
    "running": Tone.BUSY,
    "waiting": Tone.ASKS,
    "completed": Tone.GOOD,
    "failed": Tone.BAD,
    "blocked": Tone.HELD,
    "skipped": Tone.IDLE,
    "cancelled": Tone.IDLE,
}
_OF_MERGE: Mapping[str, Tone] = {
    "QUEUED": Tone.DONE,
    "CHECKING": Tone.DONE,
    "MERGING": Tone.DONE,
    "MERGED": Tone.GOOD,
    "FAILED": Tone.BAD,
    "CONFLICTED": Tone.BAD,
    "CANCELLED": Tone.HELD,
    "BLOCKED": Tone.ASKS,
}
_OF_RUN: Mapping[str, Tone] = {
    "RUNNING": Tone.BUSY,
    "SUCCESS": Tone.GOOD,
    "PARTIAL": Tone.BAD,
    "FAILED": Tone.BAD,
    "CANCELLED": Tone.IDLE,
    "BUDGET_STOPPED": Tone.ASKS,
    "WAITING": Tone.ASKS,
}


def tone_of_node(status: str | None, merge_status: str | None = None) -> Tone:
    """The tone of a node: once its own work is done, that of its way to the target."""
    if status == "completed" and merge_status is not None:
        return _OF_MERGE.get(merge_status, Tone.DONE)
    return _OF_STATUS.get(status or "", Tone.IDLE)


def tone_of_verdict(verdict: str | None) -> Tone:
    """The tone of a check; None: not known yet."""
    if verdict is None:
        return Tone.BUSY
    return Tone.GOOD if verdict == "passed" else Tone.BAD


def tone_of_run(status: str) -> Tone:
    """The tone of a whole run."""
    return _OF_RUN.get(status, Tone.IDLE)


def paint_rules(prefix: str) -> str:
    """CSS that gives every element of class `<prefix><tone>` the variables `--line` and `--ground`."""
    light = "".join(
        f".{prefix}{tone}{{--line:{paint.light};--ground:{paint.light_ground}}}"
        for tone, paint in PAINTS.items()
    )
    dark = "".join(
        f".{prefix}{tone}{{--line:{paint.dark};--ground:{paint.dark_ground}}}"
        for tone, paint in PAINTS.items()
    )
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"
