"""`cost`: what was spent, by tool, model, node, run or day."""

from enum import StrEnum

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.options import examples, place_options, run_argument
from cli_multi_rapid.cli.output import print_json, print_text, write
from cli_multi_rapid.reports.cost import CostBy, LedgerRow, cost_csv, cost_document, cost_text, ledger_rows


class CostFormat(StrEnum):
    """How the sums are written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


@click.command(
    epilog=examples("cost", "cost --by day", "cost 20261120-094612-k3f9 --by node", "cost --format csv")
)
@run_argument
@click.option(
    "--by",
    type=click.Choice(CostBy, case_sensitive=False),
    default=CostBy.TOOL,
    show_default="tool",
    help="What the sums are made of",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(CostFormat, case_sensitive=False),
    default=CostFormat.TEXT,
    show_default="text",
    help="csv: every attempt on its own line",
)
@place_options
def cost(place: Place, run: str | None, by: CostBy, format_: CostFormat) -> None:
    """Sum up what was spent in all runs, or in one."""
    rows: list[LedgerRow] = []
    if run is not None or place.has_records:
        with place.open_records() as records:
            chosen = records.runs() if run is None else [records.find_run(run)]
            events = (event for run_id in reversed(chosen) for event in records.log.read(run_id))
            rows = ledger_rows(events)
    match format_:
        case CostFormat.JSON:
            print_json(cost_document(rows, by))
        case CostFormat.CSV:
            write(cost_csv(rows))
        case CostFormat.TEXT:
            print_text(cost_text(rows, by))
