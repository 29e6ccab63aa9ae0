"""The circuit breaker of a tool: closed, open, or half-open with exactly one trial.

A `Breaker` is what a run's events say of a tool; `next_step` decides from it, and the answer is an event
again. Whether an open breaker is half-open is never stored: it is when its time has come.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.tool_events import BreakerOpened

FAULTS: Final = frozenset(
    {
        FailureClass.TRANSIENT,
        FailureClass.TIMED_OUT,
        FailureClass.TOOL_FAILED,
        FailureClass.TOOL_MISSING,
        FailureClass.REFUSED,
    }
)
"""Failures that speak against the tool."""

ANSWERS: Final = frozenset(
    {
        FailureClass.NO_CHANGE,
        FailureClass.MISSING_OUTPUT,
        FailureClass.OUTSIDE_CLAIMS,
        FailureClass.UNSAFE_TREE,
        FailureClass.REJECTED,
        FailureClass.BAD_ANSWER,
    }
)
"""Failures of work that the tool did come to the end of. All others say nothing of it."""

_FUTILE: Final = frozenset({FailureClass.TOOL_MISSING, FailureClass.REFUSED})
"""Failures that no waiting mends."""


class Phase(StrEnum):
    """Where a breaker stands at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerRules(Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long. Times are seconds."""

    failures: int = 3
    cooldown_s: float = 30.0
    """Doubled with every trial that fails."""
    longest_s: float = 300.0
    trials: int = 3
    """After so many failed trials a node without another tool no longer waits for this one."""


class Breaker(Struct, kw_only=True):
    """What the events say of one tool. Changed by the fold only."""

    failures: int = 0
    suspects: set[NodeId] = field(default_factory=set)
    """The nodes behind those failures."""
    last: FailureClass = FailureClass.TOOL_FAILED
    last_reason: str = ""
    opened: BreakerOpened | None = None
    ready_at: datetime | None = None
    """When an open breaker lets a trial through."""
    trial: NodeId | None = None
    """The node whose attempt is the trial that is under way."""
    trial_failed: bool = False
    answered: bool = False
    """The tool came to an end of its work since the breaker opened."""

    def begin(self, node_id: NodeId) -> None:
        """An attempt starts; while the breaker is open that is the trial."""
        if self.opened is not None:
            self.trial = node_id

    def end(self, node_id: NodeId, failure: FailureClass | None, reason: str) -> None:
        """An attempt ended; `failure` is None when it succeeded."""
        on_trial = self.trial == node_id
        if on_trial:
            self.trial = None
        if failure is None or failure in ANSWERS:
            self.failures, self.suspects = 0, set()
            self.answered = self.opened is not None
        elif failure in FAULTS and (on_trial or self.opened is None):
            # A node that cannot be done fails with every tool: only a passing fault of the service counts
            # more than once for the same node.
            if failure is FailureClass.TRANSIENT or node_id not in self.suspects:
                self.failures += 1
            self.suspects.add(node_id)
            self.last, self.last_reason, self.trial_failed = failure, reason, on_trial

    def open(self, data: BreakerOpened) -> None:
        """Nothing more is given to the tool for a while."""
        self.opened, self.ready_at = data, data.until
        self.trial_failed = self.answered = False

    def close(self) -> None:
        """The tool is given work as before. An attempt that was the trial is an attempt like any other."""
        self.opened, self.ready_at, self.trial = None, None, None
        self.trial_failed = self.answered = False
        self.failures, self.suspects = 0, set()

    def phase(self, now: datetime, longest_s: float = BreakerRules().longest_s) -> Phase:
        """Where it stands. A time further off than any pause was set by a clock that went back since."""
        if self.opened is None:
            return Phase.CLOSED
        if self.ready_at is None:
            return Phase.OPEN
        is_waiting = timedelta(0) < self.ready_at - now <= timedelta(seconds=longest_s)
        return Phase.OPEN if is_waiting else Phase.HALF_OPEN

    def is_hopeless(self, rules: BreakerRules) -> bool:
        """Whether nobody should wait for it: it is open for what no time mends, or it failed all trials."""
        opened = self.opened
        return opened is not None and (opened.failure in _FUTILE or opened.failed_trials >= rules.trials)


class Opens(Struct, frozen=True, kw_only=True):
    """The breaker is to open, or to stay open for longer."""

    until: datetime
    failed_trials: int
    reason: str


class Closes(Struct, frozen=True, kw_only=True):
    """The breaker is to close."""


def next_step(breaker: Breaker, rules: BreakerRules, now: datetime) -> Opens | Closes | None:
    """What must be recorded of a breaker before its tool is given anything; None: nothing."""
    if breaker.opened is None:
        if breaker.failures < rules.failures:
            return None
        reason = f"{breaker.failures} failures, the last: {breaker.last_reason}"
        return Opens(until=now + timedelta(seconds=rules.cooldown_s), failed_trials=0, reason=reason)
    if breaker.answered:
        return Closes()
    if not breaker.trial_failed:
        return None
    failed = breaker.opened.failed_trials + 1
    wait_s = min(rules.longest_s, rules.cooldown_s * 2.0 ** min(failed, 16))
    reason = f"its trial failed: {breaker.last_reason}"
    return Opens(until=now + timedelta(seconds=wait_s), failed_trials=failed, reason=reason)
