"""How wide a line may be, and text laid out to fit."""

import shutil
from collections.abc import Iterator

_NARROWEST = 40


def terminal_width() -> int:
    """Columns of the terminal (or what `COLUMNS` says); 80 where there is none."""
    return shutil.get_terminal_size(fallback=(80, 24)).columns


def indented(text: str, indent: int) -> Iterator[str]:
    """The words in lines of the terminal's width, each behind blanks. Long paths and ids are not cut."""
    import textwrap

    blanks = " " * indent
    width = max(_NARROWEST, terminal_width() - 1, indent + _NARROWEST)
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=blanks,
        subsequent_indent=blanks,
        break_long_words=False,
        break_on_hyphens=False,
    )
