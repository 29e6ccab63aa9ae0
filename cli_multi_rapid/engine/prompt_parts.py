"""The parts of a prompt: each within its own limit, cut where that hurts least, and visibly."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

_MARK_ROOM: Final = 60
"""More characters than a mark of something cut has."""


class Keep(StrEnum):
    """Which end of a text survives when it is too long."""

    BEGINNING = "beginning"
    END = "end"


class Part(Struct, frozen=True, kw_only=True):
    """A piece of the prompt with a name in the template. `title` empty: the text stands without a heading."""

    name: str
    title: str = ""
    text: str
    limit: int
    """Characters."""
    keep: Keep = Keep.BEGINNING
    weight: int
    """Among all parts, the lightest are cut first when the whole is too long."""

    @property
    def shown(self) -> str:
        """The part as it stands in the prompt; empty when there is nothing to say."""
        if not self.text.strip():
            return ""
        heading = f"## {self.title}\n" if self.title else ""
        return heading + cut(self.text.strip("\n"), self.limit, self.keep)


def cut(text: str, limit: int, keep: Keep) -> str:
    """A text of at most `limit` characters; what is left out is counted in its place."""
    if len(text) <= limit:
        return text
    room = max(0, limit - _MARK_ROOM)
    mark = f"[... {len(text) - room} characters are left out here ...]"
    if keep is Keep.END:
        return f"{mark}\n{text[len(text) - room :]}"
    return f"{text[:room]}\n{mark}"


def bullets(items: Sequence[str], limit: int, keep: Keep = Keep.BEGINNING) -> str:
    """A list of which whole items are left out when it is too long; a single item may be cut as well."""
    lines = [f"- {cut(item.strip(), max(_MARK_ROOM * 2, limit // 2), Keep.BEGINNING)}" for item in items]
    if keep is Keep.END:
        lines.reverse()
    used, kept = 0, list[str]()
    for line in lines:
        used += len(line) + 1
        if used > limit - _MARK_ROOM and kept:
            break
        kept.append(line)
    left_out = len(lines) - len(kept)
    if left_out:
        kept.append(f"- [... {left_out} {'earlier ' if keep is Keep.END else ''}more are left out here ...]")
    return "\n".join(reversed(kept) if keep is Keep.END else kept)


def within(parts: Sequence[Part], limit: int) -> list[Part]:
    """The parts, the lightest of them cut until all have `limit` bytes of UTF-8 together."""
    fitted = list(parts)
    for place in sorted(range(len(parts)), key=lambda place: parts[place].weight):
        excess = sum(_size(part) for part in fitted) - limit
        if excess <= 0:
            break
        part = fitted[place]
        # A character has at least one byte, so this is never too little for what can be cut here.
        fitted[place] = replace(
            part, limit=max(_MARK_ROOM, min(part.limit, len(part.text.strip("\n"))) - excess)
        )
    return fitted


def _size(part: Part) -> int:
    return len(part.shown.encode("utf-8", "replace"))
