"""What an attempt that starts may cost, beside those that run and after those that failed."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.intents import StartAttempt
from cli_multi_rapid.core.money import ZERO, MicroUsd, Price, parse_usd
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeFailed, NodeReset, NodeRetryScheduled
from cli_multi_rapid.core.node_state import NodeStatus
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.run_events import BudgetReserved, BudgetSettled
from cli_multi_rapid.core.scheduler import Limits, decide
from tests.fakes.sample_plans import START, node
from tests.fakes.small_runs import Story

PAID = ToolName("paid")
LIMITS = Limits(workers=4, tools={PAID: ToolFacts(price=Price())})
A = NodeId("a")


def paid(name: str, *deps: str, cost: str = "1", max_cost: str = "9") -> Node:
    return node(name, *deps, tool=PAID, est_cost=parse_usd(cost), max_cost=parse_usd(max_cost))


def starts(story: Story, limits: Limits = LIMITS) -> list[StartAttempt]:
    return [intent for intent in decide(story.state, limits, START) if isinstance(intent, StartAttempt)]


def failed(number: int) -> NodeAttemptFailed:
    return NodeAttemptFailed(node_id=A, attempt=number, failure=FailureClass.TOOL_FAILED, reason="no")


def test_a_retry_may_cost_what_the_attempts_before_it_left_of_max_cost_until_a_person_begins_anew() -> None:
    story = Story(paid("a", max_cost="5"))
    again = NodeRetryScheduled(node_id=A, not_before=START, reason="again", tool=None)
    for cost, left in (("3", "2"), ("1.5", "0.5")):
        usage = Usage(cost=parse_usd(cost))
        number = len(story.state.nodes[A].attempts) + 1
        settled = BudgetSettled(node_id=A, attempt=number, tool=ToolName("paid"), action="x", usage=usage)
        story.start("a").tell(settled, failed(number), again)
        (start,) = starts(story)
        assert (start.cap, start.reserve) == (parse_usd(left), min(parse_usd(1), parse_usd(left)))
    story.tell(NodeFailed(node_id=A, failure=FailureClass.TOOL_FAILED, reason="no"))
    story.tell(NodeReset(node_id=A, reason="try again"))
    (start,) = starts(story)
    assert start.cap == parse_usd(5)


def test_the_caps_of_all_that_run_together_fit_the_limit_and_no_node_waits() -> None:
    story = Story(*(paid(name) for name in "abcd"))
    story.state.ledger.limit = parse_usd(10)
    assert [start.cap for start in starts(story)] == [parse_usd("2.5")] * 4
    assert {start.cap for start in starts(story, replace(LIMITS, workers=2))} == {parse_usd(4)}
    story.state.ledger.limit = None
    assert [(start.cap, start.lent) for start in starts(story)] == [(parse_usd(9), 0)] * 4


def test_what_waiting_nodes_will_need_is_lent_to_nobody() -> None:
    story = Story(paid("a"), paid("b", "a", cost="2"), paid("c", "b", cost="3"))
    story.state.ledger.limit = parse_usd(10)
    (start,) = starts(story)
    assert start.cap == parse_usd(5)
    story.state.ledger.limit = parse_usd(5)  # not enough for all: what can start has it
    (start,) = starts(story)
    assert start.cap == parse_usd(5)


def test_what_is_left_is_shared_by_those_that_fit_and_nothing_is_kept_for_one_that_does_not() -> None:
    story = Story(*(paid(name, cost="0.009") for name in "abc"))
    story.state.ledger.limit = parse_usd("0.02")
    assert [(start.node_id, start.cap) for start in starts(story)] == [
        ("a", parse_usd("0.01")),
        ("b", parse_usd("0.01")),
    ]


def test_the_limit_of_the_day_bounds_caps_too() -> None:
    day = BudgetRules(day_limit=parse_usd(8), day_spent=parse_usd(2))
    caps = [start.cap for start in starts(Story(paid("a"), paid("b")), replace(LIMITS, budget=day))]
    assert caps == [parse_usd(3), parse_usd(3)]


micros = st.integers(0, 3_000_000).map(MicroUsd)


@given(
    st.lists(st.tuples(micros, micros), min_size=1, max_size=6),
    micros,
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100))),
)
def test_no_limit_is_overrun_by_attempts_that_keep_to_their_caps(
    costs: list[tuple[MicroUsd, MicroUsd]],
    limit: MicroUsd,
    workers: int,
    ends: list[tuple[int, int]],
) -> None:
    nodes = [
        node(f"n{place}", tool=PAID, est_cost=est, max_cost=MicroUsd(est + more))
        for place, (est, more) in enumerate(costs)
    ]
    story, limits = Story(*nodes), replace(LIMITS, workers=workers, budget=BudgetRules(halt_pct=100.0))
    ledger = story.state.ledger
    ledger.limit = limit
    fits = sum(est for est, _ in costs) <= limit
    caps: dict[NodeId, MicroUsd] = {}
    for which, percent in [*ends, *[(0, 100)] * len(nodes)]:
        for start in starts(story, limits):
            assert start.cap is not None
            caps[start.node_id] = start.cap
            story.tell(
                BudgetReserved(
                    node_id=start.node_id, attempt=1, amount=start.reserve, source="", lent=start.lent
                )
            ).start(start.node_id)
        assert ledger.spent + sum(caps.values()) <= limit
        if fits and all(cost <= est for cost, est in story_costs(story)):
            waiting = [state for state in story.state.nodes.values() if state.status is NodeStatus.PENDING]
            assert not waiting or len(caps) == workers, "a node of a plan that fits waits for money"
        if not caps:
            break
        node_id = list(caps)[which % len(caps)]
        usage = Usage(cost=MicroUsd(caps.pop(node_id) * percent // 100), source="tool")
        story.tell(BudgetSettled(node_id=node_id, attempt=1, tool=PAID, action="", usage=usage))
        story.succeed(node_id, idle=True)


def story_costs(story: Story) -> list[tuple[MicroUsd, MicroUsd]]:
    """What the nodes cost and what was expected."""
    return [(state.spent, state.node.est_cost or ZERO) for state in story.state.nodes.values()]
