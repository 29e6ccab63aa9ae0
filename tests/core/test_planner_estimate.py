"""A whole plan held against its budget before it starts."""

import pytest

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.claims import PathClaim
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd, Price, parse_usd
from cli_multi_rapid.core.plan import MergePolicy, Node, Plan, Script, ShellLine
from cli_multi_rapid.core.routing import AUTO
from cli_multi_rapid.planner.estimate import (
    ASSUMED_AGENT_S,
    ASSUMED_COMMAND_S,
    Estimate,
    NodeEstimate,
    estimate,
)
from tests.fakes.sample_plans import MAIN, node, oauth_plan


def plan_of(*nodes: Node, budget: float | None = None) -> Plan:
    limit = None if budget is None else parse_usd(budget)
    return Plan(
        plan_id="p",
        name="P",
        nodes=nodes,
        merge_policy=MergePolicy(target=MAIN),
        budget=limit,
        branch_base=MAIN,
    )


def cost(usd: float) -> dict[str, MicroUsd]:
    return {"est_cost": parse_usd(usd), "max_cost": parse_usd(usd)}


def left_out(found: Estimate) -> dict[str, str]:
    return {item.node_id: item.reason for item in found.left_out}


def test_a_plan_costs_the_sum_of_its_nodes() -> None:
    found = estimate(oauth_plan())
    assert found.total == parse_usd(7)
    assert found.fits
    assert found.fitting_total == found.total
    assert found.to_text() == "the plan is estimated at $7.00 of a budget of $15.00"


def test_what_is_reserved_at_the_start_is_what_is_estimated() -> None:
    prices = {
        ToolName("aider"): Price(typical=parse_usd(3)),
        ToolName("local"): Price(free=True),
    }
    found = estimate(
        plan_of(
            node("est", est_cost=parse_usd(1), max_cost=parse_usd(2)),
            node("max", est_cost=None, max_cost=parse_usd(2)),
            node("typical", est_cost=None),
            node("unlisted", est_cost=None, tool=ToolName("codex")),
            node("free", est_cost=None, tool=ToolName("local")),
            node("shell", est_cost=None, tool=ToolName("shell"), work=ShellLine(run="true")),
            node("play", est_cost=None, tool=ToolName("scripted"), work=Script(steps=())),
        ),
        prices=prices,
        rules=BudgetRules(node_limit=parse_usd("0.5")),
    )
    assert {n.node_id: (n.cost, n.cost_source) for n in found.nodes} == {
        "est": (parse_usd(1), "est_cost"),
        "max": (parse_usd(2), "max_cost"),
        "typical": (parse_usd(3), "typical"),
        "unlisted": (parse_usd("0.5"), "config"),
        "free": (0, "free"),
        "shell": (0, "free"),
        "play": (parse_usd("0.5"), "config"),
    }
    assert found.to_text() == "the plan is estimated at $7.00; there is no budget"


def test_above_the_budget_the_important_nodes_run() -> None:
    found = estimate(
        plan_of(
            node("late", priority=5, **cost(2)),
            node("first", priority=0, **cost(2)),
            node("second", priority=1, **cost(2)),
            node("small", priority=9, **cost(1)),
            budget=5,
        )
    )
    assert found.fitting == ("first", "second", "small")
    assert left_out(found) == {"late": "needs $2.00; $1.00 of the run's $5.00 is left"}
    assert not found.fits
    assert found.to_text() == (
        "the plan is estimated at $7.00, the budget is $5.00: 3 of 4 nodes fit ($5.00)"
    )


def test_a_node_fits_when_a_tool_that_may_do_it_can_be_paid() -> None:
    unknown, priced = ToolName("cursor"), ToolName("aider")
    prices = {unknown: Price(known=False), priced: Price(), AUTO: Price(known=False)}
    plan = plan_of(node("a", tool=unknown, **cost(1)), node("b", tool=AUTO, **cost(1)), budget=5)
    assert set(left_out(estimate(plan, prices=prices))) == {"a", "b"}
    assert estimate(plan, prices=prices, who_can=lambda _: (unknown, priced)).fits
    assert not estimate(plan, prices=prices, who_can=lambda _: (unknown,)).fits


def test_what_depends_on_a_node_that_is_left_out_is_left_out() -> None:
    found = estimate(plan_of(node("a", **cost(2)), node("b", "a", **cost(0)), node("c", **cost(1)), budget=1))
    assert found.fitting == ("c",)
    assert left_out(found)["b"] == "waits for a, which is left out"


def test_another_budget_can_be_held_against_the_plan() -> None:
    plan = oauth_plan()
    assert estimate(plan, budget_limit=parse_usd(4)).fitting == ("n1",)
    assert estimate(plan, budget_limit=parse_usd(4)).budget == parse_usd(4)


def test_a_node_above_its_own_limit_and_an_unknown_price_never_fit() -> None:
    found = estimate(
        plan_of(
            node("dear", est_cost=parse_usd(3), max_cost=parse_usd(2)),
            node("dark", tool=ToolName("dark")),
            budget=100,
        ),
        prices={ToolName("dark"): Price(known=False)},
    )
    assert found.fitting == ()
    assert "of the node's $2.00" in left_out(found)["dear"]
    assert "--allow-unpriced" in left_out(found)["dark"]


# --- time ---------------------------------------------------------------------------------------------------


def test_the_critical_path_is_the_longest_chain() -> None:
    plan = plan_of(
        node("a", est_duration_s=10),
        node("short", "a", est_duration_s=5),
        node("long", "a", est_duration_s=50),
        node("end", "short", "long", est_duration_s=1),
    )
    found = estimate(plan)
    assert found.critical_path == ("a", "long", "end")
    assert (found.critical_s, found.work_s) == (61, 66)
    assert found.duration_s(4) == 61
    assert found.duration_s(1) == 66
    assert found.duration_s(0) == 66


def test_nodes_that_claim_the_same_paths_follow_one_another() -> None:
    both = (PathClaim(path="src/**"),)
    plan = plan_of(
        node("a", est_duration_s=10, path_claims=both), node("b", est_duration_s=10, path_claims=both)
    )
    assert estimate(plan).critical_path == ("a", "b")
    assert estimate(plan).duration_s(4) == 20


@pytest.mark.parametrize(
    ("tool", "seconds"),
    [("claude", ASSUMED_AGENT_S), ("verify", ASSUMED_COMMAND_S), ("shell", ASSUMED_COMMAND_S)],
)
def test_a_node_without_an_estimate_is_assumed_to_take_what_its_kind_takes(tool: str, seconds: float) -> None:
    work = {"work": ShellLine(run="true")} if tool == "shell" else {}
    [found] = estimate(plan_of(node("a", tool=ToolName(tool), **work))).nodes
    assert isinstance(found, NodeEstimate)
    assert (found.duration_s, found.duration_assumed) == (seconds, True)
