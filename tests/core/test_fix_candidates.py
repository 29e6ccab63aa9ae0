"""Which tools may be given a fix is known before the start, and on which terms."""

from msgspec.structs import replace

from cli_multi_rapid.core.fix_candidates import may_be_added, policy_of
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.plan import FixMode, FixPolicy, Form, MergePolicy, Node, Plan, Sandbox
from cli_multi_rapid.core.routing import ToolFacts
from tests.fakes.failed_looks import CLAUDE, TOOLS, T, looks
from tests.fakes.sample_plans import MAIN, node

VERIFY = ToolName("verify")
ALL = {**TOOLS, VERIFY: ToolFacts(price=Price(free=True))}
AUTO = FixPolicy(mode=FixMode.AUTO)


def plan_of(*nodes: Node) -> Plan:
    policy = MergePolicy(target=MAIN)
    return Plan(plan_id="p", name="p", nodes=nodes, merge_policy=policy, branch_base=MAIN)


LOOK = replace(looks("v", "n"), tool=VERIFY)
PLAN = plan_of(node("n", tool=T), LOOK)


def added(plan: Plan, policy: FixPolicy) -> list[tuple[str, Form | None, Sandbox | None]]:
    return [(each.tool, each.form, each.sandbox) for each in may_be_added(plan, policy, ALL)]


def test_the_agents_of_the_plan_may_fix_and_who_answers_by_a_schema_may_plan() -> None:
    assert added(PLAN, AUTO) == [(T, None, None), (CLAUDE, Form.REMEDY, None)]
    assert added(PLAN, replace(AUTO, tool=CLAUDE))[0] == (CLAUDE, None, None)


def test_what_one_agent_is_confined_in_holds_for_all_of_them() -> None:
    held = plan_of(node("n", tool=T), node("m", tool=CLAUDE, sandbox=Sandbox.BWRAP), LOOK)
    assert {sandbox for _, _, sandbox in added(held, AUTO)} == {Sandbox.BWRAP}


def test_without_fixes_or_a_verification_nobody_is_looked_at() -> None:
    assert added(PLAN, FixPolicy()) == []
    assert added(plan_of(node("n", tool=T)), AUTO) == []


def test_the_command_line_wins_over_the_plan_and_that_over_the_configuration() -> None:
    ask = replace(PLAN, fix=FixPolicy(mode=FixMode.ASK, tool=CLAUDE))
    assert policy_of(PLAN, AUTO, None) == AUTO
    assert policy_of(ask, AUTO, None) == ask.fix
    assert policy_of(ask, AUTO, FixMode.OFF) == FixPolicy(mode=FixMode.OFF, tool=CLAUDE)
