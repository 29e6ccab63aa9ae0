"""How a program without a word of its own about success is judged: by its exit code and its last lines."""

import signal
from typing import Final

from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.ports import ToolReading
from cli_multi_rapid.redaction import printable

LONGEST_SUMMARY: Final = 2000
LONGEST_REASON: Final = 500
_TAIL: Final = 16 * 1024
"""Bytes of output that are looked at for a summary."""


def read_ending(output: bytes, exit_code: int | None) -> ToolReading:
    """Exit code 0 is success; the last lines are the summary or the reason."""
    lines = last_lines(output)
    if exit_code == 0:
        return ToolReading(ok=True, summary=clip("\n".join(lines[-5:]), LONGEST_SUMMARY))
    return failed_ending(exit_code, lines[-1] if lines else "")


def failed_ending(exit_code: int | None, said: str, *, usage: Usage | None = None) -> ToolReading:
    """A failure whose reason names the exit code and what was said last."""
    reason = describe_exit(exit_code)
    return ToolReading(
        ok=False,
        failure=FailureClass.INTERRUPTED if exit_code is None else FailureClass.TOOL_FAILED,
        reason=clip(f"{reason}: {said}" if said else reason, LONGEST_REASON),
        usage=usage or Usage(),
    )


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
