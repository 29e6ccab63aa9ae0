"""The graph of the nodes: what runs before what, and which edges the claims add."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.claims import ClaimMode, Overlap, PathClaim
from cli_multi_rapid.core.dag import (
    ImpliedEdge,
    ancestors,
    critical_lengths,
    dependents,
    descendants,
    find_cycle,
    implied_edges,
    layers,
    topological_order,
)
from cli_multi_rapid.core.ids import NodeId

Graph = dict[NodeId, list[NodeId]]

EXCLUSIVE = PathClaim(path="src/auth/**")
SHARED = PathClaim(path="src/auth/*.py", mode=ClaimMode.SHARED)


def graph(**deps: str) -> Graph:
    """`graph(b="a", c="a b")`: b waits for a, c for both. Nodes come in the order they are written in."""
    return {NodeId(node): [NodeId(dep) for dep in waits_for.split()] for node, waits_for in deps.items()}


def names(text: str) -> list[NodeId]:
    return [NodeId(name) for name in text.split()]


def chain(length: int) -> Graph:
    nodes = [NodeId(f"n{at}") for at in range(length)]
    return {node: nodes[at - 1 : at] if at else [] for at, node in enumerate(nodes)}


def overlapping(first: str, second: str) -> Overlap:
    return Overlap(first=NodeId(first), second=NodeId(second), first_claim=EXCLUSIVE, second_claim=SHARED)


@st.composite
def graphs(draw: st.DrawFn, *, cyclic: bool = False, most: int = 8) -> Graph:
    nodes = [NodeId(f"n{at}") for at in range(draw(st.integers(0, most)))]
    deps: Graph = {}
    for at, node in enumerate(nodes):
        choices = nodes if cyclic else nodes[:at]
        deps[node] = draw(st.lists(st.sampled_from(choices), max_size=3)) if choices else []
    return {node: deps[node] for node in draw(st.permutations(nodes))}


@st.composite
def overlapping_graphs(draw: st.DrawFn) -> tuple[Graph, list[Overlap], dict[NodeId, tuple[int, ...]]]:
    deps = draw(graphs())
    pairs = list(combinations(deps, 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    flipped = [pair if draw(st.booleans()) else pair[::-1] for pair in chosen]
    return deps, [overlapping(*pair) for pair in flipped], {node: (draw(st.integers(0, 3)),) for node in deps}


def with_edges(deps: Graph, edges: Sequence[ImpliedEdge]) -> Graph:
    return {
        node: [*waits_for, *(edge.before for edge in edges if edge.after == node)]
        for node, waits_for in deps.items()
    }


def is_order_of(order: Sequence[NodeId], deps: Mapping[NodeId, Sequence[NodeId]]) -> bool:
    place = {node: at for at, node in enumerate(order)}
    return sorted(order) == sorted(deps) and all(
        place[dep] < place[node] for node in deps for dep in deps[node]
    )


class TestCycles:
    def test_a_plan_without_a_cycle_has_none(self) -> None:
        assert find_cycle(graph(a="", b="a", c="a b")) is None
        assert find_cycle({}) is None

    def test_the_path_follows_what_each_node_waits_for(self) -> None:
        assert find_cycle(graph(x="a", a="b", b="c", c="a", y="")) == ("a", "b", "c")

    def test_the_shortest_of_several_is_shown(self) -> None:
        assert find_cycle(graph(a="b", b="c", c="d", d="a e", e="f", f="e")) == ("e", "f")
        assert find_cycle(graph(a="b", b="a c", c="c")) == ("c",)

    def test_the_first_in_the_plan_is_shown_of_equal_ones(self) -> None:
        assert find_cycle(graph(d="c", c="d", a="b", b="a")) == ("d", "c")

    def test_a_node_that_waits_for_itself_is_a_cycle(self) -> None:
        assert find_cycle(graph(a="", b="b a")) == ("b",)

    def test_unknown_and_repeated_dependencies_do_not_matter(self) -> None:
        assert find_cycle(graph(a="nobody", b="a a")) is None
        assert find_cycle(graph(a="nobody b b", b="a")) == ("a", "b")

    def test_long_chains_and_long_cycles_are_fine(self) -> None:
        deps = chain(10_000)
        assert find_cycle(deps) is None
        deps[NodeId("n0")] = [NodeId("n9999")]
        cycle = find_cycle(deps)
        assert cycle is not None
        assert cycle[:3] == ("n0", "n9999", "n9998")
        assert len(cycle) == 10_000

    def test_a_chain_between_two_cycles_is_passed_over(self) -> None:
        deps = chain(2_000)
        middle_first = sorted(deps, key=lambda node: abs(int(node[1:]) - 1_000))
        deps |= graph(x="y", y="x n1999", n0="z", z="n0")
        assert find_cycle({node: deps[node] for node in [*middle_first, *names("x y z")]}) == ("n0", "z")

    @given(graphs(cyclic=True, most=6))
    def test_it_is_a_shortest_cycle(self, deps: Graph) -> None:
        def is_cycle(path: Sequence[NodeId]) -> bool:
            return all(after in deps[node] for node, after in zip(path, [*path[1:], path[0]], strict=True))

        lengths = (size for size in range(1, len(deps) + 1) if any(map(is_cycle, permutations(deps, size))))
        shortest = next(lengths, None)
        found = find_cycle(deps)
        assert (len(found) if found else None) == shortest
        assert found is None or is_cycle(found)


class TestOrder:
    def test_dependencies_come_first_then_rank_then_the_plan(self) -> None:
        deps = graph(d="b", c="", b="", a="")
        assert topological_order(deps) == names("c b d a")
        rank = {NodeId("a"): (0,), NodeId("b"): (1,), NodeId("c"): (2,), NodeId("d"): (0,)}
        assert topological_order(deps, rank) == names("a b d c")

    def test_a_cycle_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'b'"):
            topological_order(graph(a="", b="c a", c="b"))

    def test_unknown_dependencies_are_ignored(self) -> None:
        assert topological_order(graph(a="nobody b", b="")) == names("b a")
        assert layers(graph(a="nobody b", b="")) == [names("b"), names("a")]

    @given(graphs())
    def test_every_node_comes_after_its_dependencies(self, deps: Graph) -> None:
        assert is_order_of(topological_order(deps), deps)

    def test_layers_follow_the_longest_path(self) -> None:
        assert layers(graph(d="a c", a="", c="b", b="", e="")) == [names("a b e"), names("c"), names("d")]
        assert layers({}) == []

    @given(graphs())
    def test_a_layer_is_one_more_than_the_deepest_dependency(self, deps: Graph) -> None:
        found = layers(deps)
        depth = {node: at for at, layer in enumerate(found) for node in layer}
        assert all(
            depth[node] == max((depth[dep] + 1 for dep in waits_for), default=0)
            for node, waits_for in deps.items()
        )
        assert all(found)

    def test_the_critical_length_is_the_work_still_ahead(self) -> None:
        deps = graph(a="", b="a", c="a", d="b c", e="")
        weight = dict(zip(deps, (1.0, 5.0, 2.0, 1.0, 3.0), strict=True))
        assert critical_lengths(deps, weight) == dict(zip(deps, (7.0, 6.0, 3.0, 1.0, 3.0), strict=True))

    def test_a_chain_of_ten_thousand_is_fine(self) -> None:
        deps = chain(10_000)
        assert topological_order(deps) == list(deps)
        assert len(layers(deps)) == 10_000
        assert critical_lengths(deps, dict.fromkeys(deps, 1.0))[NodeId("n0")] == 10_000
        assert len(ancestors(deps, NodeId("n9999"))) == 9_999
        assert len(descendants(deps, NodeId("n0"))) == 9_999


class TestRelatives:
    def test_dependents_are_the_edges_turned_round(self) -> None:
        assert dependents(graph(a="", c="a b a", b="a nobody")) == graph(a="c b", c="", b="c")

    def test_ancestors_and_descendants_are_found_at_any_distance(self) -> None:
        deps = graph(a="", b="a", c="b nobody", d="c", e="a")
        assert ancestors(deps, NodeId("c")) == set(names("a b"))
        assert descendants(deps, NodeId("b")) == set(names("c d"))
        assert ancestors(deps, NodeId("a")) == set()

    def test_a_node_on_a_cycle_is_its_own_ancestor(self) -> None:
        assert ancestors(graph(a="b", b="a"), NodeId("a")) == set(names("a b"))


class TestImpliedEdges:
    def test_the_edge_says_who_waits_and_why(self) -> None:
        edges = implied_edges(graph(a="", b=""), [overlapping("a", "b")], None)
        assert edges == [
            ImpliedEdge(
                before=NodeId("a"),
                after=NodeId("b"),
                reason="both write src/auth/** (exclusive) and src/auth/*.py (shared)",
                first_claim=EXCLUSIVE,
                second_claim=SHARED,
            )
        ]

    def test_the_claims_follow_the_nodes_when_the_order_is_turned_by_rank(self) -> None:
        rank = {NodeId("a"): (2,), NodeId("b"): (1,)}
        (edge,) = implied_edges(graph(a="", b=""), [overlapping("a", "b")], rank)
        assert (edge.before, edge.after) == ("b", "a")
        assert (edge.first_claim, edge.second_claim) == (SHARED, EXCLUSIVE)
        assert edge.reason == "both write src/auth/*.py (shared) and src/auth/** (exclusive)"

    def test_equal_claims_are_named_once(self) -> None:
        same = Overlap(first=NodeId("a"), second=NodeId("b"), first_claim=EXCLUSIVE, second_claim=EXCLUSIVE)
        (edge,) = implied_edges(graph(a="", b=""), [same])
        assert edge.reason == "both write src/auth/** (exclusive)"

    def test_nodes_that_wait_for_each_other_anyway_get_no_edge(self) -> None:
        deps = graph(a="", b="a", c="b")
        assert implied_edges(deps, [overlapping("a", "c"), overlapping("b", "a")]) == []

    def test_a_longer_way_through_other_overlaps_counts(self) -> None:
        deps = graph(a="", b="", c="b", d="")
        overlaps = [overlapping("a", "d"), overlapping("a", "b"), overlapping("c", "d")]
        edges = implied_edges(deps, overlaps)
        assert [(edge.before, edge.after) for edge in edges] == [("a", "b"), ("c", "d")]

    def test_nodes_that_all_write_the_same_paths_become_a_chain(self) -> None:
        nodes = [f"n{at}" for at in range(300)]
        overlaps = [overlapping(first, second) for first, second in combinations(nodes, 2)]
        edges = implied_edges({NodeId(node): [] for node in nodes}, overlaps)
        assert [(edge.before, edge.after) for edge in edges] == list(pairwise(nodes))

    def test_a_cycle_and_an_unknown_node_are_refused(self) -> None:
        with pytest.raises(ValueError, match="cycle"):
            implied_edges(graph(a="b", b="a"), [])
        with pytest.raises(KeyError):
            implied_edges(graph(a=""), [overlapping("a", "b")])

    @given(overlapping_graphs())
    def test_afterwards_every_overlapping_pair_is_ordered_and_no_edge_is_too_many(
        self, case: tuple[Graph, list[Overlap], dict[NodeId, tuple[int, ...]]]
    ) -> None:
        deps, overlaps, rank = case
        edges = implied_edges(deps, overlaps, rank)
        combined = with_edges(deps, edges)
        assert is_order_of(topological_order(deps, rank), combined)
        for pair in overlaps:
            assert pair.first in ancestors(combined, pair.second) or pair.second in ancestors(
                combined, pair.first
            )
        for edge in edges:
            without = with_edges(deps, [other for other in edges if other is not edge])
            assert edge.before not in ancestors(without, edge.after)
