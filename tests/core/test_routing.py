"""Which tools may do a node's work: chains of stand-ins, and pools by capability."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.capabilities import capabilities, capability
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.plan import ShellLine
from cli_multi_rapid.core.routing import AUTO, ToolFacts, chain, pool
from tests.fakes.sample_plans import node

NAMES = [ToolName(name) for name in "abcdef"]
names = st.sampled_from(NAMES)
tables = st.dictionaries(
    names,
    st.lists(names, max_size=4).map(
        lambda found: ToolFacts(price=Price(), fallback=tuple(found), agent=True)
    ),
)

KNOWN = {
    ToolName(name): ToolFacts(price=Price(), agent=True, described=True, capabilities=capabilities(can))
    for name, can in {
        "claude": ("planning", "nlp", "testing"),
        "aider": ("python", "refactor", "tests"),
        "cursor": ("editor", "typescript", "docs"),
    }.items()
}
"""The tools and capabilities of the old tools.yaml."""


def table(**fallbacks: str) -> dict[ToolName, ToolFacts]:
    return {
        ToolName(name): ToolFacts(price=Price(), fallback=tuple(map(ToolName, chosen)), agent=True)
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


def test_a_command_has_no_stand_in() -> None:
    assert pool(node("n", tool=ToolName("a"), work=ShellLine(run="true")), table(a="b")) == ("a",)


@pytest.mark.parametrize("text", ["unit-tests", "unit_tests", " Unit Tests ", "testing", "tests"])
def test_a_capability_is_the_same_however_it_is_spelled(text: str) -> None:
    assert capability(text) == "tests"


@pytest.mark.parametrize(
    ("wanted", "tools"),
    [
        (("python", "security"), {"aider"}),  # nobody has security: it keeps nobody from the work
        (("python", "testing"), {"aider"}),
        (("testing",), {"claude", "aider"}),
        (("documentation",), {"cursor"}),
        (("javascript",), {"cursor"}),
        (("planning",), {"claude"}),
        ((), {"claude", "aider", "cursor"}),
        (("security_review",), set()),
        (("python", "documentation"), set()),
    ],
)
def test_capabilities_in_the_words_of_old_plans_find_the_tools_of_old_files(
    wanted: tuple[str, ...], tools: set[str]
) -> None:
    unnamed = {ToolName("codex"): ToolFacts(price=Price(), agent=True, capabilities=capabilities(wanted))}
    assert set(pool(node("n", tool=AUTO, capabilities=wanted), KNOWN | unnamed)) == tools
