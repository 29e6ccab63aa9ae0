"""What the text of an error says about trying again."""

import re
from typing import Final

from cli_multi_rapid.core.facts import FailureClass

# A bare number is not enough: `test 500 failed` is no server error.
_STATUS: Final = r"(?:status|code|http|error)[^0-9a-z]{0,8}(?:code[^0-9a-z]{0,4})?"

# Texts, not patterns: most programs that load this never read an error, and `re` remembers what it compiled.
_TRANSIENT: Final = (
    rf"{_STATUS}(?:408|429|5[0-9][0-9])\b|\((?:429|5[0-9][0-9])\)|rate.?limit|too many requests|overloaded"
    r"|service.?unavailable|stream (?:disconnected|ended|closed)|missing finish.?reason|high demand"
    r"|(?:unable to|could not|cannot|failed to) connect|request timed out|API.?timeout|fetch failed"
    r"|temporarily unavailable|internal.?server.?error|bad gateway|gateway time|name resolution"
    r"|connection (?:refused|reset|error|aborted|failed)|network is unreachable"
)
_REFUSED: Final = (
    rf"{_STATUS}40[13]\b|unauthori[sz]ed|authentication.?(?:error|failed)|(?:invalid|incorrect|missing).{{0,12}}api.?key"
    r"|not logged in|insufficient.?(?:quota|credit)"
)


def failure_class(error: str) -> FailureClass:
    """The class of a failure by its text. Refusals come first: waiting does not mend a wrong key."""
    if re.search(_REFUSED, error, re.IGNORECASE):
        return FailureClass.REFUSED
    if re.search(_TRANSIENT, error, re.IGNORECASE):
        return FailureClass.TRANSIENT
    return FailureClass.TOOL_FAILED
