"""`status`: how a run stands, and what comes next."""

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.loaded_run import load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options, run_argument
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.cli.queue_look import landing_estimates
from cli_multi_rapid.cli.terminal import terminal_width
from cli_multi_rapid.core.ids import queue_stream
from cli_multi_rapid.reports.status import status_document, status_text


@click.command(epilog=examples("status", "status 20261120-094612-k3f9", "status --format json"))
@run_argument
@click.option("--all", "everything", is_flag=True, help="Every node and every next step, however many")
@format_option
@place_options
def status(place: Place, format_: Format, run: str | None, *, everything: bool) -> None:
    """Say how a run stands and what comes next.

    RUN is the id of a run or the beginning of it; without one the latest run is meant. To look is no
    failure: the exit code is 0 however the run stands.
    """
    with place.open_records() as records:
        loaded = load_run(records, records.find_run(run))
        now = records.clock.now()
        landing = landing_estimates(place, records, loaded.state, now)
        started = loaded.state.started
        checking = started is not None and records.leases.holder(queue_stream(started.target)) is not None
    if format_ is Format.JSON:
        document = status_document(
            loaded.state,
            loaded.events,
            now=now,
            alive=loaded.alive,
            everything=everything,
            landing=landing,
            checking=checking,
        )
        print_json(document)
        return
    print_text(
        status_text(
            loaded.state,
            loaded.events,
            now=now,
            alive=loaded.alive,
            width=terminal_width(),
            everything=everything,
            landing=landing,
            checking=checking,
        )
    )
