"""Whole runs in hundreds of small worlds: the rules of the architecture hold at every step.

`tests/fakes/run_rules.py` has the rules; `RunWorld` looks at them at every start and every end.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.plan import Approval, MergePolicy, MergeWhen, Plan
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.scheduler import Limits, decide
from cli_multi_rapid.core.state import RunState
from tests.examples import examples
from tests.fakes.pictures import picture
from tests.fakes.random_plans import random_limits, random_plan
from tests.fakes.run_world import RunWorld
from tests.fakes.sample_plans import MAIN
from tests.fakes.small_runs import bare
from tests.fakes.weather import RunWeather

seeds = st.integers(0, 2**32)


def lived(seed: int, *, people: bool = False, crashes: bool = False) -> RunWorld:
    """Any run in any weather."""
    random = Random(seed)
    chance = random.choice
    weather = RunWeather(
        fails=chance([0, 0.1, 0.4]),
        idle=chance([0, 0.2]),
        dear=chance([0, 0.2]),
        people=chance([0.05, 0.2]) if people else 0.0,
        crashes=chance([0.02, 0.1]) if crashes else 0.0,
        flake=chance([0, 0, 0.2]),
        broken=chance([0, 0, 0.2]),
        moves=chance([0, 0, 0.1]),
        held=chance([0, 0, 0.2]),
        culprits=frozenset(f"n{random.randint(1, 9)}#1" for _ in range(chance([0, 0, 1, 3]))),
    )
    world = RunWorld(plan=random_plan(random), limits=random_limits(random), weather=weather, random=random)
    world.live()
    return world


@given(seeds)
@settings(max_examples=examples(100))
def test_every_run_ends_and_keeps_every_rule(seed: int) -> None:
    world = lived(seed)
    assert not world.conflicts(), "work with conflicting claims was not built on each other"


@given(seeds)
@settings(max_examples=examples(100))
def test_people_may_say_anything_at_any_time(seed: int) -> None:
    lived(seed, people=True)


@given(seeds)
@settings(max_examples=examples(100))
def test_the_machine_may_stop_at_any_time(seed: int) -> None:
    lived(seed, people=Random(seed).random() < 0.5, crashes=True)


def easy(seed: int, **weather: float) -> RunWorld:
    """A run without questions and prices."""
    random = Random(seed)
    limits = replace(random_limits(random, priced=False), fail_fast=False)
    plan = random_plan(random, most=12, asks=False, priced=False)
    return RunWorld(plan=plan, limits=limits, weather=RunWeather(**weather), random=random)  # type: ignore[arg-type]  # chances


@given(seeds)
@settings(max_examples=examples(50))
def test_where_nothing_goes_wrong_everything_lands(seed: int) -> None:
    world = easy(seed, idle=0.2)
    world.live()
    assert [end.exit_code for end in world.finishes] == [0]
    assert all(node.landed for node in world.state.nodes.values())


@given(seeds)
@settings(max_examples=examples(50))
def test_a_failure_blocks_what_depends_on_it_and_nothing_else(seed: int) -> None:
    world = easy(seed, fails=0.5)
    world.live(finishes=1)
    for node in world.state.nodes.values():
        lost = any(world.state.nodes[dep].dead for dep in node.node.deps)
        failed = node.failure is not None and node.settled and not node.landed
        assert node.landed or lost or failed, f"{node.node.id} was stopped by a stranger"
        assert not (node.landed and lost and node.head), "landed without what it depends on"


@given(seeds)
@settings(max_examples=examples(30))
def test_a_decision_is_the_same_again_and_changes_nothing(seed: int) -> None:
    world, random = lived(seed, people=True, crashes=True), Random(seed)
    state = RunState(world.state.run_id)
    for event in world.events[: random.randint(0, len(world.events))]:
        state.apply(event)
    before = picture(state)
    intents = decide(state, world.limits, world.now)
    assert decide(state, world.limits, world.now) == intents
    assert picture(state) == before


@pytest.mark.parametrize("when", MergeWhen)
def test_work_that_waits_for_consent_does_not_land_inside_what_was_built_on_it(when: MergeWhen) -> None:
    nodes = (replace(bare("a"), approval=Approval.LANDING), bare("look", "a"), bare("b", "look"))
    policy = MergePolicy(target=MAIN, when=when)
    plan = Plan(plan_id="p", name="p", nodes=nodes, merge_policy=policy, branch_base=MAIN)
    tools = {ToolName("t"): ToolFacts(price=Price(free=True))}
    for seed in range(20):
        limits, weather = Limits(tools=tools), RunWeather(idle=0.3)
        world = RunWorld(plan=plan, limits=limits, weather=weather, random=Random(seed))
        world.live(finishes=1)
        waits = world.state.nodes[NodeId("a")].head is not None
        assert [end.exit_code for end in world.finishes] == [4 if waits else 0]
        landed = world.queue.contents[world.queue.tip] - {"base"}
        assert not waits or not landed
