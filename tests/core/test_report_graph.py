"""The DAG as text, mermaid, dot and svg, of a plan, of a run and of a stored report."""

import time
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.reports.graph import (
    Graph,
    GraphEdge,
    GraphNode,
    graph_dot,
    graph_mermaid,
    graph_of_plan,
    graph_of_report,
    graph_of_run,
    graph_text,
)
from cli_multi_rapid.reports.graph_svg import graph_svg
from cli_multi_rapid.reports.layout import MOST_BENDS, lay_out
from cli_multi_rapid.reports.run_report import run_report
from tests.fakes.run_stories import STORIES
from tests.fakes.sample_plans import OAUTH_IMPLIED, oauth_plan

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a"b\\N <b>&amp; `x` #35; | ]]> \x1b[31m\x00 \ud800\nend'


def hostile_graph() -> Graph:
    return Graph(
        title=HOSTILE,
        nodes=(
            GraphNode(id=HOSTILE, label=HOSTILE, tool=HOSTILE),
            GraphNode(id="end", label="end", tool="t"),
        ),
        edges=(GraphEdge(before=HOSTILE, after="end", reason=HOSTILE),),
    )


def layered(layers: int, width: int, fan: int) -> Graph:
    names = [[f"n{layer}-{place}" for place in range(width)] for layer in range(layers)]
    edges = tuple(
        GraphEdge(before=before[(place * 7 + step * 3) % width], after=after[place])
        for before, after in pairwise(names)
        for place in range(width)
        for step in range(fan)
    )
    nodes = tuple(GraphNode(id=name, label=f"Do {name}", tool="shell") for row in names for name in row)
    return Graph(title="layers", nodes=nodes, edges=edges)


# --- the texts ----------------------------------------------------------------------------------------------


def test_a_plan_is_drawn_without_a_run() -> None:
    assert graph_text(graph_of_plan(oauth_plan(), OAUTH_IMPLIED)).splitlines() == [
        "OAuth2 Implementation: 4 nodes",
        "",
        "layer 1",
        "    n1  Implement OAuth2 Middleware [aider]",
        "",
        "layer 2",
        "    n2  Add Comprehensive Tests [aider]",
        "         after n1",
        "",
        "layer 3",
        "    n3  Update Documentation [cursor]",
        "         after n1",
        "         after n2: both may write README.md",
        "    n4  Final Verification [claude, ipt]",
        "         after n1, n2",
    ]


def test_a_run_shows_each_status_as_a_word() -> None:
    text = graph_text(graph_of_run(STORIES["failed_check"]().state))
    assert "! n2  Add Comprehensive Tests [aider]  completed FAILED" in text
    assert "- n4  Final Verification [claude, ipt]  blocked" in text


def test_a_stored_report_draws_the_same_graph_as_the_run() -> None:
    history = STORIES["failed_check"]()
    report = run_report(history.state, history.events, now=history.now)
    assert graph_text(graph_of_report(report)) == graph_text(graph_of_run(history.state))


def test_implied_edges_are_dashed_and_say_why() -> None:
    graph = graph_of_plan(oauth_plan(), OAUTH_IMPLIED)
    assert 'n1 -.->|"both may write README.md"| n2' in graph_mermaid(graph)
    assert '"n2" -> "n3" [style=dashed, label="both may write README.md"];' in graph_dot(graph)
    assert 'class="implied"' in graph_svg(graph)
    assert "(1) n2 before n3: both may write README.md" in graph_svg(graph)


def test_mermaid_gets_no_character_that_it_could_take_for_its_own() -> None:
    for line in graph_mermaid(hostile_graph()).splitlines():
        label = line.partition('"')[2].rpartition('"')[0].replace("<br>", "")
        assert not set(label) & set('"<>`|]\\&\x1b\x00\n'), line


def test_dot_strings_stay_closed() -> None:
    text = graph_dot(hostile_graph())
    assert '"a\\"b\\\\N <b>&amp; `x` #35; | ]]> \ufffd end"' in text
    for line in text.splitlines():
        assert (line.replace("\\\\", "").replace('\\"', "").count('"')) % 2 == 0, line


