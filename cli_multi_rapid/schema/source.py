"""A text with a name: where an offset lies in it, and how to show that place to a person."""

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final

from msgspec import Struct

_WIDEST: Final = 100
"""Characters of a source line in a frame; a document on one line must not fill the screen."""
_BEFORE: Final = 40
"""Characters kept before the place when a line is cut."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_TOKEN: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*"|' r"'[^'\r\n]*'|" r"[^\s,\[\]{}:#'\"]+|.")


class Source(Struct, frozen=True, kw_only=True, dict=True):
    """A text and the name under which a person knows it. Offsets count characters from 0."""

    name: str
    text: str

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Both counted from 1, as editors do."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def frame(self, offset: int) -> str:
        """The source line with its number and a row of carets under the token at an offset."""
        line, column = self.line_and_column(offset)
        ends = self._line_starts[line] if line < len(self._line_starts) else len(self.text)
        shown = self.text[self._line_starts[line - 1] : ends].rstrip("\r\n")
        match = _TOKEN.match(shown, column - 1)
        width = max(1, len(match.group())) if match else 1
        begin, cut, end = _window(len(shown), column - 1)
        excerpt = begin * "…" + printable(shown[cut : cut + _WIDEST]) + end * "…"
        indent = column - 1 - cut + begin
        gutter = " " * len(str(line))
        carets = "^" * max(1, min(width, len(excerpt) - indent))
        return f" {line} | {excerpt}\n {gutter} | {' ' * indent}{carets}"


def _window(length: int, at: int) -> tuple[bool, int, bool]:
    """Whether a line is cut at its start, where what is shown begins, and whether it is cut at its end."""
    if length <= _WIDEST:
        return False, 0, False
    cut = max(0, min(at - _BEFORE, length - _WIDEST))
    return cut > 0, cut, cut + _WIDEST < length


def printable(text: str) -> str:
    """The text with each character that a terminal would act on replaced, so that columns stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char == "\t" else "�" for char in text)


def quoted(text: str) -> str:
    """A text of the document as a message shows it: in backquotes, printable, not too long."""
    short = text if len(text) <= 60 else text[:59] + "…"
    return f"`{printable(short)}`"


class Place(Struct, frozen=True, kw_only=True):
    """A point in a source, kept with typed values so that later problems can show where they come from."""

    source: Source
    offset: int

    @property
    def line(self) -> int:
        """Counted from 1."""
        return self.source.line_and_column(self.offset)[0]

    @property
    def column(self) -> int:
        """Counted from 1."""
        return self.source.line_and_column(self.offset)[1]

    def __str__(self) -> str:
        line, column = self.source.line_and_column(self.offset)
        return f"{self.source.name}:{line}:{column}"
