"""Which tool does a node's work, and which one stands in for it."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.node_state import Attempt, NodeState
from cli_multi_rapid.core.plan import ShellLine
from cli_multi_rapid.core.routing import Choice, ToolFacts, chain, choose, next_fallback
from tests.fakes.sample_plans import START, node

NAMES = [ToolName(name) for name in "abcdef"]
names = st.sampled_from(NAMES)
tables = st.dictionaries(
    names,
    st.lists(names, max_size=4).map(lambda found: ToolFacts(price=Price(), fallback=tuple(found))),
)


def tried(*tools: str, first: str = "a", **more: object) -> NodeState:
    attempts = [
        Attempt(number=number, tool=ToolName(tool), started_at=START, slot="", log="", reason="")
        for number, tool in enumerate(tools, 1)
    ]
    return NodeState(node=node("n", tool=ToolName(first), **more), attempts=attempts, tries=len(attempts))


def table(**fallbacks: str) -> dict[ToolName, ToolFacts]:
    return {
        ToolName(name): ToolFacts(price=Price(), fallback=tuple(map(ToolName, chosen)))
        for name, chosen in fallbacks.items()
    }


@given(names, tables)
def test_a_chain_ends_although_fallbacks_go_in_circles(
    first: ToolName, tools: Mapping[ToolName, ToolFacts]
) -> None:
    found = chain(first, tools)
    assert found[0] == first
    assert len(set(found)) == len(found)
    reachable = {first}
    for _ in NAMES:
        reachable |= {name for tool in reachable if tool in tools for name in tools[tool].fallback}
    assert set(found) == reachable


def test_the_nearest_fallback_comes_first() -> None:
    tools = table(a="bc", b="ad", c="e", d="f")
    assert chain(ToolName("a"), tools) == tuple("abcdef")
    assert chain(ToolName("f"), tools) == ("f",)
    assert chain(ToolName("unknown"), tools) == ("unknown",)


@given(tables, names)
def test_every_tool_of_the_chain_has_its_turn_once(
    tools: Mapping[ToolName, ToolFacts], first: ToolName
) -> None:
    turns = [first]
    while (following := next_fallback(tried(*turns, first=first), tools)) is not None:
        turns.append(following)
    assert tuple(turns) == chain(first, tools)


def test_a_node_that_was_reset_goes_through_the_chain_again() -> None:
    state = tried("a", "b", "a")
    assert next_fallback(state, table(a="b")) is None
    state.tries = 1
    assert next_fallback(state, table(a="b")) == "b"


def test_a_command_has_no_stand_in() -> None:
    assert next_fallback(tried("a", work=ShellLine(run="true")), table(a="b")) is None


def test_the_plans_tool_is_taken_until_the_chain_moves_on() -> None:
    state = tried("a")
    assert choose(state) == Choice(tool=ToolName("a"), reason="named by the plan")
    state.next_tool = ToolName("b")
    assert choose(state) == Choice(tool=ToolName("b"), reason="fallback of a")
    state.next_tool = ToolName("a")
    assert choose(state) == Choice(tool=ToolName("a"), reason="named by the plan")
