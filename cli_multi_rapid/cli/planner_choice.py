"""Who plans a request: the model that was named, the first healthy one, or the template, and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cli_multi_rapid.adapters.registry import answerer
from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.routing import ANSWERERS
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.schema.tools import ToolConfig

if TYPE_CHECKING:
    from cli_multi_rapid.adapters.pings import Pings

AUTO: Final = "auto"
TEMPLATE: Final = "template"
PLANNERS: Final = (AUTO, TEMPLATE, *ANSWERERS)


class Asking(Struct, frozen=True, kw_only=True):
    """Whether a model may plan, as the command line says."""

    planner: str = AUTO
    obstacle: str = ""
    """Why no model may be asked here; empty: it may."""
    allow_unpriced: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the template will do as well."""
        return self.planner == AUTO


class Choice(Struct, frozen=True, kw_only=True):
    """The planner."""

    tool: ToolName | None
    """None: the template."""
    reason: str = ""
    """Why it was taken, where nobody named it."""


def choose_planner(
    asking: Asking, tools: tuple[ToolConfig, ...], pings: "Pings", environment: Mapping[str, str]
) -> Choice:
    """The planner that is wanted and can be used.

    Raises for a model that was named: `UserError` when it may not be asked, `EnvironmentFault` when it does
    not work here.
    """
    if asking.planner == TEMPLATE:
        return Choice(tool=None)
    if asking.obstacle and not asking.is_open:
        raise UserError(
            f"--planner {asking.planner}: {asking.obstacle}", hint="without a model: --planner template"
        )
    if asking.obstacle:
        return Choice(tool=None, reason=asking.obstacle)
    if not asking.is_open:
        return _named(ToolName(asking.planner), tools, pings, environment)
    faults: list[str] = []
    for tool in ANSWERERS:
        fault = _fault(tool, tools, pings, environment, {HealthStatus.HEALTHY})
        if not fault:
            return Choice(tool=tool, reason="it is healthy")
        faults.append(fault)
    return Choice(tool=None, reason=f"no model can be asked: {'; '.join(faults)}")


def _named(
    tool: ToolName, tools: tuple[ToolConfig, ...], pings: "Pings", environment: Mapping[str, str]
) -> Choice:
    """The person's own choice may be a slow one."""
    fault = _fault(tool, tools, pings, environment, {HealthStatus.HEALTHY, HealthStatus.DEGRADED})
    if fault:
        raise EnvironmentFault(f"--planner {tool}: {fault}", hint="without a model: --planner template")
    return Choice(tool=tool)


def _fault(
    tool: ToolName,
    tools: tuple[ToolConfig, ...],
    pings: "Pings",
    environment: Mapping[str, str],
    enough: set[HealthStatus],
) -> str:
    """What keeps a tool from planning; empty: nothing."""
    adapter = answerer(tool, tools, environment)
    if adapter is None:
        return f"{tool} is another command in config/tools.yaml, which takes no schema"
    absent = adapter.missing(environment)
    if absent is not None:
        return absent
    (health,) = pings.refresh([tool])
    if health.status in enough:
        return ""
    return f"{tool} is {health.status}{health.reason and f' ({health.reason})'}"
