"""What follows a failed attempt: another try, another tool, or the end of the node."""

from collections import Counter
from datetime import datetime, timedelta

from msgspec import Struct

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.node_state import Attempt, NodeState

NEVER_AGAIN = frozenset(
    {
        FailureClass.REFUSED,
        FailureClass.OUTSIDE_CLAIMS,
        FailureClass.UNSAFE_TREE,
        FailureClass.BASE_CONFLICT,
        FailureClass.TOOL_MISSING,
        FailureClass.REJECTED,
    }
)
"""Failures that the same tool would repeat."""

TOOL_AT_FAULT = frozenset({FailureClass.TOOL_MISSING, FailureClass.REFUSED})
"""Failures after which another tool may do better at once."""

MAX_INTERRUPTIONS = 5
"""An attempt that the orchestrator itself cut short is free, but not for ever: it may be what kills us.

Counted for each tool; those beyond count like any failure.
"""

MOST_REPAIRS = 3
"""How often an answer that is not of the form asked for is asked for again, beside the retries."""

_NOT_COUNTED = frozenset({FailureClass.INTERRUPTED, FailureClass.BAD_ANSWER})
"""Failures that have a bound of their own."""

_LONGEST_WAIT_S = 60.0
_MOST_DOUBLINGS = 16
"""More than the longest wait needs; keeps the power finite whatever number of retries is asked for."""


class TryAgain(Struct, frozen=True, kw_only=True):
    """Run the node again, not before a time, perhaps with another tool."""

    not_before: datetime
    reason: str
    tool: ToolName | None = None


class GiveUp(Struct, frozen=True, kw_only=True):
    """The node has failed for good."""

    reason: str


def after_failure(
    state: NodeState, retries: int, fallback: ToolName | None, now: datetime
) -> TryAgain | GiveUp:
    """Decide from the attempts of a node, the last of which has just failed.

    `retries`: how many repetitions are allowed. `fallback`: the tool that comes next in the chain, if any.
    """
    last = state.attempts[-1]
    recent = state.attempts[len(state.attempts) - state.tries :]
    own = [attempt for attempt in recent if attempt.tool == last.tool]
    interrupted = sum(1 for attempt in own if attempt.failure is FailureClass.INTERRUPTED)
    if last.failure is FailureClass.INTERRUPTED and interrupted <= MAX_INTERRUPTIONS:
        return TryAgain(not_before=now, reason="the attempt was interrupted and does not count")
    if last.failure in TOOL_AT_FAULT and fallback is not None:
        return TryAgain(not_before=now, reason=f"{last.tool}: {last.outcome}", tool=fallback)
    if last.failure in NEVER_AGAIN:
        return GiveUp(reason=last.outcome)
    bad = sum(1 for attempt in own if attempt.failure is FailureClass.BAD_ANSWER)
    if last.failure is FailureClass.BAD_ANSWER:
        return _after_bad_answer(last, bad, fallback, now)
    counted = len(own) - min(interrupted, MAX_INTERRUPTIONS) - bad
    if counted <= retries:
        wait = backoff_s(counted, transient=last.failure is FailureClass.TRANSIENT)
        return TryAgain(
            not_before=now + timedelta(seconds=wait), reason=f"retry {counted} of {retries}: {last.outcome}"
        )
    if fallback is not None:
        return TryAgain(not_before=now, reason=f"{last.tool} failed {counted} times", tool=fallback)
    times = "" if counted == 1 else f" ({counted} attempts)"
    return GiveUp(reason=f"{last.outcome}{times}")


def is_waiting(state: NodeState, now: datetime) -> bool:
    """Whether the pause before a node's next try lasts on.

    A time that is further off than the longest pause was set by a clock that went back since.
    """
    if state.not_before is None:
        return False
    return timedelta(0) < state.not_before - now <= timedelta(seconds=_LONGEST_WAIT_S)


def _after_bad_answer(last: Attempt, bad: int, fallback: ToolName | None, now: datetime) -> TryAgain | GiveUp:
    """What is wrong is told, so that waiting would add nothing."""
    if bad <= MOST_REPAIRS:
        return TryAgain(not_before=now, reason=f"repair {bad} of {MOST_REPAIRS}: {last.outcome}")
    if fallback is not None:
        return TryAgain(not_before=now, reason=f"{last.tool} gave {bad} bad answers", tool=fallback)
    return GiveUp(reason=f"{last.outcome} (also after {MOST_REPAIRS} repairs)")


def worn_out(state: NodeState, retries: int) -> frozenset[ToolName]:
    """The tools that have had their tries at a node since it was last reset."""
    recent = state.attempts[len(state.attempts) - state.tries :]
    failed = [attempt for attempt in recent if attempt.failure is not None]
    counts = Counter(attempt.tool for attempt in failed if attempt.failure not in _NOT_COUNTED)
    repaired = Counter(attempt.tool for attempt in failed if attempt.failure is FailureClass.BAD_ANSWER)
    worn = {attempt.tool for attempt in failed if attempt.failure in NEVER_AGAIN}
    worn.update(tool for tool, count in counts.items() if count > retries)
    worn.update(tool for tool, count in repaired.items() if count > MOST_REPAIRS)
    worn.update(tool for tool, count in state.refusals.items() if count > retries)
    return frozenset(worn)


def backoff_s(attempt: int, *, transient: bool) -> float:
    """Seconds before the next try: doubling, long for an overloaded service, short otherwise."""
    return min(_LONGEST_WAIT_S, (2.0 if transient else 0.2) * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
