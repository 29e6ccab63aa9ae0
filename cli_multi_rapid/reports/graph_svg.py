"""The DAG as a drawing: one SVG that follows light and dark and says every status in words."""

from itertools import pairwise
from typing import Final

from cli_multi_rapid.reports.graph import Graph, GraphEdge, GraphNode
from cli_multi_rapid.reports.layout import Layout, Place, lay_out
from cli_multi_rapid.reports.safe_text import markup, one_line
from cli_multi_rapid.reports.tone import PAINTS, paint_rules

_COLUMN: Final = 290
_ROW: Final = 76
_WIDTH: Final = 214
_HEIGHT: Final = 56
_MARGIN: Final = 16
_LETTERS: Final = 27
"""Characters of the label that fit into a box."""
_LINE: Final = 16
_WIDEST_NOTE: Final = 720
_NOTES: Final = 40
"""Reasons that are written below the drawing; those of further edges only show when one points at them."""

_STYLE: Final = (
    ".dag{font-family:system-ui,sans-serif;--text:#1f2328;--edge:#6e7781}"
    ".dag rect{fill:var(--ground);stroke:var(--line);stroke-width:1.5}"
    ".dag .ipt rect{stroke-dasharray:2 2}"
    ".dag text{fill:var(--text);font-size:12px}"
    ".dag .id{font-weight:600;font-size:13px}"
    ".dag .standing{fill:var(--line);font-size:11px;font-weight:600}"
    ".dag path{fill:none;stroke:var(--edge);stroke-width:1.4}"
    ".dag .implied{stroke-dasharray:6 4}"
    ".dag .tool,.dag .why{font-size:11px;fill:var(--edge)}"
    ".dag marker path{fill:var(--edge);stroke:none}"
    "@media (prefers-color-scheme:dark){.dag{--text:#e6edf3;--edge:#8b949e}}"
)
_ARROW: Final = (
    '<defs><marker id="dag-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
)


def graph_svg(graph: Graph) -> str:
    """The drawing as a document of its own, which also stands inside an HTML page."""
    layout = lay_out(graph)
    noted = {id(edge): number for number, edge in enumerate((e for e, _ in layout.edges if e.reason), 1)}
    width = max(1, layout.columns) * _COLUMN - (_COLUMN - _WIDTH) + 2 * _MARGIN
    width = max(width, _WIDEST_NOTE) if noted else width
    bottom = round(layout.rows * _ROW + _HEIGHT + 2 * _MARGIN)
    height = bottom + _LINE * min(len(noted), _NOTES)
    title = f"Graph of {graph.title}: {len(graph.nodes)} nodes"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dag" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><title>{markup(one_line(title))}</title>'
        f"<style>{_STYLE}{paint_rules('t-')}</style>{_ARROW}"
    )
    edges = "".join(_edge(edge, path, noted.get(id(edge), 0)) for edge, path in layout.edges)
    nodes = "".join(_node(node, layout) for node in graph.nodes)
    reasons = [edge for edge, _ in layout.edges if edge.reason]
    return f"{opening}{edges}{nodes}{_notes(reasons, bottom)}</svg>"


def _notes(edges: list[GraphEdge], top: int) -> str:
    """Below the drawing: why each numbered edge is there."""
    return "".join(
        f'<text class="why" x="{_MARGIN}" y="{top + _LINE * place}">'
        f"({place + 1}) {markup(_explain(edge))}</text>"
        for place, edge in enumerate(edges[:_NOTES])
    )


def _explain(edge: GraphEdge) -> str:
    return f"{edge.before} before {edge.after}" + (f": {one_line(edge.reason, 120)}" if edge.reason else "")


def _corner(place: Place) -> tuple[int, float]:
    return _MARGIN + place.column * _COLUMN, _MARGIN + place.row * _ROW


def _node(node: GraphNode, layout: Layout) -> str:
    left, top = _corner(layout.nodes[node.id])
    kind = "ipt" if node.role == "ipt" else "wt"
    sign = f"{PAINTS[node.tone].sign} " if node.status else ""
    standing, tool = markup(f"{sign}{node.standing}"), markup(one_line(node.tool, 12))
    hint = markup(f"{node.id}: {one_line(node.label)} [{node.tool}, {node.role}] {node.standing}")
    return (
        f'<g class="t-{node.tone} {kind}" transform="translate({left} {top:.1f})"><title>{hint}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text class="id" x="10" y="18">{markup(one_line(node.id, 16))}</text>'
        f'<text x="10" y="34">{markup(one_line(node.label, _LETTERS))}</text>'
        f'<text class="standing" x="10" y="49">{standing}</text>'
        f'<text class="tool" x="{_WIDTH - 10}" y="18" text-anchor="end">{tool}</text></g>'
    )


def _edge(edge: GraphEdge, path: tuple[Place, ...], note: int) -> str:
    points = _points(path)
    curve = f"M{points[0][0]} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        curve += f"C{middle:.0f} {y0:.1f} {middle:.0f} {y1:.1f} {x1} {y1:.1f}"
    kind = ' class="implied"' if edge.reason else ""
    line = f'<path{kind} d="{curve}" marker-end="url(#dag-arrow)"/>'
    return f"<g><title>{markup(_explain(edge))}</title>{line}{_number(note, points[-2:])}</g>"


def _number(note: int, ends: list[tuple[int, float]]) -> str:
    """The number of an implied edge's reason, beside the middle of its last part."""
    if not 0 < note <= _NOTES:
        return ""
    (x0, y0), (x1, y1) = ends
    return f'<text class="why" x="{(x0 + x1) / 2 + 4:.0f}" y="{(y0 + y1) / 2 + 12:.1f}">({note})</text>'


def _points(path: tuple[Place, ...]) -> list[tuple[int, float]]:
    """From the right of the first node to the left of the last; straight across the layers of the bends."""
    corners = [_corner(place) for place in path]
    middles = [(left, top + _HEIGHT / 2) for left, top in corners]
    bends = [(x, y) for left, y in middles[1:-1] for x in (left, left + _WIDTH)]
    return [(middles[0][0] + _WIDTH, middles[0][1]), *bends, middles[-1]]
