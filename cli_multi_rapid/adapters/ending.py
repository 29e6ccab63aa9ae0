"""The end of a program in words: its exit code and its last lines, as a terminal may show them."""

import signal
from typing import Final

from cli_multi_rapid.redaction import printable

LONGEST_SUMMARY: Final = 2000
LONGEST_REASON: Final = 500
LONGEST_SESSION: Final = 200
_TAIL: Final = 16 * 1024
"""Bytes of output that are looked at for a summary."""


def describe_exit(exit_code: int | None) -> str:
    """An exit code in words; None is a program that was stopped from outside."""
    if exit_code is None:
        return "stopped before its end"
    if exit_code < 0:
        return f"ended by {_signal_name(-exit_code)}"
    if exit_code == 127:
        return "exit code 127 (command not found)"
    return f"exit code {exit_code}"


def last_lines(output: bytes, count: int = 20) -> list[str]:
    """The last lines that say something, as a terminal may show them."""
    text = printable(output[-_TAIL:].decode("utf-8", "replace"))
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def clip(text: str, longest: int) -> str:
    """`text` without terminal tricks, and its end cut off visibly when it is too long."""
    text = printable(text).strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
