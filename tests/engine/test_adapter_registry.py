"""Which tools a plan can name, and what is said of those that cannot be used."""

import os

from cli_multi_rapid.adapters.registry import AGENTS, BUILT_IN, KNOWN_TOOLS, adapters, missing
from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.schema.names import tool_name
from cli_multi_rapid.schema.tools import ToolConfig
from cli_multi_rapid.schema.work import BUILT_IN_TOOLS, VERIFY

ENVIRONMENT = {"PATH": os.environ["PATH"]}
CLAUDE = ToolName("claude")


def test_every_tool_that_a_plan_can_ask_work_of_has_one_adapter() -> None:
    assert {adapter.name for adapter in BUILT_IN} == set(BUILT_IN_TOOLS) - {VERIFY}
    assert len(set(KNOWN_TOOLS)) == len(KNOWN_TOOLS)
    assert all(tool_name(name) == name for name in KNOWN_TOOLS)
    assert tool_name("claude-cli") in KNOWN_TOOLS


def test_built_in_tools_can_be_used_without_any_configuration() -> None:
    available = adapters()
    assert [missing(adapter.name, available, ENVIRONMENT) for adapter in BUILT_IN] == [None] * len(BUILT_IN)


def test_an_agent_without_a_description_says_how_to_get_it() -> None:
    for agent in AGENTS:
        reason = missing(agent, adapters(), ENVIRONMENT)
        assert reason is not None
        assert reason.startswith(f"the adapter for {agent} is not part of this version")
        assert "config/tools.yaml" in reason


def test_a_described_agent_is_driven_as_a_command() -> None:
    available = adapters([ToolConfig(name=CLAUDE, argv=("true", "{prompt}"))])
    assert missing(CLAUDE, available, ENVIRONMENT) is None


def test_a_description_for_routing_alone_is_no_adapter() -> None:
    available = adapters([ToolConfig(name=CLAUDE, version_cmd=("claude", "--version"))])
    assert "not part of this version" in (missing(CLAUDE, available, ENVIRONMENT) or "")


def test_a_built_in_tool_cannot_be_replaced_by_configuration() -> None:
    available = adapters([ToolConfig(name=ToolName("shell"), argv=("evil",))])
    assert isinstance(available[ToolName("shell")], ShellAdapter)


def test_an_unknown_tool_is_named() -> None:
    assert "no tool is called toaster" in (missing(ToolName("toaster"), adapters(), ENVIRONMENT) or "")
