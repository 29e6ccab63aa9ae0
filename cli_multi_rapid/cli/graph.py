"""`graph`: what runs after what, as text or as a picture."""

import os
from enum import StrEnum
from pathlib import Path

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.intake import Wish, read_configuration, take_in
from cli_multi_rapid.cli.options import NEW_FILE, examples, place_options
from cli_multi_rapid.cli.output import print_text, tell, write
from cli_multi_rapid.cli.planner_choice import TEMPLATE, Asking
from cli_multi_rapid.cli.wishes import param_option, serialize_option
from cli_multi_rapid.core.scheduler import prepare
from cli_multi_rapid.reports.graph import Graph, graph_dot, graph_mermaid, graph_of_plan, graph_text


class Drawing(StrEnum):
    """How the graph is written."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


@click.command(
    epilog=examples(
        "graph plan.yaml",
        "graph plan.yaml --as svg -o plan.svg",
        "graph plan.yaml --as dot | dot -Tpng > plan.png",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "drawing",
    type=click.Choice([word.value for word in Drawing], case_sensitive=False),
    callback=lambda _ctx, _param, value: Drawing(value),
    default=Drawing.TEXT.value,
    show_default=True,
    help="How to draw it",
)
@click.option("-o", "--output", type=NEW_FILE, metavar="F", help="Write it to a file instead of stdout")
@param_option
@serialize_option
@place_options
def graph(
    *,
    file: Path,
    drawing: Drawing,
    output: Path | None,
    param: dict[str, str],
    serialize_overlaps: bool,
    place: Place,
) -> int:
    """Draw FILE, a plan or a multi_stream file: its nodes, deps, and the order that comes from claims."""
    wish = Wish(file=file, params=param, serialize_overlaps=serialize_overlaps)
    plan = take_in(wish, place, read_configuration(place), os.environ, Asking(planner=TEMPLATE)).plan
    _, implied = prepare(plan)
    text = draw(graph_of_plan(plan, implied), drawing)
    if output is not None:
        from cli_multi_rapid.cli.finish import replace_file

        replace_file(output, text)
        tell(f"written: {output}")
    elif drawing is Drawing.TEXT:
        print_text(text)
    else:
        write(text)
    return 0


def draw(drawn: Graph, drawing: Drawing) -> str:
    """The graph in a language."""
    match drawing:
        case Drawing.TEXT:
            return graph_text(drawn)
        case Drawing.MERMAID:
            return graph_mermaid(drawn)
        case Drawing.DOT:
            return graph_dot(drawn)
        case Drawing.SVG:
            from cli_multi_rapid.reports.graph_svg import graph_svg

            return graph_svg(drawn)
