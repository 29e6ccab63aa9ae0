"""The last line that our own programs print: what they did, in a form that a program reads."""

import json
import sys
from typing import Final

from msgspec import Struct

from cli_multi_rapid.adapters.ending import clip
from cli_multi_rapid.core.codec import from_data, to_data
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.money import ZERO, MicroUsd

RECORD_START: Final = b'{"type": "result"'
"""How a record begins."""

_LONGEST_RESULT: Final = 4 * 1024
"""Characters. A record of two such texts, each character escaped, still fits into the tail of an output that
the supervisor keeps (64 KiB); a record that was cut would count as missing."""


class FinalRecord(Struct, frozen=True, kw_only=True):
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
    start = output.rfind(RECORD_START)
    if start < 0:
        return None
    line, _, _ = output[start:].partition(b"\n")
    try:
        record = from_data(FinalRecord, json.loads(line))
    except (ValueError, RecursionError):  # CorruptDocument is a ValueError
        return None
    return record if record.cost >= 0 and record.tokens >= 0 else None
