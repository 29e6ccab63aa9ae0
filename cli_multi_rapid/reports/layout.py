"""Where the nodes of a graph are drawn: layers from left to right, with few crossings and short edges.

The method of Sugiyama: longest-path layers; edges over several layers get a bend in each layer between;
the order in each layer is that of the barycentres of its neighbours, in a few sweeps; then every node is
moved as near to its neighbours as the order allows. Pure arithmetic, no recursion: 1000 nodes take a
fraction of a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from cli_multi_rapid.reports.graph import Graph, GraphEdge

SWEEPS: Final = 8
MOST_BENDS: Final = 20_000
"""More bends than this cost more than they please: long edges are then drawn straight."""
BEND_GAP: Final = 0.5
"""Rows that a bend takes, where a node takes one."""

Key = str | tuple[int, int]  # a node's id, or (edge, layer) of a bend


class Place(Struct, frozen=True, kw_only=True):
    """Column (layer, from 0) and row (not whole); the smallest row is 0."""

    column: int
    row: float


class Layout(Struct, frozen=True, kw_only=True):
    """Where everything goes, in columns and rows."""

    nodes: Mapping[str, Place]
    edges: tuple[tuple[GraphEdge, tuple[Place, ...]], ...]
    """Every edge with its path: start, bends, end."""
    columns: int
    rows: float


def lay_out(graph: Graph) -> Layout:
    """Place the nodes of a graph and the paths of its edges."""
    columns = {node.id: number for number, layer in enumerate(graph.layers()) for node in layer}
    edges = list(graph.drawn())
    paths = _paths(edges, columns)
    layers = _initial_layers(graph, columns, paths)
    neighbours = _neighbours(paths)
    _reduce_crossings(layers, neighbours)
    rows = _rows(layers, neighbours)
    column_of: dict[Key, int] = {key: number for number, layer in enumerate(layers) for key in layer}
    places = {key: Place(column=column_of[key], row=rows[key]) for key in rows}
    return Layout(
        nodes={node.id: places[node.id] for node in graph.nodes},
        edges=tuple((edge, tuple(places[k] for k in path)) for edge, path in zip(edges, paths, strict=True)),
        columns=len(layers),
        rows=max(rows.values(), default=0.0),
    )


def _paths(edges: Sequence[GraphEdge], columns: Mapping[str, int]) -> list[list[Key]]:
    """Each edge as the keys that it passes."""
    bends = sum(max(0, columns[edge.after] - columns[edge.before] - 1) for edge in edges)
    found: list[list[Key]] = []
    for number, edge in enumerate(edges):
        between = range(columns[edge.before] + 1, columns[edge.after]) if bends <= MOST_BENDS else ()
        found.append([edge.before, *((number, column) for column in between), edge.after])
    return found


def _initial_layers(graph: Graph, columns: Mapping[str, int], paths: Iterable[list[Key]]) -> list[list[Key]]:
    layers: list[list[Key]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for node in graph.nodes:
        layers[columns[node.id]].append(node.id)
    for path in paths:
        for key in path[1:-1]:
            if isinstance(key, tuple):
                layers[key[1]].append(key)
    return layers


def _neighbours(paths: Iterable[list[Key]]) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    """What lies to the left and to the right of each key."""
    left: dict[Key, list[Key]] = {}
    right: dict[Key, list[Key]] = {}
    for path in paths:
        for before, after in pairwise(path):
            right.setdefault(before, []).append(after)
            left.setdefault(after, []).append(before)
    return left, right


def _reduce_crossings(
    layers: list[list[Key]], neighbours: tuple[dict[Key, list[Key]], dict[Key, list[Key]]]
) -> None:
    """Sort each layer by its neighbours' mean position, now from the left and now from the right."""
    rank: dict[Key, float] = {key: float(at) for layer in layers for at, key in enumerate(layer)}
    for sweep in range(SWEEPS):
        beside = neighbours[sweep % 2]
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            centre = {key: _mean(beside.get(key, ()), rank, rank[key]) for key in layer}
            layer.sort(key=centre.__getitem__)
            rank.update({key: float(at) for at, key in enumerate(layer)})


def _mean(keys: Sequence[Key], values: Mapping[Key, float], otherwise: float) -> float:
    return sum(values[key] for key in keys) / len(keys) if keys else otherwise


def _rows(
    layers: Sequence[Sequence[Key]], neighbours: tuple[dict[Key, list[Key]], dict[Key, list[Key]]]
) -> dict[Key, float]:
    """The row of each key: stacked first, then drawn to its neighbours on both sides by turns."""
    rows: dict[Key, float] = {}
    tallest = max((_height(layer) for layer in layers), default=0.0)
    for layer in layers:
        start = (tallest - _height(layer)) / 2
        rows.update(zip(layer, (start + offset for offset in _offsets(layer)), strict=True))
    for sweep in range(SWEEPS):
        beside = neighbours[sweep % 2]
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wished = [_mean(beside.get(key, ()), rows, rows[key]) for key in layer]
            rows.update(zip(layer, _spread(wished, _offsets(layer)), strict=True))
    top = min(rows.values(), default=0.0)
    return {key: row - top for key, row in rows.items()}


def _gap(key: Key) -> float:
    return BEND_GAP if isinstance(key, tuple) else 1.0


def _offsets(layer: Sequence[Key]) -> list[float]:
    """The rows of a layer that is packed as tightly as its members allow."""
    found: list[float] = []
    for at, key in enumerate(layer):
        found.append(found[-1] + (_gap(layer[at - 1]) + _gap(key)) / 2 if found else 0.0)
    return found


def _height(layer: Sequence[Key]) -> float:
    return _offsets(layer)[-1] if layer else 0.0


def _spread(wished: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The rows nearest to the wished ones (least squares) that keep the order and the distances.

    Pool adjacent violators: neighbours that want to pass one another become a block at their mean wish.
    """
    blocks: list[tuple[float, int]] = []  # mean of (wish - offset), members
    for wish, offset in zip(wished, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] >= mean:
            before, members = blocks.pop()
            mean, count = (before * members + mean * count) / (members + count), members + count
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
