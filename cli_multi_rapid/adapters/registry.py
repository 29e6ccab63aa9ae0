"""Which tools there are: built in, agents with adapters of their own, or described in `config/tools.yaml`."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Final

from cli_multi_rapid.adapters.actions import ActionsAdapter
from cli_multi_rapid.adapters.agent import agent_settings
from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.python import PythonAdapter
from cli_multi_rapid.adapters.scripted import ScriptedAdapter
from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.on_demand import OnDemand
from cli_multi_rapid.ports import Adapter
from cli_multi_rapid.schema import work
from cli_multi_rapid.schema.tools import ToolConfig

BUILT_IN: Final[tuple[Adapter, ...]] = (ShellAdapter(), PythonAdapter(), ActionsAdapter(), ScriptedAdapter())
"""Tools that are part of this program."""

_AGENT_CLASSES: Final[Mapping[ToolName, str]] = {
    ToolName("claude"): "ClaudeAdapter",
    ToolName("aider"): "AiderAdapter",
    ToolName("codex"): "CodexAdapter",
    ToolName("cursor"): "CursorAdapter",
    ToolName("gemini"): "GeminiAdapter",
    ToolName("opencode"): "OpencodeAdapter",
    ToolName("copilot"): "CopilotAdapter",
}
"""For each agent the adapter's class, in the module of its name. It is loaded when it is used."""

AGENTS: Final = tuple(_AGENT_CLASSES)
"""Agents that plans may name. Aliases such as `claude-cli` are resolved by `schema.names.tool_name`."""

KNOWN_TOOLS: Final = (*(adapter.name for adapter in BUILT_IN), *AGENTS)
"""Names that a plan may use without any configuration."""

ANSWERERS: Final = work.ANSWERERS
"""Agents whose own adapters can be asked for an answer by a schema: no work, nothing written."""


def answerer(
    name: ToolName, tools: Iterable[ToolConfig], environ: Mapping[str, str] | None = None
) -> Adapter | None:
    """The adapter to ask; None when another command was configured in its place."""
    known = tuple(tools)
    if name not in ANSWERERS or any(tool.name == name and tool.argv for tool in known):
        return None
    return adapters(known, environ)[name]


def agent_variables(agent: ToolName) -> tuple[str, ...]:
    """The user's variables that an agent gets without being configured: no other agent's keys."""
    variables: tuple[str, ...] = _agent_module(agent).VARIABLES
    return variables


def adapters(
    tools: Iterable[ToolConfig] = (), environ: Mapping[str, str] | None = None
) -> Mapping[ToolName, Adapter]:
    """Every tool that can be driven; each adapter is made when it is first asked for.

    A configured `argv` takes the place of an agent's adapter, never that of a built-in tool. `environ` is the
    user's environment, from which agents and commands get the variables that they declare.
    """
    configs = {tool.name: tool for tool in tools}
    makers: dict[ToolName, Callable[[], Adapter]] = {
        name: partial(_agent, name, configs.get(name), environ) for name in AGENTS
    }
    makers |= {name: partial(CommandAdapter, tool, environ) for name, tool in configs.items() if tool.argv}
    return OnDemand(makers | {adapter.name: partial(_itself, adapter) for adapter in BUILT_IN})


def _agent(name: ToolName, config: ToolConfig | None, environ: Mapping[str, str] | None) -> Adapter:
    settings = agent_settings(config, agent_variables(name), environ)
    made: Adapter = getattr(_agent_module(name), _AGENT_CLASSES[name])(settings)
    return made


def _agent_module(name: ToolName) -> ModuleType:
    return import_module(f"cli_multi_rapid.adapters.{name}")


def _itself(adapter: Adapter) -> Adapter:
    return adapter


def missing(
    tool: ToolName, available: Mapping[ToolName, Adapter], environment: Mapping[str, str]
) -> str | None:
    """Why a tool cannot be used here, with what to do; None when it can."""
    adapter = available.get(tool)
    if adapter is not None:
        return adapter.missing(environment)
    return f"no tool is called {tool}; describe it in config/tools.yaml (see docs/tools.md)"
