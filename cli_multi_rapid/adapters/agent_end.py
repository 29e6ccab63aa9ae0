"""The verdict on an agent's end: what it said of itself, held against its exit code."""

import re
import signal
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.adapters.ending import (
    LONGEST_REASON,
    LONGEST_SESSION,
    LONGEST_SUMMARY,
    clip,
    describe_exit,
    last_lines,
)
from cli_multi_rapid.adapters.failure_class import failure_class
from cli_multi_rapid.core.facts import UNKNOWN, FailureClass, Usage
from cli_multi_rapid.ports import ToolReading

_MOST_DENIALS: Final = 20
_LONGEST_MODEL: Final = 200
_LONGEST_DENIAL: Final = 200
_TOLD_TO_STOP: Final = frozenset(
    {-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM}
)
"""Exit codes of a program that somebody asked to end: by the signal itself, or by its own handler."""
_OF_STATUS: Final = {
    401: FailureClass.REFUSED,
    403: FailureClass.REFUSED,
    404: FailureClass.REFUSED,  # a model that does not exist, or not for this key
    408: FailureClass.TRANSIENT,
    429: FailureClass.TRANSIENT,
}


class AgentEnd(Struct, frozen=True, kw_only=True):
    """What an agent's output says of its end."""

    finished: bool
    """Whether its final record is there, whole, and tells of an end that the agent itself chose."""
    result: str = ""
    error: str = ""
    failure: FailureClass | None = None
    """The class of the error, when the output tells it better than its words do."""
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    denied: Sequence[str] = ()
    hint: str = ""
    """What it said last when it came to no end, where the last line does not tell."""


def judge(end: AgentEnd, exit_code: int | None, output: bytes) -> ToolReading:
    """Success is a final record without an error and exit code 0. The tree is looked at by others."""
    reason = _why_not(end, exit_code, output)
    denied = tuple(clip(denial, _LONGEST_DENIAL) for denial in dict.fromkeys(end.denied))[:_MOST_DENIALS]
    session = clip(end.session_id or "", LONGEST_SESSION) or None
    usage = _usage(end, exit_code)
    if not reason:
        summary = clip(end.result, LONGEST_SUMMARY)
        return ToolReading(ok=True, summary=summary, usage=usage, session_id=session, denied=denied)
    return ToolReading(
        ok=False,
        failure=_failure(end, exit_code, reason),
        # Words of nothing but control characters, say, leave nothing to be shown.
        reason=clip(reason, LONGEST_REASON) or f"failed without a word ({describe_exit(exit_code)})",
        usage=usage,
        session_id=session,
        denied=denied,
    )


def failure_of_status(status: int) -> FailureClass | None:
    """The class of a failure by the HTTP status of the model's server; None when it does not tell."""
    return FailureClass.TRANSIENT if 500 <= status < 600 else _OF_STATUS.get(status)


def _why_not(end: AgentEnd, exit_code: int | None, output: bytes) -> str:
    if end.error:
        return end.error
    if exit_code is None:
        return describe_exit(exit_code)
    if not end.finished:
        said = end.hint or _last_words(output)
        return f"ended without its final record ({describe_exit(exit_code)}){said and f': {said}'}"
    return "" if exit_code == 0 else describe_exit(exit_code)


def _last_words(output: bytes) -> str:
    """The last line for people; records of a machine tell nothing here."""
    return next((line for line in reversed(last_lines(output)) if not line.lstrip().startswith("{")), "")


def _failure(end: AgentEnd, exit_code: int | None, reason: str) -> FailureClass:
    if exit_code is None:
        return FailureClass.INTERRUPTED
    if end.failure is not None:
        return end.failure
    by_words = failure_class(reason)
    if by_words is FailureClass.TOOL_FAILED and exit_code in _TOLD_TO_STOP:
        return FailureClass.INTERRUPTED
    return by_words


def _usage(end: AgentEnd, exit_code: int | None) -> Usage:
    """An agent that was stopped before its account of itself may have spent money all the same."""
    was_stopped = exit_code is None or exit_code < 0 or exit_code > 128
    usage = replace(end.usage, model=clip(end.usage.model or "", _LONGEST_MODEL) or None)
    if usage == Usage(model=usage.model) and not end.finished and not end.error and was_stopped:
        return replace(usage, source=UNKNOWN)
    return usage


def one_line(text: str) -> str:
    """Words that were wrapped or indented, in one line."""
    return re.sub(r"\s+", " ", text).strip()
