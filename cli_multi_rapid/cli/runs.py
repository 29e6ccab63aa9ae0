"""`runs`: the list of runs, the newest first."""

from itertools import islice

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.imported import is_imported
from cli_multi_rapid.cli.loaded_run import LoadedRun, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.run_list import run_list, run_list_text
from cli_multi_rapid.system import SystemClock


@click.command(
    epilog=examples("runs", "runs --limit 3", "runs --status FAILED --status PARTIAL", "runs --format json")
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(RunStatus, case_sensitive=False),
    help="Only runs that stand so; may be given several times",
)
@format_option
@place_options
def runs(place: Place, format_: Format, limit: int, statuses: tuple[RunStatus, ...]) -> None:
    """List the runs, the newest first."""
    shown: list[LoadedRun] = []
    imported: set[RunId] = set()
    if place.has_records:
        with place.open_records() as records:
            loaded = (load_run(records, run_id) for run_id in records.runs())
            fitting = (run for run in loaded if not statuses or run.state.status in statuses)
            shown = list(islice(fitting, limit))
            imported = {run.run_id for run in shown if is_imported(records.home, run.run_id)}
    document = run_list(run.state for run in shown)
    if format_ is Format.JSON:
        print_json(document)
        return
    if statuses and not shown:
        print_text(f"no run is {' or '.join(statuses)}; list them all: cli-orchestrator runs")
        return
    text = run_list_text(document["runs"], now=SystemClock().now())
    for run in shown:
        if run.state.finished is None and not run.alive and run.run_id not in imported:
            text += f"no process has {run.run_id} in hand; type: {commands.resume(run.run_id)}\n"
    print_text(text)
