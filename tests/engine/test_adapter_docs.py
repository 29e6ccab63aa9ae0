"""The examples of docs/tools.md work as they stand there."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.adapters.health import probe
from cli_multi_rapid.adapters.registry import AGENTS, KNOWN_TOOLS, adapters, agent_variables
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.selection import Choice, Scene, choose
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.ports import CostClass
from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.settings import Settings
from cli_multi_rapid.schema.tools import ToolConfig, parse_tools
from cli_multi_rapid.system import SystemClock
from cli_multi_rapid.tool_facts import tool_facts
from tests.conftest import REPOSITORY
from tests.contract.adapter_world import AdapterWorld, with_model
from tests.fakes.command_line import type_in
from tests.fakes.repositories import make_repository

PAGE = (REPOSITORY / "docs" / "tools.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str) -> list[str]:
    """The fenced examples in one section of the page."""
    _, _, rest = PAGE.partition(f"\n## {heading}\n")
    section, _, _ = rest.partition("\n## ")
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found


def tools(text: str) -> dict[ToolName, ToolConfig]:
    problems = Problems()
    document = read_document(text, "config/tools.yaml", problems)
    parsed = parse_tools(document, problems, known_tools=KNOWN_TOOLS) if document else None
    assert parsed is not None, problems.to_text()
    assert len(problems) == 0, problems.to_text()
    return {tool.name: tool for tool in parsed}


def node(text: str, *known: str) -> Node:
    problems = Problems()
    document = read_document(f"version: 1\nplan_id: p\nname: p\nnodes:\n{text}", "plan.yaml", problems)
    plan = parse_plan(document, problems, known_tools=(*KNOWN_TOOLS, *known)) if document else None
    assert plan is not None, problems.to_text()
    return plan.nodes[0]


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    for name in ("slot", "temp", "bin"):
        (tmp_path / name).mkdir()
    return AdapterWorld(tmp_path / "slot", tmp_path / "temp")


def test_the_worked_example_adds_a_tool_by_its_description_alone(world: AdapterWorld, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "note-agent"
    program.write_text(blocks("A command of your own", "sh")[0])
    program.chmod(0o755)
    description, use = blocks("A command of your own", "yaml")[:2]
    (config,) = tools(description).values()
    environment = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    work = node(use, config.name)

    adapter = adapters([config])[work.tool]
    brief = replace(world.brief(prompt=work.goal), node=work, environment=environment)
    attempt = world.attempt(adapter, brief)

    assert adapter.missing(environment) is None
    assert (adapter.missing({"PATH": "/nowhere"}) or "").startswith("the program note-agent of the tool")
    assert adapter.cost is CostClass.PRICED
    assert config.typical_cost == parse_usd("0.05")
    assert attempt.reading.ok, attempt.text
    assert "working with model small" in attempt.text
    assert world.files() == {"NOTES.md": "Remember to bring the milk"}
    assert (attempt.reading.summary, attempt.reading.session_id) == ("noted", "s-17")
    assert (attempt.reading.usage.cost, attempt.reading.usage.tokens) == (20_000, 150)
    health = probe(config, environment, SystemClock())
    assert (health.status, health.version) == (HealthStatus.HEALTHY, "1.4.0")


def test_the_lines_of_the_worked_example_are_all_that_a_whole_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "note-agent"
    program.parent.mkdir()
    program.write_text(blocks("A command of your own", "sh")[0])
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    description, use = blocks("A command of your own", "yaml")[:2]
    repository = make_repository(tmp_path / "repo", {"config/tools.yaml": description})
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"version: 1\nplan_id: p\nname: p\nmerge_policy: {{checklist: []}}\nnodes:\n{use}")

    told = type_in(repository.path, "execute", plan, "--format", "json")

    assert told.status == 0, told.err
    assert "Remember to bring the milk" in repository.show("main", "NOTES.md")
    (done,) = told.document["nodes"]
    assert (done["tool"], done["merge_status"], done["cost_usd"]) == ("note-agent", "MERGED", 0.02)


def test_the_example_of_an_open_choice_goes_to_the_cheapest_that_can_do_it() -> None:
    description, use = blocks("Which tool does a node", "yaml")
    configs = tuple(tools(description).values())
    found = choose(
        NodeState(node=node(use, "auto")), Scene(tools=tool_facts(Settings(), configs), now=datetime.now(UTC))
    )
    assert found == Choice(
        tool=ToolName("aider"), reason="cheapest healthy of aider, claude with `python`, `testing`"
    )


def test_the_scripted_example_fails_once_and_then_succeeds(world: AdapterWorld) -> None:
    work = node(blocks("The scripted tool", "yaml")[0])
    adapter = adapters()[work.tool]
    first, second = (world.attempt(adapter, replace(world.brief(attempt=n), node=work)) for n in (1, 2))
    assert first.reading.failure is FailureClass.TRANSIENT
    assert second.reading.ok, second.text
    assert world.files() == {"notes/first.md": "# First note\nsecond try"}


def test_the_configuration_of_an_agent_is_read_as_it_stands_there() -> None:
    (config,) = tools(blocks("Agents", "yaml")[0]).values()
    assert (config.name, config.model, config.args) == ("codex", "gpt-5.4", ("--profile", "ci"))
    assert [price.model for price in config.prices] == ["house-model"]


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_said_of_an_agent_is_what_is_done(agent: ToolName, world: AdapterWorld) -> None:
    section = PAGE.partition(f"\n### {agent}")[2].partition("\n##")[0]
    assert section, agent
    words = " ".join(section.split())
    for variable in agent_variables(agent):
        assert f"`{variable}`" in words, variable
    argv = adapters()[agent].prepare(with_model(world.brief(prompt="PROMPT"), "M")).argv
    assert f"`{argv[0]} " in words
    for option in (argument for argument in argv if argument.startswith("--")):
        name = option.partition("=")[0]
        assert name in words or (agent == "aider" and "…" in words), option
