"""What an attempt that starts may cost, beside those that run and after those that failed."""

from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.intents import StartAttempt
from cli_multi_rapid.core.money import Price, parse_usd
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeFailed, NodeReset, NodeRetryScheduled
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.run_events import BudgetSettled
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