def test_an_edge_to_an_unknown_node_is_not_drawn() -> None:
    graph = Graph(
        title="t",
        nodes=(GraphNode(id="a", label="", tool=""),),
        edges=(GraphEdge(before="gone", after="a"),),
    )
    assert "gone" not in graph_text(graph) + graph_mermaid(graph) + graph_dot(graph) + graph_svg(graph)


def test_a_cycle_is_drawn_behind_the_rest() -> None:
    nodes = tuple(GraphNode(id=name, label="", tool="") for name in "abc")
    edges = (GraphEdge(before="b", after="c"), GraphEdge(before="c", after="b"))
    graph = Graph(title="t", nodes=nodes, edges=edges)
    assert [[node.id for node in layer] for layer in graph.layers()] == [["a"], ["b", "c"]]
    ET.fromstring(graph_svg(graph))


# --- the drawing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "graph", [hostile_graph(), Graph(title="", nodes=(), edges=())], ids=["hostile", "empty"]
)
def test_the_svg_is_valid_xml_whatever_the_texts_hold(graph: Graph) -> None:
    root = ET.fromstring(graph_svg(graph))
    assert root.tag == f"{SVG}svg"
    assert not list(root.iter("script"))


def test_each_node_has_its_box_its_id_and_its_status_in_words() -> None:
    root = ET.fromstring(graph_svg(graph_of_run(STORIES["failed_check"]().state)))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"n1", "n2", "n3", "n4", "! completed FAILED", "- blocked"} <= set(texts)
    assert len(list(root.iter(f"{SVG}rect"))) == 4


@given(st.data())
def test_boxes_never_overlap_and_edges_go_to_the_right(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 14))
    pairs = data.draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30))
    graph = Graph(
        title="random",
        nodes=tuple(GraphNode(id=str(place), label="", tool="") for place in range(count)),
        edges=tuple(GraphEdge(before=str(a), after=str(b)) for a, b in sorted(pairs) if a < b),
    )
    layout = lay_out(graph)
    assert set(layout.nodes) == {node.id for node in graph.nodes}
    assert min(place.row for place in layout.nodes.values()) >= 0
    for edge, path in layout.edges:
        assert layout.nodes[edge.before].column < layout.nodes[edge.after].column
        assert all(after.column == before.column + 1 for before, after in pairwise(path))
    for one in layout.nodes.values():
        same = sorted(place.row for place in layout.nodes.values() if place.column == one.column)
        assert all(after - before >= 1 - 1e-9 for before, after in pairwise(same))


def test_crossings_are_removed_where_they_can_be() -> None:
    nodes = tuple(GraphNode(id=name, label="", tool="") for name in ("a", "b", "c", "x", "y", "z"))
    edges = tuple(GraphEdge(before=b, after=a) for b, a in (("a", "z"), ("b", "y"), ("c", "x")))
    places = lay_out(Graph(title="t", nodes=nodes, edges=edges)).nodes
    order = [sorted("abc", key=lambda n: places[n].row), sorted("xyz", key=lambda n: places[n].row)]
    assert dict(zip(*order, strict=True)) == {"a": "z", "b": "y", "c": "x"}
    assert all(places[b].row == pytest.approx(places[a].row) for b, a in (("a", "z"), ("b", "y"), ("c", "x")))


def test_a_thousand_nodes_are_laid_out_in_less_than_a_second() -> None:
    began = time.process_time()
    drawn = graph_svg(layered(10, 100, 3))
    assert time.process_time() - began < 1
    assert drawn.count("<rect") == 1000


def test_long_edges_of_a_long_chain_are_drawn_straight_instead_of_bent_a_million_times() -> None:
    names = [f"n{place}" for place in range(1000)]
    chain = [GraphEdge(before=a, after=b) for a, b in pairwise(names)]
    long = [GraphEdge(before="n0", after=name) for name in names[500:]]
    graph = Graph(
        title="chain",
        nodes=tuple(GraphNode(id=name, label="", tool="") for name in names),
        edges=(*chain, *long),
    )
    layout = lay_out(graph)
    assert sum(len(path) - 2 for _, path in layout.edges) <= MOST_BENDS
    assert layout.columns == 1000
