"""The terms of what is added to a run: whose model and confinement it has, and which limit holds it."""

from msgspec.structs import replace

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.money import MicroUsd, Price, parse_usd
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Network, Sandbox
from cli_multi_rapid.core.remedy import has_findings
from cli_multi_rapid.core.run_events import UNPRICED, BudgetChanged
from tests.fakes.failed_looks import (
    AUTO,
    CLAUDE,
    HEALTHY,
    HOLE,
    LEAK,
    LINT,
    TOOLS,
    T,
    amended,
    ended,
    looks,
    planned,
    rejected,
    verdict,
)
from tests.fakes.sample_plans import node
from tests.fakes.small_runs import Story


def test_a_fix_works_on_the_terms_that_the_plan_gives_its_agent() -> None:
    """Its price is that of a model, and what a person has confined is not let out by way of a fix."""
    work = replace(
        node("n", tool=T, est_cost=None),
        model="large",
        env={"KIND": "big"},
        sandbox=Sandbox.BWRAP,
        network=Network.NONE,
        max_cost=parse_usd(3),
    )
    story = Story(work, looks("look", "n")).tell(HEALTHY).do("n").land("n")
    (fix,) = amended(verdict(story.start("look"), HOLE)).nodes
    assert (fix.model, fix.env) == ("large", {"KIND": "big"})
    assert (fix.sandbox, fix.network) == (Sandbox.BWRAP, Network.NONE)
    assert fix.max_cost is None


def test_another_agent_has_another_model_and_is_confined_all_the_same() -> None:
    work = replace(node("n", tool=T, est_cost=None), model="large", sandbox=Sandbox.BWRAP)
    policy = FixPolicy(mode=FixMode.AUTO, tool=CLAUDE)
    story = Story(work, looks("look", "n")).tell(HEALTHY).do("n").land("n")
    (fix,) = amended(verdict(story.start("look"), HOLE), replace(AUTO, fix=policy)).nodes
    assert (fix.tool, fix.model, fix.sandbox) == (CLAUDE, None, Sandbox.BWRAP)
    story = Story(work, looks("look", "n")).tell(HEALTHY).do("n").land("n")
    verdict(story.start("look"), HOLE, LEAK, LINT)
    assert amended(story).nodes[0].sandbox is Sandbox.BWRAP
    assert {each.sandbox for each in amended(planned(story)).nodes} == {Sandbox.BWRAP}


def test_the_tool_of_the_policy_does_what_was_planned_too() -> None:
    limits = replace(AUTO, fix=FixPolicy(mode=FixMode.AUTO, tool=CLAUDE))
    story = rejected(HOLE, LEAK, LINT)
    amended(story, limits)
    assert {each.tool for each in amended(planned(story), limits).nodes} == {CLAUDE}


def test_the_end_says_which_limit_has_no_room_for_a_fix_and_what_would_do() -> None:
    policy = FixPolicy(mode=FixMode.AUTO, tool=CLAUDE)
    limits = replace(AUTO, fix=policy)
    story = rejected(HOLE, LEAK).tell(BudgetChanged(limit=parse_usd("1.5")))
    short = ended(story, limits)
    assert (short.limit_name, short.needed) == ("run", parse_usd(2))
    assert len(amended(story.tell(BudgetChanged(limit=short.needed)), limits).nodes) == 2
    day = BudgetRules(day_limit=parse_usd(2), day_spent=parse_usd("1.5"))
    assert ended(rejected(HOLE), replace(limits, budget=day)).limit_name == "day"
    both = ended(rejected(HOLE, LEAK), replace(limits, budget=replace(day, day_spent=MicroUsd(1))))
    assert (both.limit_name, both.needed) == ("day", parse_usd(2))
    tools = {**TOOLS, CLAUDE: replace(TOOLS[CLAUDE], price=Price(known=False))}
    unpriced = ended(rejected(HOLE).tell(BudgetChanged(limit=parse_usd(9))), replace(limits, tools=tools))
    assert (unpriced.exit_code, unpriced.limit_name) == (3, UNPRICED)


def test_a_plan_that_has_no_money_yet_is_still_wanted() -> None:
    story = rejected(HOLE, LEAK, LINT)
    amended(story)
    assert not has_findings(story.state)
    planned(story)
    assert has_findings(story.state)
    amended(story)
    assert not has_findings(story.state)
