"""Facts about the tools themselves: how they answer, and when they are left alone for a while."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from cli_multi_rapid.core.facts import FailureClass, Payload
from cli_multi_rapid.core.ids import ToolName


class HealthStatus(StrEnum):
    """Whether a tool can be counted on."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It answers, but slowly or not to everything."""
    UNHEALTHY = "unhealthy"


class ToolPinged(Payload, frozen=True, kw_only=True):
    """What a tool answered when it was last asked, which may be some time before this was recorded."""

    type: ClassVar[str] = "tool.pinged"
    tool: ToolName
    status: HealthStatus
    checked_at: datetime
    response_time_ms: int | None = None
    tool_version: str | None = None
    reason: str = ""


class BreakerOpened(Payload, frozen=True, kw_only=True):
    """A tool failed too often: nothing is given to it before a time, and then one attempt as a trial."""

    type: ClassVar[str] = "tool.breaker_opened"
    tool: ToolName
    until: datetime
    failures: int
    """How many failures in a row led to it."""
    failed_trials: int = 0
    """How many trials have failed since it first opened."""
    failure: FailureClass
    """The class of the last failure."""
    reason: str


class BreakerClosed(Payload, frozen=True, kw_only=True):
    """The tool answered again: it is given work as before."""

    type: ClassVar[str] = "tool.breaker_closed"
    tool: ToolName
    reason: str
