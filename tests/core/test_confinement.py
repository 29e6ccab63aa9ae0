"""How a node is confined: the configuration decides, and the node may only ask for more."""

import pytest

from cli_multi_rapid.core.confinement import Confinement, ConfinementRules, Loosened, ToolTerms
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import Network, Node, Sandbox

TOOL = ToolName("agent")
BWRAP, NONE = Sandbox.BWRAP, Sandbox.NONE


def of(
    *, general: Sandbox = NONE, terms: ToolTerms | None = None, **node: Sandbox | Network
) -> Confinement | Loosened | None:
    rules = ConfinementRules(general=general, tools={TOOL: terms} if terms else {})
    return rules.of(Node(id=NodeId("n"), label="n", tool=TOOL, **node), TOOL)  # type: ignore[arg-type]


def test_nothing_is_confined_unless_somebody_says_so() -> None:
    assert of() is None
    assert of(terms=ToolTerms(network=Network.NONE, read=("/data",))) is None


def test_the_word_of_a_tool_counts_before_the_general_one() -> None:
    assert of(general=BWRAP) == Confinement(network=Network.FULL)
    assert of(general=BWRAP, terms=ToolTerms(sandbox=NONE)) is None
    assert of(terms=ToolTerms(sandbox=BWRAP)) == Confinement(network=Network.FULL)


def test_a_node_that_is_confined_by_its_plan_gets_what_its_tool_declares() -> None:
    terms = ToolTerms(network=Network.LOOPBACK, read=("/data",), write=("~/.agent",))
    expected = Confinement(network=Network.LOOPBACK, read=("/data",), write=("~/.agent",))
    assert of(terms=terms, sandbox=BWRAP) == expected
    assert expected.words == "bwrap, network loopback"


@pytest.mark.parametrize("configured", Network)
@pytest.mark.parametrize("wished", Network)
def test_a_node_can_narrow_its_network_and_never_widen_it(configured: Network, wished: Network) -> None:
    found = of(terms=ToolTerms(sandbox=BWRAP, network=configured), network=wished)
    widens = list(Network).index(wished) > list(Network).index(configured)
    if widens:
        assert isinstance(found, Loosened)
        assert f"network: {wished.value}" in found.reason
    else:
        assert found == Confinement(network=wished)


@pytest.mark.parametrize("terms", [None, ToolTerms(sandbox=BWRAP)])
def test_a_node_cannot_leave_the_sandbox_of_the_configuration(terms: ToolTerms | None) -> None:
    found = of(general=BWRAP, terms=terms, sandbox=NONE)
    assert isinstance(found, Loosened)
    assert "sandbox: none" in found.reason


def test_a_network_that_nothing_would_hold_a_node_to_is_not_promised() -> None:
    found = of(network=Network.NONE)
    assert isinstance(found, Loosened)
    assert found.hint == "add sandbox: bwrap to the node"
    assert of(network=Network.FULL) is None
    assert of(sandbox=NONE) is None


def test_a_tool_that_runs_nothing_of_its_own_is_never_confined_and_never_said_to_be() -> None:
    rules = ConfinementRules(general=BWRAP, never=frozenset({TOOL}))
    assert rules.of(Node(id=NodeId("n"), label="n", tool=TOOL), TOOL) is None
    assert rules.for_tool(TOOL) is None
    assert isinstance(rules.of(Node(id=NodeId("n"), label="n", tool=TOOL, sandbox=BWRAP), TOOL), Loosened)
