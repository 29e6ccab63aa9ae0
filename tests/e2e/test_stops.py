"""What has to be stopped is stopped, and leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.agents import AIDER, CLAUDE, CODEX, Agent
from tests.e2e.conftest import Serve
from tests.e2e.world import World
from tests.fakes.model_server.script import Say, Silence

pytestmark = [pytest.mark.e2e, pytest.mark.allow_hosts(["127.0.0.1"])]

DETACHED = "setsid -f sleep 3600 >/dev/null 2>&1 </dev/null"


def test_a_silent_provider_ends_the_node_at_its_timeout_with_no_process_left(
    world: Serve, agent: Agent
) -> None:
    here = world(mute=[Silence()])

    timeout_s = here.start_s(agent)

    ended = here.run(agent.node("mute", "hello.txt", timeout_s=timeout_s), global_budget_usd=1)

    assert ended.status == 1, ended.out + ended.err
    assert here.processes == []
    node = here.node("mute")
    assert (node["failure"], len(here.server.stage.settled("mute"))) == ("timed_out", 1)
    assert timeout_s <= node["duration_min"] * 60 < timeout_s + 15
    assert f"{timeout_s} s" in ended.out


@pytest.mark.parametrize("agent", [CLAUDE, CODEX], ids=lambda agent: agent.name)
@pytest.mark.parametrize("then", ["ends", "is silent"])
def test_a_child_that_a_tool_detached_ends_with_the_attempt(world: Serve, agent: Agent, then: str) -> None:
    assert agent.runs is not None
    spawn = agent.runs(f"echo hello > hello.txt; {DETACHED}", agent.tokens)
    last = Say(text="Done", tokens=agent.tokens) if then == "ends" else Silence()
    here = world(spawn=[spawn, last])
    timeout_s = here.start_s(agent) + 5

    ended = here.run(agent.node("spawn", "hello.txt", timeout_s=timeout_s), global_budget_usd=1)

    assert ended.status == (0 if then == "ends" else 1), ended.out + ended.err
    assert len(here.server.stage.settled("spawn")) == 2
    assert here.processes == []


@pytest.mark.parametrize("agent", [CLAUDE], ids=lambda agent: agent.name)
def test_a_detached_child_is_found_by_its_marker_while_it_lives(world: Serve, agent: Agent) -> None:
    assert agent.runs is not None
    here = world(spawn=[agent.runs(DETACHED, agent.tokens), Silence()])

    with here.running(agent.node("spawn", "hello.txt", timeout_s=here.start_s(agent) + 5)) as program:
        here.server.stage.wait_until_asked("spawn", 2)
        assert "sleep 3600" in " / ".join(here.processes)
        program.wait(timeout=120)

    assert here.processes == []


@contextmanager
def killed_while_it_asks(here: World, agent: Agent) -> Iterator[None]:
    """The orchestrator dies by SIGKILL when the model is asked, which leaves the agent behind."""
    with here.running(agent.node("edit", "hello.txt"), global_budget_usd=1) as program:
        here.server.stage.wait_until_asked("edit")
        program.kill()
        program.wait()
        yield


@pytest.mark.parametrize("agent", [CLAUDE, CODEX, AIDER], ids=lambda agent: agent.name)
def test_after_kill_9_resume_ends_what_was_left_and_lands_once(world: Serve, agent: Agent) -> None:
    here = world(edit=[Silence(times=1), *agent.edit("hello.txt")])
    base = here.repository.head

    with killed_while_it_asks(here, agent):
        ended = here.resume()

    assert ended.status == 0, ended.out + ended.err
    assert here.processes == []
    assert here.repository.show("main", "hello.txt") == "hello\n"
    landed = here.repository.git("rev-list", "--count", "--first-parent", f"{base}..main").strip()
    assert landed == "1"
    first, second = here.node("edit")["attempts"]
    assert (first["failure"], second["failure"]) == ("interrupted", None)
    whole = [exchange for exchange in here.server.stage.settled("edit") if exchange.whole]
    told = float(agent.cost(*whole))
    # codex tells the totals of a session: what was set aside for the attempt that was cut off pays for them.
    charged = max(0.0, told - first["cost_usd"]) if agent is CODEX else told
    assert second["cost_usd"] == pytest.approx(charged, abs=1e-9)
