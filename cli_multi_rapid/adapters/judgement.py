"""Judging the end of a program that is part of the plan or of this project."""

from cli_multi_rapid.adapters.ending import (
    LONGEST_REASON,
    LONGEST_SESSION,
    LONGEST_SUMMARY,
    clip,
    describe_exit,
    last_lines,
)
from cli_multi_rapid.adapters.final_record import find_record
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.ports import ToolReading


def read_ending(output: bytes, exit_code: int | None) -> ToolReading:
    """Exit code 0 is success; the last lines are the summary or the reason."""
    lines = last_lines(output)
    if exit_code == 0:
        return ToolReading(ok=True, summary=clip("\n".join(lines[-5:]), LONGEST_SUMMARY))
    return _failed_ending(exit_code, lines[-1] if lines else "")


def _failed_ending(exit_code: int | None, said: str) -> ToolReading:
    """A failure whose reason names the exit code and what was said last."""
    reason = describe_exit(exit_code)
    return ToolReading(
        ok=False,
        failure=FailureClass.INTERRUPTED if exit_code is None else FailureClass.TOOL_FAILED,
        reason=clip(f"{reason}: {said}" if said else reason, LONGEST_REASON),
    )


def read_record(output: bytes, exit_code: int | None) -> ToolReading:
    """Success needs both: exit code 0 and a record without an error."""
    failure = FailureClass.INTERRUPTED if exit_code is None else FailureClass.TOOL_FAILED
    record = find_record(output)
    if record is None:
        reason = f"ended without its final record ({describe_exit(exit_code)})"
        return ToolReading(ok=False, failure=failure, reason=reason)
    if exit_code == 0 and not record.error:
        return ToolReading(
            ok=True,
            summary=clip(record.result, LONGEST_SUMMARY),
            usage=record.usage,
            session_id=clip(record.session_id or "", LONGEST_SESSION) or None,
        )
    return ToolReading(
        ok=False,
        failure=record.failure or failure,
        reason=clip(record.error or describe_exit(exit_code), LONGEST_REASON),
        usage=record.usage,
        session_id=clip(record.session_id or "", LONGEST_SESSION) or None,
    )
