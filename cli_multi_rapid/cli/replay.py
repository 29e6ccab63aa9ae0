"""`replay`: a run as it stood at an earlier moment, and what changed since another one."""

from datetime import datetime

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.loaded_run import LoadedRun, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options, run_argument
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.cli.terminal import terminal_width
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.reports.replay import diff_runs, diff_text, prefix, state_at
from cli_multi_rapid.reports.status import status_document, status_text
from cli_multi_rapid.reports.times import iso


@click.command(
    epilog=examples(
        "replay 20261120-094612-k3f9 --to-seq 12",
        "replay --at 2026-11-20T09:46:30Z",
        "replay --to-seq 40 --diff 12  # what changed in between",
    )
)
@run_argument
@click.option("--to-seq", type=click.IntRange(min=1), metavar="N", help="After the event with this number")
@click.option("--at", metavar="TIME", help="At this time, such as 2026-11-20T09:46:30Z")
@click.option(
    "--diff", "since", type=click.IntRange(min=0), metavar="N", help="What changed since this event"
)
@format_option
@place_options
def replay(
    place: Place, format_: Format, run: str | None, to_seq: int | None, at: str | None, since: int | None
) -> None:
    """Show a run as it stood after an event or at a time: the state is folded anew from the events.

    Times without a zone are local. Event numbers are those of `cli-orchestrator events`.
    """
    if (to_seq is None) == (at is None):
        raise click.UsageError("say which moment: either --to-seq N or --at TIME")
    with place.open_records() as records:
        loaded = load_run(records, records.find_run(run))
    events = _events_until(loaded, to_seq, None if at is None else _moment(at))
    if since is not None:
        _tell_difference(loaded, events, since, format_)
        return
    state, now = state_at(loaded.run_id, events), events[-1].time
    if format_ is Format.JSON:
        print_json(status_document(state, events, now=now))
        return
    last = events[-1]
    head = f"as it stood after event {last.seq} of {loaded.state.seq} ({last.type}), {iso(last.time)}\n\n"
    print_text(head + status_text(state, events, now=now, width=terminal_width()))


def _events_until(run: LoadedRun, to_seq: int | None, at: datetime | None) -> list[Event]:
    if to_seq is not None and to_seq > run.state.seq:
        raise UserError(
            f"run {run.run_id} has {run.state.seq} events, not {to_seq}",
            hint=f"list them: cli-orchestrator events {run.run_id}",
        )
    events = prefix(run.events, to_seq=to_seq, at=at)
    if not events:
        raise UserError(f"run {run.run_id} began later, at {iso(run.events[0].time)}")
    return events


def _tell_difference(run: LoadedRun, events: list[Event], since: int, format_: Format) -> None:
    if since > events[-1].seq:
        raise UserError(f"--diff {since} is later than event {events[-1].seq}, the moment that is shown")
    before = state_at(run.run_id, events, to_seq=since)
    difference = diff_runs(before, state_at(run.run_id, events))
    if format_ is Format.JSON:
        print_json(difference)
    else:
        print_text(diff_text(difference))


def _moment(text: str) -> datetime:
    """A time as people write it, local when it names no zone. Raises `UserError`."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UserError(
            f"{text!r} is not a time",
            hint="write it like 2026-11-20T09:46:30Z, or without the Z for local time",
        ) from None
