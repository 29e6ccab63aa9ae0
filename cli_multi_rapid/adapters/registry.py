"""Which tools there are: built in, agents with adapters of their own, or described in `config/tools.yaml`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from cli_multi_rapid.adapters import aider, claude, codex, copilot, cursor, gemini, opencode
from cli_multi_rapid.adapters.actions import ActionsAdapter
from cli_multi_rapid.adapters.agent import AgentSettings, agent_settings
from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.python import PythonAdapter
from cli_multi_rapid.adapters.scripted import ScriptedAdapter
from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.ports import Adapter
from cli_multi_rapid.schema.tools import ToolConfig

BUILT_IN: Final[tuple[Adapter, ...]] = (ShellAdapter(), PythonAdapter(), ActionsAdapter(), ScriptedAdapter())
"""Tools that are part of this program."""

_DRIVERS: Final[Mapping[ToolName, tuple[Callable[[AgentSettings], Adapter], tuple[str, ...]]]] = {
    ToolName("claude"): (claude.ClaudeAdapter, claude.VARIABLES),
    ToolName("aider"): (aider.AiderAdapter, aider.VARIABLES),
    ToolName("codex"): (codex.CodexAdapter, codex.VARIABLES),
    ToolName("cursor"): (cursor.CursorAdapter, cursor.VARIABLES),
    ToolName("gemini"): (gemini.GeminiAdapter, gemini.VARIABLES),
    ToolName("opencode"): (opencode.OpencodeAdapter, opencode.VARIABLES),
    ToolName("copilot"): (copilot.CopilotAdapter, copilot.VARIABLES),
}
"""For each agent its adapter, and the user's variables that it gets: no other agent's keys."""

AGENTS: Final = tuple(_DRIVERS)
"""Agents that plans may name. Aliases such as `claude-cli` are resolved by `schema.names.tool_name`."""

KNOWN_TOOLS: Final = (*(adapter.name for adapter in BUILT_IN), *AGENTS)
"""Names that a plan may use without any configuration."""


ANSWERERS: Final = (ToolName("claude"), ToolName("codex"))
"""Agents whose own adapters can be asked for an answer by a schema: no work, no tools, nothing written."""


def answerer(
    name: ToolName, tools: Iterable[ToolConfig], environ: Mapping[str, str] | None = None
) -> Adapter | None:
    """The adapter to ask; None when another command was configured in its place."""
    known = tuple(tools)
    if name not in ANSWERERS or any(tool.name == name and tool.argv for tool in known):
        return None
    return adapters(known, environ)[name]


def agent_variables(agent: ToolName) -> tuple[str, ...]:
    """The user's variables that an agent gets without being configured."""
    return _DRIVERS[agent][1]


def adapters(
    tools: Iterable[ToolConfig] = (), environ: Mapping[str, str] | None = None
) -> dict[ToolName, Adapter]:
    """Every tool that can be driven, by its name.

    A configured `argv` takes the place of an agent's adapter, never that of a built-in tool. `environ` is the
    user's environment, from which agents and commands get the variables that they declare.
    """
    configs = {tool.name: tool for tool in tools}
    found: dict[ToolName, Adapter] = {
        name: driver(agent_settings(configs.get(name), variables, environ))
        for name, (driver, variables) in _DRIVERS.items()
    }
    found |= {name: CommandAdapter(tool, environ) for name, tool in configs.items() if tool.argv}
    return found | {adapter.name: adapter for adapter in BUILT_IN}


def missing(
    tool: ToolName, available: Mapping[ToolName, Adapter], environment: Mapping[str, str]
) -> str | None:
    """Why a tool cannot be used here, with what to do; None when it can."""
    adapter = available.get(tool)
    if adapter is not None:
        return adapter.missing(environment)
    return f"no tool is called {tool}; describe it in config/tools.yaml (see docs/tools.md)"
