"""Texts that attack whoever shows them, and all the commands that show texts."""

import re
from typing import Final

from tests.fakes.command_line import Ended

UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal obeys, and what makes a line read as something else."""

TITLE: Final = "\x1b]0;PWNED\x07"
TURNED: Final = "\u202eesrever\u2066\u061c <script>alert(1)</script> `x` | $(id) \"q\" 'p'"
"""As far as a plan may hold an attack: control characters are refused there, reading directions are not."""
EVIL: Final = f"{TITLE}\x1b[2J\x1b[31mred\x9b1mbold{TURNED}"
"""What a tool may print."""

REPORTS: Final = tuple(("report", "--format", form) for form in ("md", "html", "junit", "csv", "json"))
LOOKS: Final = (
    ("runs",), ("status",), ("events",), ("events", "queue:main"), ("logs",), ("logs", "--prompt"),
    ("logs", "--checks"), ("cost",), ("replay", "--to-seq", "9"), ("queue", "list"), ("doctor",),
    ("worktrees", "list"), ("tools", "list"), ("config", "show"), ("export",), *REPORTS,
)  # fmt: skip
DOCUMENTS: Final = (
    ("runs",), ("status",), ("events",), ("logs",), ("cost",), ("queue", "list"), ("doctor",),
    ("worktrees", "list"),
)  # fmt: skip
"""Those of them that take `--format json`."""


def quoted(text: str) -> str:
    """The text as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def check_harmless(words: tuple[str, ...], ended: Ended) -> None:
    """Nothing that was shown steers a terminal."""
    shown = (ended.out + ended.err).replace("\r\n", "\n")  # as CSV ends its lines
    found = UNSAFE.search(shown)
    assert found is None, (words, found, shown[max(0, found.start() - 60) : found.start() + 60])
