"""The real claude and codex as planners: a plan that came back invalid is repaired, run, and paid for."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import pytest

from tests.e2e.agents import CLAUDE, CODEX, Agent
from tests.e2e.conftest import Serve
from tests.e2e.world import World
from tests.fakes.meanwhile import wait_until
from tests.fakes.model_server.exchange import NO_SCRIPT
from tests.fakes.model_server.script import Answer, Call, Say, Silence

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]

REQUEST: Final = (
    *("--request", "Add OAuth2 authentication to user service"),
    *("--files", "src/auth/", "--budget", "15"),
)
FILES: Final = {
    **dict.fromkeys(("src/auth/user.py", "tests/test_user.py", "docs/user.md"), "# nothing yet\n"),
    "config/orchestrator.yaml": "checks: {readme: {run: test -f README.md}}\n"
    "merge_policy: {checklist: [readme]}\n",
    "config/tools.yaml": "tools:\n"
    "  - {name: claude, version_cmd: [claude, --version], model: claude-sonnet-4-5, capabilities: [code]}\n"
    "  - {name: codex, version_cmd: [codex, --version], model: gpt-5-codex, capabilities: [code]}\n",
}
WORK: Final = {"implement": "src/auth/oauth.py", "tests": "tests/test_oauth.py", "docs": "docs/oauth.md"}


def a_draft(agent: Agent, **outputs: str) -> Mapping[str, Any]:
    """Four nodes; `outputs` in place of what a node really writes."""
    nodes = [
        {
            "id": name,
            "label": f"Write {path}",
            # The repair quotes the draft that is wrong: it must not choose another script for the planner.
            "goal": f"Write {path}." if outputs else f"Write {path}. script={name}",
            "tool": agent.name,
            "deps": [] if name == "implement" else ["implement"],
            "inputs": [],
            "outputs": [outputs.get(name, path)],
            "path_claims": [{"path": path, "mode": "exclusive"}],
            "capabilities": ["code"],
            "priority": "medium",
            "estimated_duration_min": 5,
        }
        for name, path in WORK.items()
    ]
    verify = {
        **nodes[0],
        "id": "verify",
        "label": "Verify",
        "goal": "Verify",
        "tool": "verify",
        "deps": list(WORK),
        "outputs": [],
        "path_claims": [],
    }
    return {"name": "OAuth2 authentication", "nodes": [*nodes, verify]}


def answer(agent: Agent, draft: Mapping[str, Any]) -> Answer:
    """How a model gives it: claude is made to call a tool of its CLI."""
    if agent is CLAUDE:
        return Call(tool="StructuredOutput", arguments=draft, tokens=agent.tokens)
    return Say(text=json.dumps(draft), tokens=agent.tokens)


def planned_by(agent: Agent, world: Serve, *answers: Answer | Silence) -> World:
    here = world(**{NO_SCRIPT: answers, **{name: agent.edit(path) for name, path in WORK.items()}})
    here.repository.commit(FILES, "configuration")
    return here


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=lambda agent: agent.name)
def test_an_invalid_plan_is_repaired_and_its_four_nodes_are_run_within_the_budget(
    world: Serve, agent: Agent
) -> None:
    invalid, valid = a_draft(agent, tests="elsewhere.py"), a_draft(agent)
    # A session that claude goes on with has one answer more than its model gave.
    between = (Say(text="never asked for"),) if agent is CLAUDE else ()
    here = planned_by(agent, world, answer(agent, invalid), *between, answer(agent, valid))

    ended = here.type("execute", *REQUEST, "--planner", agent.name, "--yes")

    assert ended.status == 0, ended.out + ended.err
    assert "draft-1.json:" in ended.err
    assert "outside its claims" in ended.err
    assert set(WORK.values()) <= set(here.repository.files("main"))
    assert [node["node_id"] for node in here.report["nodes"]] == [*WORK, "verify"]
    assert {node["status"] for node in here.report["nodes"]} == {"completed"}
    asked = here.server.stage.settled(NO_SCRIPT)
    assert len(asked) == 2
    everything = [each for name in (NO_SCRIPT, *WORK) for each in here.server.stage.settled(name)]
    assert here.ledger_total == agent.cost(*everything)
    spent = Decimal(f"{here.report['cost_summary']['total_used_usd']:.6f}")
    assert spent == here.ledger_total
    assert here.repository.status() == ""


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=lambda agent: agent.name)
def test_a_planner_whose_orchestrator_is_killed_leaves_no_process(world: Serve, agent: Agent) -> None:
    here = planned_by(agent, world, Silence())

    with here.typing("execute", *REQUEST, "--planner", agent.name, "--yes") as program:
        here.server.stage.wait_until_asked(NO_SCRIPT)
        assert here.processes != []
        program.kill()
        program.wait()
        wait_until(lambda: here.processes == [], "the end of the planner")

    assert here.repository.status() == ""
