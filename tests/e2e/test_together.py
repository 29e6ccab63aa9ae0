"""Several agents in one run: within a budget, and really at the same time."""

from decimal import Decimal

import pytest

from tests.e2e.agents import AIDER, CLAUDE, CODEX, PLAIN
from tests.e2e.conftest import Serve
from tests.fakes.model_server.script import Gather

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.mark.agents("claude")
def test_a_budget_of_two_cents_lands_two_nodes_of_nine_mills_and_refuses_the_third(world: Serve) -> None:
    names = ("one", "two", "three")
    here = world(**{name: CLAUDE.writes(f"{name}.txt", "hello\n", PLAIN) for name in names})

    ended = here.run(
        *(CLAUDE.node(name, f"{name}.txt", est_cost=0.009) for name in names), global_budget_usd=0.02
    )

    assert ended.status == 3, ended.out + ended.err
    assert here.repository.files("main") == ["README.md", "one.txt", "two.txt"], ended.err
    assert here.server.stage.settled("three") == ()
    assert here.node("three")["attempts"] == []
    assert here.ledger_total == Decimal("0.018")
    assert here.report["cost_summary"]["total_used_usd"] == 0.018
    assert here.ledger_total == CLAUDE.cost(*here.server.stage.settled())


@pytest.mark.agents("claude", "codex", "aider")
def test_four_agents_that_wait_for_each_other_all_land(world: Serve) -> None:
    team = {"one": CLAUDE, "two": CODEX, "three": AIDER, "four": CLAUDE}
    together = Gather(name="all", count=len(team))
    here = world(**{name: [together, *agent.edit(f"{name}.txt")] for name, agent in team.items()})

    ended = here.run(*(agent.node(name, f"{name}.txt") for name, agent in team.items()), global_budget_usd=1)

    assert ended.status == 0, ended.out + ended.err
    assert here.repository.files("main") == ["README.md", *sorted(f"{name}.txt" for name in team)]
    stage = here.server.stage
    expected = {name: agent.cost(*stage.settled(name)) for name, agent in team.items()}
    assert {name: Decimal(f"{here.node(name)['cost_usd']:.6f}") for name in team} == expected
    assert here.ledger_total == sum(expected.values())
