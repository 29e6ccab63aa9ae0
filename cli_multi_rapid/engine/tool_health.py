"""The health of the tools that a plan lets choose from, as facts of its run."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from cli_multi_rapid.adapters.health import ToolHealth
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import FixMode, Plan
from cli_multi_rapid.core.routing import ANSWERERS, ToolFacts, pool
from cli_multi_rapid.core.tool_events import HealthStatus, ToolPinged
from cli_multi_rapid.core.verifying import is_verified


def tool_health(
    plan: Plan,
    tools: Mapping[ToolName, ToolFacts],
    ask: Callable[[Iterable[ToolName]], Sequence[ToolHealth]],
    fix: FixMode = FixMode.OFF,
    told: Collection[ToolName] = (),
) -> list[ToolPinged]:
    """What those tools answer. A node that only one tool can do needs no ping: its attempt will tell.

    `fix`: when nodes may be added after a verification, those are asked as well that could plan them; of
    those it is told only that they can, or, of those whose health was `told` before, that they cannot now.
    """
    pools = (pool(node, tools) for node in plan.nodes)
    names = dict.fromkeys(name for names in pools if len(names) > 1 for name in names)
    planners: dict[ToolName, None] = {}
    if fix is not FixMode.OFF and is_verified(plan):
        planners = dict.fromkeys(name for name in ANSWERERS if name in tools and tools[name].answers)
    asked = names | planners
    return [
        ToolPinged(
            tool=health.tool,
            status=health.status,
            checked_at=health.checked_at,
            response_time_ms=health.response_time_ms,
            tool_version=health.version,
            reason=health.reason,
        )
        for health in (ask(asked) if asked else ())
        if health.tool in names or health.tool in told or health.status is HealthStatus.HEALTHY
    ]
