"""The last line that our own programs print: what they did, in a form that a program reads."""

import json
import sys
from dataclasses import dataclass
from typing import Final

from cli_multi_rapid.adapters.ending import LONGEST_REASON, LONGEST_SUMMARY, clip, describe_exit
from cli_multi_rapid.core.codec import from_data, to_data
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.ports import ToolReading

_START: Final = b'{"type": "result"'
_LONGEST_RESULT: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRecord:
    """The end of one of our own programs by its own account. An empty `error` is a claim of success."""

    result: str = ""
    error: str = ""
    failure: FailureClass | None = None
    cost: MicroUsd = ZERO
    tokens: int = 0
    session_id: str | None = None

    @property
    def usage(self) -> Usage:
        """Cost and tokens, by the tool's own account."""
        if not self.cost and not self.tokens:
            return Usage()
        return Usage(cost=self.cost, output_tokens=self.tokens, source="tool")


def print_record(record: FinalRecord) -> None:
    """Print the record as the last line of the output."""
    line = json.dumps({"type": "result", **to_data(record)})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def result_text(text: str) -> str:
    """A result of bounded length: the log keeps the whole, the record a part."""
    return clip(text, _LONGEST_RESULT)


def find_record(output: bytes) -> FinalRecord | None:
    """The last complete record in an output; a step before it may have left its line unfinished."""
    start = output.rfind(_START)
    if start < 0:
        return None
    line, _, _ = output[start:].partition(b"\n")
    try:
        record = from_data(FinalRecord, json.loads(line))
    except (ValueError, RecursionError):  # CorruptDocument is a ValueError
        return None
    return record if record.cost >= 0 and record.tokens >= 0 else None


def read_record(output: bytes, exit_code: int | None) -> ToolReading:
    """Success needs both: exit code 0 and a record without an error."""
    record = find_record(output)
    if record is None:
        failure = FailureClass.INTERRUPTED if exit_code is None else FailureClass.TOOL_FAILED
        reason = f"ended without its final record ({describe_exit(exit_code)})"
        return ToolReading(ok=False, failure=failure, reason=reason)
    if exit_code == 0 and not record.error:
        return ToolReading(
            ok=True,
            summary=clip(record.result, LONGEST_SUMMARY),
            usage=record.usage,
            session_id=record.session_id,
        )
    return ToolReading(
        ok=False,
        failure=record.failure or FailureClass.TOOL_FAILED,
        reason=clip(record.error or describe_exit(exit_code), LONGEST_REASON),
        usage=record.usage,
        session_id=record.session_id,
    )
