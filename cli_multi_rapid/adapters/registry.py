"""Which tools there are: built in, agents with adapters of their own, or described in `config/tools.yaml`."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Final

from cli_multi_rapid.core.built_in_tools import ACTIONS, PYTHON, SCRIPTED, SHELL, VERIFY
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.routing import ANSWERERS, AUTO
from cli_multi_rapid.on_demand import OnDemand
from cli_multi_rapid.ports import Adapter
from cli_multi_rapid.schema.tools import ToolConfig

BUILT_IN: Final[Mapping[ToolName, str]] = {
    SHELL: "ShellAdapter",
    PYTHON: "PythonAdapter",
    ACTIONS: "ActionsAdapter",
    SCRIPTED: "ScriptedAdapter",
}
"""For each tool that does its work in this program the adapter's class, in the module of its name."""

_AGENT_CLASSES: Final[Mapping[ToolName, str]] = {
    ToolName("claude"): "ClaudeAdapter",
    ToolName("aider"): "AiderAdapter",
    ToolName("codex"): "CodexAdapter",
    ToolName("cursor"): "CursorAdapter",
    ToolName("gemini"): "GeminiAdapter",
    ToolName("opencode"): "OpencodeAdapter",
    ToolName("copilot"): "CopilotAdapter",
}
"""The same for each agent. Modules are loaded when their tools are used."""

AGENTS: Final = tuple(_AGENT_CLASSES)
"""Agents that plans may name. Aliases such as `claude-cli` are resolved by `schema.names.tool_name`."""

KNOWN_TOOLS: Final = (*BUILT_IN, *AGENTS)
"""Names that a plan may use without any configuration."""


def known_tools(tools: Iterable[ToolConfig]) -> frozenset[str]:
    """Every name that a node's `tool` may have, where these are described."""
    return frozenset((VERIFY, AUTO, *KNOWN_TOOLS, *(tool.name for tool in tools)))


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
    variables: tuple[str, ...] = _module_of(agent).VARIABLES
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
    makers |= {name: partial(_command, tool, environ) for name, tool in configs.items() if tool.argv}
    return OnDemand(makers | {name: partial(_built_in, name) for name in BUILT_IN})


def _built_in(name: ToolName) -> Adapter:
    made: Adapter = getattr(_module_of(name), BUILT_IN[name])()
    return made


def _command(config: ToolConfig, environ: Mapping[str, str] | None) -> Adapter:
    made: Adapter = _module_of("command").CommandAdapter(config, environ)
    return made


def _agent(name: ToolName, config: ToolConfig | None, environ: Mapping[str, str] | None) -> Adapter:
    settings = _module_of("agent").agent_settings(config, agent_variables(name), environ)
    made: Adapter = getattr(_module_of(name), _AGENT_CLASSES[name])(settings)
    return made


def _module_of(name: str) -> ModuleType:
    return import_module(f"cli_multi_rapid.adapters.{name}")


def missing(
    tool: ToolName, available: Mapping[ToolName, Adapter], environment: Mapping[str, str]
) -> str | None:
    """Why a tool cannot be used here, with what to do; None when it can."""
    adapter = available.get(tool)
    if adapter is not None:
        return adapter.missing(environment)
    return f"no tool is called {tool}; describe it in config/tools.yaml (see docs/tools.md)"
