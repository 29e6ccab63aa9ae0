"""Which tools there are: built in, described in `config/tools.yaml`, or known by name."""

from collections.abc import Iterable, Mapping
from typing import Final

from cli_multi_rapid.adapters.actions import ActionsAdapter
from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.python import PythonAdapter
from cli_multi_rapid.adapters.scripted import ScriptedAdapter
from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Adapter
from cli_multi_rapid.schema.tools import ToolConfig

BUILT_IN: Final[tuple[Adapter, ...]] = (ShellAdapter(), PythonAdapter(), ActionsAdapter(), ScriptedAdapter())
"""Tools that are part of this program."""

AGENTS: Final = tuple(map(ToolName, ("claude", "aider", "codex", "cursor", "gemini", "opencode", "copilot")))
"""Agents that plans may name. Aliases such as `claude-cli` are resolved by `schema.names.tool_name`."""

KNOWN_TOOLS: Final = (*(adapter.name for adapter in BUILT_IN), *AGENTS)
"""Names that a plan may use without any configuration."""


def adapters(
    tools: Iterable[ToolConfig] = (), environ: Mapping[str, str] | None = None
) -> dict[ToolName, Adapter]:
    """Every tool that can be driven, by its name. A configured command never replaces a built-in tool.

    `environ` is the user's environment, from which a command gets the variables that it declares.
    """
    found: dict[ToolName, Adapter] = {tool.name: CommandAdapter(tool, environ) for tool in tools if tool.argv}
    return found | {adapter.name: adapter for adapter in BUILT_IN}


def missing(
    tool: ToolName, available: Mapping[ToolName, Adapter], environment: Mapping[str, str]
) -> str | None:
    """Why a tool cannot be used here, with what to do; None when it can."""
    adapter = available.get(tool)
    if adapter is not None:
        return adapter.missing(environment)
    if tool in AGENTS:
        return (
            f"the adapter for {tool} is not part of this version; "
            "configure it as a command in config/tools.yaml (docs/tools.md, Agents as commands)"
        )
    return f"no tool is called {tool}; describe it in config/tools.yaml (see docs/tools.md)"
