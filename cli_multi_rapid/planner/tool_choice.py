"""Which tool gets a node of a plan that is made here: by capability, then price, then speed."""

from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Final

from msgspec import Struct, field

from cli_multi_rapid.core.capabilities import capabilities, capability
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.schema.tools import ToolConfig

CODE: Final = "code"
TESTS: Final = "tests"
DOCS: Final = "docs"
SECURITY: Final = "security"


class Toolbox(Struct, frozen=True, kw_only=True):
    """The tools to choose from, and what is known of them at present."""

    default: ToolName
    """Does what no configured tool is made for."""
    tools: Sequence[ToolConfig] = ()
    """Agents: the tools that take a goal."""
    down: Collection[ToolName] = ()
    """Tools that are missing or unhealthy: never chosen."""
    latency_ms: Mapping[ToolName, float] = field(default_factory=dict)

    def config_of(self, name: ToolName) -> ToolConfig | None:
        """What is configured for a tool."""
        return next((tool for tool in self.tools if tool.name == name), None)


class ToolPick(Struct, frozen=True, kw_only=True):
    """A tool and why it was taken."""

    tool: ToolName
    reason: str
    fits: bool
    """False: no configured tool has a capability that the work asks for."""


def choose_tool(toolbox: Toolbox, main: Sequence[str], extra: Sequence[str] = ()) -> ToolPick:
    """The tool for a kind of work.

    The first of the `main` capabilities that any usable tool has decides who can do it. Those that also have
    all the `extra` ones go first, then the lowest `cost_hint`, then the lowest latency, then the name.
    """
    usable = [tool for tool in toolbox.tools if tool.name not in toolbox.down]
    for wanted in main:
        able = [tool for tool in usable if has(tool, wanted)]
        best = [tool for tool in able if all(has(tool, other) for other in extra)] or able
        if best:
            tool = min(best, key=lambda tool: _rank(tool, toolbox))
            return ToolPick(tool=tool.name, reason=_reason(tool, wanted, best), fits=True)
    kinds = " or ".join(main)
    return ToolPick(
        tool=toolbox.default, reason=f"the default: no usable tool is configured for {kinds}", fits=False
    )


def has(tool: ToolConfig, wanted: str) -> bool:
    """Whether a tool is configured for a capability, in any of its spellings."""
    return capability(wanted) in capabilities(tool.capabilities)


def _rank(tool: ToolConfig, toolbox: Toolbox) -> tuple[float, float, str]:
    hint = inf if tool.cost_hint is None else tool.cost_hint
    return hint, toolbox.latency_ms.get(tool.name, inf), tool.name


def _reason(tool: ToolConfig, wanted: str, rivals: Sequence[ToolConfig]) -> str:
    if len(rivals) == 1:
        return f"the only tool that fits {wanted}"
    price = "" if tool.cost_hint is None else f" (cost_hint {tool.cost_hint:g})"
    return f"the cheapest{price} of {len(rivals)} tools that fit {wanted}"
