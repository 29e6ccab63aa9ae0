"""`report`: all that became of a run, in the format that its reader wants."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.finish import build_report
from cli_multi_rapid.cli.loaded_run import load_run
from cli_multi_rapid.cli.options import NEW_FILE, examples, place_options, run_argument
from cli_multi_rapid.cli.output import print_text, tell, write
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.reports.formats import ReportFormat, write_report

if TYPE_CHECKING:
    from cli_multi_rapid.reports.document import RunReport
    from cli_multi_rapid.wiring import Records


@click.command(
    epilog=examples(
        "report",
        "report 20261120-094612-k3f9 --format html -o run.html",
        "report --format junit -o report.xml",
    )
)
@run_argument
@click.option(
    "--format",
    "format_",
    type=click.Choice(ReportFormat, case_sensitive=False),
    default=ReportFormat.MD,
    show_default="md",
    help="What to write",
)
@click.option("-o", "--output", type=NEW_FILE, metavar="FILE", help="Write here  [default: stdout]")
@place_options
def report(place: Place, run: str | None, format_: ReportFormat, output: Path | None) -> None:
    """Write the report of a run: every node with its attempts, reasons, waits, checks and costs."""
    with place.open_records() as records:
        text = write_report(_report_of(records, run), format_)
    if output is not None:
        write_file(output, text)
        tell(f"wrote {output}")
    elif format_ is ReportFormat.MD:
        print_text(text)
    else:
        write(text)


def _report_of(records: "Records", name: str | None) -> "RunReport":
    loaded = load_run(records, records.find_run(name))
    return build_report(
        records.home, loaded.state, loaded.events, now=records.clock.now(), alive=loaded.alive
    )


def write_file(path: Path, text: str) -> None:
    """Write a document that a person asked for by name. Raises `EnvironmentFault`."""
    try:
        path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}") from error
