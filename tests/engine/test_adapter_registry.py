"""Which tools a plan can name, and what is said of those that cannot be used."""

import os

from cli_multi_rapid.adapters.claude import ClaudeAdapter
from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.adapters.registry import AGENTS, BUILT_IN, KNOWN_TOOLS, adapters, missing
from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.built_in_tools import BUILT_IN_TOOLS, VERIFY
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.on_demand import OnDemand
from cli_multi_rapid.schema.names import tool_name
from cli_multi_rapid.schema.tools import ToolConfig

ENVIRONMENT = {"PATH": os.environ["PATH"]}
CLAUDE = ToolName("claude")


def test_every_tool_that_a_plan_can_ask_work_of_has_one_adapter() -> None:
    assert set(BUILT_IN) == set(BUILT_IN_TOOLS) - {VERIFY}
    assert all(name == adapter.name for name, adapter in adapters().items())
    assert len(set(KNOWN_TOOLS)) == len(KNOWN_TOOLS)
    assert all(tool_name(name) == name for name in KNOWN_TOOLS)
    assert tool_name("claude-cli") in KNOWN_TOOLS


def test_built_in_tools_can_be_used_without_any_configuration() -> None:
    available = adapters()
    assert [missing(name, available, ENVIRONMENT) for name in BUILT_IN] == [None] * len(BUILT_IN)


def test_an_agent_whose_program_is_not_there_says_how_to_get_it() -> None:
    for agent in AGENTS:
        reason = missing(agent, adapters(), {"PATH": "/nowhere"})
        assert reason is not None
        assert f"of the tool {agent} was not found: install it (" in reason


def test_an_agent_that_is_described_with_an_argv_is_driven_as_that_command() -> None:
    available = adapters([ToolConfig(name=CLAUDE, argv=("true", "{prompt}"))])
    assert isinstance(available[CLAUDE], CommandAdapter)
    assert missing(CLAUDE, available, ENVIRONMENT) is None


def test_an_agent_that_is_described_without_an_argv_keeps_its_adapter() -> None:
    available = adapters([ToolConfig(name=CLAUDE, version_cmd=("claude", "--version"))])
    assert isinstance(available[CLAUDE], ClaudeAdapter)


def test_a_built_in_tool_cannot_be_replaced_by_configuration() -> None:
    available = adapters([ToolConfig(name=ToolName("shell"), argv=("evil",))])
    assert isinstance(available[ToolName("shell")], ShellAdapter)


def test_an_unknown_tool_is_named() -> None:
    assert "no tool is called toaster" in (missing(ToolName("toaster"), adapters(), ENVIRONMENT) or "")


def test_an_adapter_is_made_once_and_only_when_it_is_asked_for() -> None:
    available = adapters()
    assert available[CLAUDE] is available[CLAUDE]
    made: list[str] = []
    values = OnDemand({"a": lambda: made.append("a"), "b": lambda: made.append("b")})
    assert ("a" in values, "c" in values, list(values), len(values)) == (True, False, ["a", "b"], 2)
    assert made == []
    assert values["b"] is values["b"] is None
    assert made == ["b"]
