"""`watch`: the notable events of a run, line by line, while they happen."""

from datetime import datetime

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.follow import following
from cli_multi_rapid.cli.loaded_run import LoadedRun, load_run
from cli_multi_rapid.cli.options import examples, place_options, run_argument
from cli_multi_rapid.cli.output import print_text
from cli_multi_rapid.cli.progress import Narrator
from cli_multi_rapid.cli.terminal import terminal_width
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.reports.status import status_text


@click.command(epilog=examples("watch", "watch 20261120-094612-k3f9"))
@run_argument
@place_options
def watch(place: Place, run: str | None) -> int:
    """Follow a run while it works, until it rests.

    Ctrl-C ends the watching and leaves the run alone. The exit code is the one of the run: 0 when all is
    landed; 1 as well when no process has the run in hand.
    """
    with place.open_records() as records:
        run_id = records.find_run(run)
        narrator = Narrator()
        with following(records, run_id) as follower:
            before = load_run(records, run_id)
            follower.skip(before.events)
            for event in before.events:
                narrator.line_of(event)  # it learns which entry belongs to which node
            print_text(_standing(before, records.clock.now()))
            if before.state.finished is None:
                for batch in follower.batches():
                    if not _tell(narrator, batch):
                        return ExitCode.DONE
                after = load_run(records, run_id)
                print_text("\n" + _standing(after, records.clock.now()))
        finished = follower.finished
    return finished.exit_code if finished else ExitCode.NOT_LANDED


def _standing(run: LoadedRun, now: datetime) -> str:
    return status_text(run.state, run.events, now=now, alive=run.alive, width=terminal_width())


def _tell(narrator: Narrator, batch: list[Event]) -> bool:
    """Whether anybody still reads."""
    lines = [line for line in map(narrator.line_of, batch) if line]
    return not lines or print_text("\n".join(lines))
