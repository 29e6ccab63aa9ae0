"""Whom a run asks about their health when it is taken up."""

from collections.abc import Collection, Iterable

import pytest

from cli_multi_rapid.adapters.health import ToolHealth
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.plan import FixMode, MergePolicy, Node, Plan, Role
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.engine.tool_health import tool_health
from tests.fakes.sample_plans import MAIN, START, node

CLAUDE, CODEX = ToolName("claude"), ToolName("codex")
TOOLS = {name: ToolFacts(price=Price(), agent=True, answers=True) for name in (CLAUDE, CODEX)}
VERIFY = node("v", "n1", tool=ToolName("verify"), role=Role.IPT)


def pinged(*nodes: Node, fix: FixMode, told: Collection[ToolName] = ()) -> list[str]:
    def ask(names: Iterable[ToolName]) -> list[ToolHealth]:
        healthy, ill = HealthStatus.HEALTHY, HealthStatus.UNHEALTHY
        return [
            ToolHealth(tool=name, status=healthy if name == CLAUDE else ill, checked_at=START)
            for name in names
        ]

    plan = Plan(plan_id="p", name="p", nodes=nodes, merge_policy=MergePolicy(target=MAIN), branch_base=MAIN)
    return [fact.tool for fact in tool_health(plan, TOOLS, ask, fix, told)]


@pytest.mark.parametrize("fix", [FixMode.ASK, FixMode.AUTO])
def test_who_could_plan_a_remedy_is_asked_and_only_who_can_is_told_of(fix: FixMode) -> None:
    assert pinged(node("n1"), VERIFY, fix=fix) == [CLAUDE]


def test_who_could_plan_before_and_cannot_now_is_told_of_when_the_run_is_taken_up_again() -> None:
    assert pinged(node("n1"), VERIFY, fix=FixMode.AUTO, told=[CODEX]) == [CLAUDE, CODEX]


def test_nobody_is_asked_for_what_will_not_be_needed() -> None:
    assert pinged(node("n1"), VERIFY, fix=FixMode.OFF) == []
    assert pinged(node("n1"), fix=FixMode.AUTO) == []
