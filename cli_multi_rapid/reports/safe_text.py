"""Text of plans, models and tools made harmless for the place where it is shown.

A terminal obeys escape sequences, XML knows no control characters, and a table knows no line breaks.
"""

import re
from typing import Final

from cli_multi_rapid.redaction import printable as without_steering

_NO_CHARACTER: Final = re.compile("[\ufeff\ufffe\uffff]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SPACES: Final = re.compile(r"\s+")
_FORMULA: Final = ("=", "+", "-", "@", "\t")


def printable(text: str) -> str:
    """The text without escape sequences and control characters; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return _NO_CHARACTER.sub("", without_steering(_SURROGATES.sub("\ufffd", text)))


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
