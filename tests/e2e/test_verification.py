"""The real claude and codex as reviewers: what they find is fixed by the same agent and looked at again."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.e2e.agents import CLAUDE, CODEX, Agent
from tests.e2e.conftest import Serve
from tests.fakes.model_server.exchange import NO_SCRIPT
from tests.fakes.model_server.script import Answer, Call, Say

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]

WORK: Final = {"id": "n1", "tool": "shell", "run": "echo todo > done.txt", "path_claims": ["done.txt"]}
GOOD: Final = {"verdict": "pass", "summary": "It is done.", "findings": []}
# The fix is told what was found, and so is the second review: both follow this script.
FINDING: Final = {
    "file": "done.txt",
    "line": 1,
    "severity": "major",
    "summary": "It says todo. script=fix",
    "node": "n1",
}
BAD: Final = {"verdict": "fail", "summary": "Not done.", "findings": [FINDING]}


def answer(agent: Agent, review: Mapping[str, Any]) -> Answer:
    """How a model gives it: claude is made to call a tool of its CLI."""
    if agent is CLAUDE:
        return Call(tool="StructuredOutput", arguments=review, tokens=agent.tokens)
    return Say(text=json.dumps(review), tokens=agent.tokens)


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=lambda agent: agent.name)
def test_a_reviewer_changes_nothing_and_what_it_finds_is_fixed_and_reviewed_again(
    world: Serve, agent: Agent
) -> None:
    assert agent.runs is not None
    scribbles = agent.runs("echo me too > scribble.txt", agent.tokens)
    fixes = agent.runs("echo done > done.txt", agent.tokens)
    # The fix of claude ends with words; the review goes on, because only an answer ends it.
    between = (Say(text="Done.", tokens=agent.tokens),) if agent is CLAUDE else ()
    here = world(
        **{NO_SCRIPT: (scribbles, answer(agent, BAD)), "fix": (fixes, *between, answer(agent, GOOD))}
    )
    look = {
        "id": "look",
        "tool": agent.name,
        "model": agent.model,
        "review": True,
        "deps": ["n1"],
        "est_cost": 0.05,
        "timeout_s": 300,
    }
    here.repository.commit(
        {"config/tools.yaml": f"tools: [{{name: {agent.name}, model: {agent.model}}}]\n"}, "configuration"
    )

    ended = here.run(WORK, look, verification={"fix": "auto", "tool": agent.name}, global_budget_usd=20)

    assert ended.status == 0, ended.out + ended.err
    assert here.repository.show("main", "done.txt") == "done\n"
    assert here.repository.files("main").count("scribble.txt") == 0
    (amended,) = here.report["amendments"]
    assert (amended["nodes"], amended["again"]) == (["fix-1-1"], ["look"])
    assert [attempt["outcome"] for attempt in here.node("look")["attempts"]] == ["failed", "succeeded"]
    assert here.ledger_total == agent.cost(*here.server.stage.settled())
    assert here.repository.status() == ""
