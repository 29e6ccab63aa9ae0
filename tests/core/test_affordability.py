"""Who does a node when not every tool can be paid: each tool by its own price, and why it was passed over."""

from collections import Counter

from msgspec.structs import replace

from cli_multi_rapid.core.affordability import Means
from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.capabilities import capabilities
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.intents import Intent, RefuseForBudget, StartAttempt
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import Price, parse_usd
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeRetryScheduled, NodeStarted
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.routing import AUTO, ToolFacts
from cli_multi_rapid.core.run_events import UNPRICED
from cli_multi_rapid.core.scheduler import Limits, decide
from cli_multi_rapid.core.selection import Later, Scene, choose
from tests.fakes.sample_plans import START
from tests.fakes.small_runs import Story, bare

A = NodeId("a")
ONE, TWO, THREE = map(ToolName, ("one", "two", "three"))
UNKNOWN = Price(known=False)


def agent(price: Price, hint: float = 1.0, *fallback: ToolName) -> ToolFacts:
    return ToolFacts(
        price=price,
        agent=True,
        described=True,
        cost_hint=hint,
        capabilities=capabilities(("edit",)),
        fallback=fallback,
    )


def work(tool: ToolName = AUTO, model: str | None = None) -> Node:
    return replace(bare("a"), tool=tool, model=model)


def story_of(node: Node, budget: str | None = "5") -> Story:
    story = Story(node)
    story.state.ledger.limit = None if budget is None else parse_usd(budget)
    return story


def next_of(story: Story, tools: dict[ToolName, ToolFacts], *, unpriced: bool = False) -> Intent:
    limits = Limits(tools=tools, budget=BudgetRules(allow_unpriced=unpriced))
    (intent,) = decide(story.state, limits, START)
    return intent


def choice(intent: Intent) -> tuple[ToolName, str]:
    assert isinstance(intent, StartAttempt)
    return intent.tool, intent.reason


def test_an_open_choice_passes_over_a_tool_without_a_price_and_says_so() -> None:
    tools = {ONE: agent(UNKNOWN, 0.1), TWO: agent(Price(), 0.9)}
    why = (
        "the only healthy tool; one skipped: its price is unknown, so no limit can be kept; "
        "--allow-unpriced runs it anyway"
    )
    assert choice(next_of(story_of(work()), tools)) == (TWO, why)
    assert choice(next_of(story_of(work(), None), tools))[0] == ONE
    assert choice(next_of(story_of(work()), tools, unpriced=True))[0] == ONE


def test_a_tool_that_is_too_dear_for_what_is_left_makes_way_too() -> None:
    tools = {ONE: agent(Price(typical=parse_usd(9)), 0.1), TWO: agent(Price(typical=parse_usd(1)), 0.9)}
    tool, why = choice(next_of(story_of(work()), tools))
    assert tool == TWO
    assert "one skipped: needs $9.00; $5.00 of the run's $5.00 is left" in why


def test_a_fallback_that_can_be_paid_does_what_the_plans_tool_may_not() -> None:
    tools = {ONE: agent(UNKNOWN, 1.0, TWO, THREE), TWO: agent(UNKNOWN), THREE: agent(Price())}
    tool, why = choice(next_of(story_of(work(ONE)), tools))
    assert tool == THREE
    assert why.startswith("fallback of one; one skipped: its price is unknown")
    assert "two skipped: its price is unknown" in why


def test_a_tool_that_can_be_paid_is_waited_for() -> None:
    tools = {ONE: agent(UNKNOWN, 0.1), TWO: replace(agent(Price()), limit=1)}
    scene = Scene(tools=tools, in_use=Counter({TWO: 1}), now=START)
    means = Means(tools=tools, ledger=Ledger(limit=parse_usd(5)), rules=BudgetRules())
    waiting = NodeState(node=work())
    assert choose(waiting, scene, (), means.refusals(waiting)) == Later()


def test_only_when_no_tool_can_be_paid_the_node_is_refused_with_every_reason() -> None:
    tools = {ONE: agent(UNKNOWN, 0.1), TWO: agent(Price(typical=parse_usd(9)), 0.9)}
    refusal = next_of(story_of(work()), tools)
    assert isinstance(refusal, RefuseForBudget)
    assert refusal.limit_name == UNPRICED
    assert "one skipped: its price is unknown" in refusal.reason
    assert "two skipped: needs $9.00" in refusal.reason
    alone = next_of(story_of(work(ONE)), {ONE: agent(UNKNOWN)})
    assert isinstance(alone, RefuseForBudget)
    assert alone.reason.startswith("its price is unknown")
    spent = next_of(story_of(work(), "1"), {ONE: agent(Price()), TWO: agent(Price())})
    assert isinstance(spent, RefuseForBudget)
    assert spent.reason == "needs $2.00; $1.00 of the run's $1.00 is left"


def test_the_price_of_a_stand_in_is_that_of_its_own_model() -> None:
    metered = Price(models={"one-model"}, model="two-model")
    tools = {ONE: agent(metered, 1.0, TWO), TWO: agent(metered)}
    story = story_of(work(ONE, "one-model"))
    assert choice(next_of(story, tools))[0] == ONE
    story.tell(
        NodeStarted(node_id=A, attempt=1, tool=ONE, reason="", slot="s", log="l"),
        NodeAttemptFailed(node_id=A, attempt=1, failure=FailureClass.REFUSED, reason="no"),
        NodeRetryScheduled(node_id=A, not_before=START, reason="r", tool=TWO),
    )
    refusal = next_of(story, tools)
    assert isinstance(refusal, RefuseForBudget)
    assert "the price of its model two-model is unknown" in refusal.reason
    assert "`prices:` of two" in refusal.reason
