"""An agent's edit lands, at the cost that the used tokens imply; an agent that edits nothing has failed."""

import pytest

from tests.e2e.agents import Agent
from tests.e2e.conftest import Serve

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_an_edit_lands_at_exactly_the_cost_of_its_tokens(world: Serve, agent: Agent) -> None:
    here = world(edit=agent.edit("hello.txt"))

    ended = here.run(agent.node("edit", "hello.txt"), global_budget_usd=1)

    assert ended.status == 0, ended.out + ended.err
    assert here.repository.show("main", "hello.txt") == "hello\n"
    node, exchanges = here.node("edit"), here.server.stage.settled("edit")
    assert (node["status"], node["merge_status"]) == ("completed", "MERGED")
    assert node["landed_commit"] == here.repository.head
    assert here.report["merge_summary"]["pre_merge_checks_passed"] == 1
    assert len(exchanges) == len(agent.edit("hello.txt"))
    assert f"{node['cost_usd']:.6f}" == f"{agent.cost(*exchanges):.6f}"
    assert here.ledger_total == agent.cost(*exchanges)
    assert node["tokens_used"] == sum(each.tokens.input + each.tokens.output for each in exchanges)
    assert here.repository.status() == ""


def test_an_agent_that_changes_nothing_has_failed_and_is_charged(world: Serve, agent: Agent) -> None:
    here = world(idle=[agent.idle()])

    ended = here.run(agent.node("idle", "hello.txt"), global_budget_usd=1)

    assert ended.status == 1, ended.out + ended.err
    assert here.repository.files("main") == ["README.md"]
    node = here.node("idle")
    # aider leaves an empty file, which is an output that says nothing; the others leave none.
    assert (node["status"], node["failure"]) in (("failed", "missing_output"), ("failed", "no_change"))
    assert here.ledger_total == agent.cost(*here.server.stage.settled("idle"))
