"""The provider says no: for good, for a moment, or in the middle of a sentence."""

import re

import pytest

from tests.e2e.agents import AIDER, CLAUDE, CODEX, Agent
from tests.e2e.conftest import Serve
from tests.fakes.model_server.script import Cut, Refuse

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]


def test_a_wrong_key_ends_the_node_in_three_seconds_with_the_reason_on_the_terminal(
    world: Serve, agent: Agent
) -> None:
    here = world(edit=agent.edit("hello.txt"))
    here.key = "sk-of-somebody-else"

    ended = here.run(agent.node("edit", "hello.txt", retries=2), global_budget_usd=1)

    assert ended.status == 1, ended.out + ended.err
    refused = here.server.stage.settled("edit")
    assert {exchange.status for exchange in refused} == {401}
    assert refused[-1].began - refused[0].began < 3
    assert len(here.node("edit")["attempts"]) == 1
    # claude has words of its own for it.
    reason = r"Invalid API key|(?:401|AuthenticationError).*the script takes another"
    assert re.search(rf"^  ! edit  failed: .*(?:{reason})", ended.out, re.MULTILINE), ended.out
    assert here.ledger_total == 0


@pytest.mark.parametrize(
    ("agent", "status"),
    [(CLAUDE, 429), (CLAUDE, 529), (CODEX, 429), (CODEX, 503), (AIDER, 500)],
    ids=lambda each: each.name if isinstance(each, Agent) else str(each),
)
def test_a_provider_that_is_overloaded_for_a_moment_costs_nothing_but_that_moment(
    world: Serve, agent: Agent, status: int
) -> None:
    here = world(edit=[Refuse(status=status, times=1), *agent.edit("hello.txt")])

    ended = here.run(agent.node("edit", "hello.txt", retries=1), global_budget_usd=1)

    assert ended.status == 0, ended.out + ended.err
    exchanges = here.server.stage.settled("edit")
    assert [exchange.status for exchange in exchanges] == [status] + [200] * len(agent.edit("hello.txt"))
    assert here.ledger_total == agent.cost(*exchanges)


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=lambda agent: agent.name)
def test_a_request_that_is_wrong_is_not_sent_again(world: Serve, agent: Agent) -> None:
    here = world(edit=[Refuse(status=400, message="the prompt is too clever")])

    ended = here.run(agent.node("edit", "hello.txt", retries=1), global_budget_usd=1)

    assert ended.status == 1, ended.out + ended.err
    assert "the prompt is too clever" in ended.out
    assert here.ledger_total == 0


def test_an_answer_that_breaks_off_is_asked_for_again(world: Serve, agent: Agent) -> None:
    here = world(edit=[Cut(after=3, times=1), *agent.edit("hello.txt")])

    ended = here.run(agent.node("edit", "hello.txt", retries=1), global_budget_usd=1)

    assert ended.status == 0, ended.out + ended.err
    assert here.repository.show("main", "hello.txt") == "hello\n"
    whole = [exchange for exchange in here.server.stage.settled("edit") if exchange.whole]
    assert len(whole) == len(agent.edit("hello.txt"))
    # A tool may count the part that it saw; it may not forget what it got.
    assert here.ledger_total >= agent.cost(*whole)
