"""Runs that are amended, whole, in hundreds of small worlds: every rule holds, and it ends."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.dag import find_cycle
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Role
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.core.verification_events import Amending
from tests.examples import examples
from tests.fakes.pictures import picture
from tests.fakes.random_plans import random_limits, random_plan
from tests.fakes.small_runs import bare
from tests.fakes.verifying_world import VerifyingWorld
from tests.fakes.weather import RunWeather

seeds = st.integers(0, 2**32)


def lived(seed: int, *, crashes: bool = False, people: bool = False) -> VerifyingWorld:
    """Any run in any weather, with verifications that reject."""
    random = Random(seed)
    priced = random.random() < 0.3
    limits = random_limits(random, priced=priced)
    tools = {name: replace(facts, answers=name == "claude") for name, facts in limits.tools.items()}
    tool = random.choice([None, ToolName("aider")])
    policy = FixPolicy(
        mode=random.choice([FixMode.ASK, FixMode.AUTO]), rounds=random.randint(0, 3), tool=tool
    )
    plan = random_plan(random, most=6, asks=random.random() < 0.2, priced=priced)
    last = replace(bare("last", *(each.id for each in plan.nodes)), role=Role.IPT, tool=ToolName("verify"))
    world = VerifyingWorld(
        plan=replace(plan, nodes=(*plan.nodes, last)),
        limits=replace(limits, tools=tools, fix=policy, fail_fast=random.random() < 0.1),
        weather=RunWeather(
            fails=random.choice([0, 0.2]),
            idle=random.choice([0, 0.2]),
            people=random.choice([0.05, 0.2]) if people else 0.0,
            crashes=random.choice([0.02, 0.1]) if crashes else 0.0,
        ),
        random=random,
        rejects=random.choice([0.3, 1.0]),
        most_findings=random.choice([2, 4]),
    )
    world.live()
    return world


def assert_sound(world: VerifyingWorld) -> None:
    """Bounded, free of cycles, and what was there before is as it was."""
    plan = world.state.plan
    assert plan is not None
    assert find_cycle({each.id: each.deps for each in plan.nodes}) is None
    assert len({past.number for past in world.state.amendments}) <= world.limits.fix.rounds
    assert len(world.state.amendments) <= 2 * world.limits.fix.rounds
    for old in world.plan.nodes:
        new = plan.by_id[old.id]
        assert replace(new, deps=old.deps) == old
        assert new.deps[: len(old.deps)] == old.deps
        assert old.role is Role.IPT or new.deps == old.deps


@given(seeds)
@settings(max_examples=examples(40))
def test_every_amended_run_ends_and_keeps_every_rule(seed: int) -> None:
    assert_sound(lived(seed))


@given(seeds)
@settings(max_examples=examples(25))
def test_the_machine_may_stop_and_people_may_speak_while_a_run_is_amended(seed: int) -> None:
    world = lived(seed, crashes=True, people=Random(seed).random() < 0.5)
    assert_sound(world)
    again = RunState(world.state.run_id)
    for event in world.events:
        again.apply(event)
    assert picture(again) == picture(world.state)


def test_people_of_those_worlds_overrule_what_was_found_and_take_it_back() -> None:
    told = {event.type for seed in range(25) for event in lived(seed, people=True).events}
    assert told >= {"node.finding_waived", "node.finding_restored", "node.excused"}


def test_those_worlds_amend_their_runs_in_every_way() -> None:
    kinds = {past.kind for seed in range(25) for past in lived(seed).state.amendments}
    assert kinds == set(Amending)
