"""kill -9 around the opening of a breaker, then resume: the log alone says where it stands."""

import signal

import pytest

from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeStarted
from cli_multi_rapid.core.tool_events import BreakerOpened
from tests.fakes.agents import ALWAYS_OVERLOADED, Agent, hire
from tests.fakes.moments import Moment, start_work
from tests.fakes.worlds import World

PLAN = """
version: 1
plan_id: p
name: p
merge_policy: {checklist: [], when: after_all}
rollback_policy: {max_retry_attempts: 0}
nodes:
""" + "".join(
    f'  - {{id: {name}, tool: down, goal: "WRITE src/{name}.txt new", path_claims: [src/{name}.txt]}}\n'
    for name in "abcde"
)


@pytest.mark.parametrize(("moment", "opened"), [("before", 0), ("after", 1)])
def test_a_breaker_is_where_it_was_after_kill_9(world: World, moment: str, opened: int) -> None:
    agents = hire(
        world,
        Agent(name="down", body=ALWAYS_OVERLOADED, fallback="steady"),
        Agent(name="steady"),
        workers=1,
    )
    run_id = world.accept(PLAN)
    opening = Moment(type=BreakerOpened.type, before=moment == "before")
    assert start_work(world.repository.path, "run", opening) == -signal.SIGKILL
    left = world.events_of(run_id)
    assert sum(isinstance(event.data, BreakerOpened) for event in left) == opened

    story = world.drive(run_id)

    assert story.finished.exit_code == 0
    assert len(story.all_of(BreakerOpened)) == 1, "it opened anew, or never"
    failed = [fact for fact in story.all_of(NodeAttemptFailed) if isinstance(fact, NodeAttemptFailed)]
    assert sum(fact.failure == "transient" for fact in failed) == 3
    started = [fact for fact in story.all_of(NodeStarted) if isinstance(fact, NodeStarted)]
    assert sum(fact.tool == "down" for fact in started) == len(agents.prompts("down")) == 3
