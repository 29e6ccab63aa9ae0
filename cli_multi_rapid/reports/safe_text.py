"""Text of plans, models and tools made harmless for the place where it is shown.

A terminal obeys escape sequences, XML knows no control characters, and a table knows no line breaks.
"""

import re
from typing import Final

_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|\x1b[@-Z\\-_]?"
)
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line feed
    "\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"  # turned reading direction, non-characters
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SPACES: Final = re.compile(r"\s+")
_FORMULA: Final = ("=", "+", "-", "@", "\t")


def printable(text: str) -> str:
    """The text without escape sequences and control characters; line breaks and tabs stay."""
    lines = _ESCAPES.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _INVISIBLE.sub("", lines))


def one_line(text: str, width: int | None = None) -> str:
    """The text on one line, cut to a width in characters."""
    line = _SPACES.sub(" ", printable(text)).strip()
    return line if width is None or len(line) <= width else line[: max(0, width - 3)].rstrip() + "..."


def markup(text: str) -> str:
    """The text for XML and HTML, between tags and inside quoted attributes."""
    import html  # noqa: PLC0415  # 3 ms for its table of entities that `status` need not pay

    return html.escape(printable(text), quote=True)


def cell(text: str) -> str:
    """The text for a spreadsheet, which would compute what looks like a formula."""
    line = printable(text)
    return f"'{line}" if line.startswith(_FORMULA) else line
