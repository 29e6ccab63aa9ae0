"""`queue …`: the merge queue alone, for branches made by anything."""

from typing import Final

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.cli.queue_look import look_at
from cli_multi_rapid.cli.queue_view import LoadedQueue, load_queues, open_entry
from cli_multi_rapid.cli.queue_wish import AddWish, wish_options
from cli_multi_rapid.reports.queue_rows import queue_rows
from cli_multi_rapid.reports.queue_text import queue_document, queue_text
from cli_multi_rapid.system import SystemClock

_MOST_GONE: Final = 10
"""Entries that have left the queue and are still listed."""

some_target_option = click.option("--target", metavar="BRANCH", help="Only the queue of this branch")


@click.group(
    epilog=examples(
        "queue add feature-a feature-b",
        "queue process",
        "queue list",
        "queue why feature-a",
    )
)
def queue() -> None:
    """Land branches made by anything: checked together, exactly as they land, and only when green.

    Your branches are never changed or deleted.
    """


@queue.command(
    epilog=examples(
        "queue add feature-a feature-b",
        "queue add hotfix --target release/1.2 --priority high",
        "queue add hotfix --urgent             # says what it costs",
        "queue add api client --depends-on schema",
        "queue add docs --checks lint          # only this check",
        "queue add notes --checks ''           # no check at all",
    )
)
@wish_options
@format_option
@place_options
def add(place: Place, format_: Format, wish: AddWish) -> int:
    """Queue branches at their present heads. Nothing is checked yet: `queue process` does the work.

    A branch that waits already at an older commit is replaced; what depends on it waits for the new one.
    """
    from cli_multi_rapid.cli.queue_add import add_branches

    return add_branches(place, wish, format_)


@queue.command("list", epilog=examples("queue list", "queue list --all", "queue list --format json"))
@some_target_option
@click.option("--all", "everything", is_flag=True, help="Also all that left the queue long ago")
@format_option
@place_options
def list_queue(place: Place, format_: Format, target: str | None, everything: bool) -> None:
    """List what waits, for what and since when, and what became of the rest."""
    queues: list[LoadedQueue] = []
    now = SystemClock().now()
    if place.has_records:
        with place.open_records() as records:
            queues = load_queues(records, target)
    most = None if everything else _MOST_GONE
    seen = look_at(place, queues, now)
    rows = [
        row
        for queue, view in zip(queues, seen, strict=True)
        for row in queue_rows(queue.state, view.look, most_gone=most)
    ]
    gone = sum(1 for queue in queues for entry in queue.state.entries.values() if not entry.open)
    hidden = gone - sum(1 for row in rows if row.position is None)
    unknown = {
        str(queue.state.target): view.unknown
        for queue, view in zip(queues, seen, strict=True)
        if view.unknown
    }
    halted = "; ".join(
        f"{queue.state.target}: {queue.state.halted}" for queue in queues if queue.state.halted
    )
    if format_ is Format.JSON:
        print_json(queue_document(rows, halted=halted or None, no_estimate=unknown, omitted=hidden))
        return
    workers = [
        f"{queue.state.target} is being processed by {queue.processor}" for queue in queues if queue.processor
    ]
    print_text(
        "".join(f"{line}\n" for line in workers)
        + queue_text(rows, now=now, halted=halted or None, no_estimate=unknown, omitted=hidden)
    )


@queue.command(
    epilog=examples(
        "queue process",
        "queue process --workers 8",
        "queue process --target main --watch",
        "queue process --push origin   # on the remote and here",
    )
)
@some_target_option
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=1000),
    metavar="N",
    help="Checks at once  [default: merge_policy.workers of the configuration, else 2]",
)
@click.option("--watch", is_flag=True, help="Wait for others who process it, and for new entries, for ever")
@click.option(
    "--push",
    metavar="REMOTE",
    help="Land on this remote first, in one atomic push  [default: the configuration's landing.push]",
)
@format_option
@place_options
def process(
    place: Place, format_: Format, target: str | None, workers: int | None, watch: bool, push: str | None
) -> int:
    """Check what waits and land what is green, until nothing is left to do.

    Exit code 0: all landed; 1: something did not, and why; 4: it waits for your approval; 5: another process
    works on this queue, or the remote cannot be reached.
    """
    from cli_multi_rapid.cli.queue_process import process_queues

    return process_queues(place, target, workers=workers, watch=watch, format_=format_, push=push)


@queue.command(epilog=examples("queue why feature-a", "queue why feature-a@1234567890 --format json"))
@click.argument("entry", metavar="ID")
@some_target_option
@format_option
@place_options
def why(place: Place, format_: Format, entry: str, target: str | None) -> None:
    """Tell all that is known of an entry. ID is its id, the beginning of it, or its branch.

    A node of the latest run is good as well.
    """
    from cli_multi_rapid.cli.queue_entry import entry_document, entry_text

    with open_entry(place, entry, target) as (records, queue, known):
        (view,) = look_at(place, [queue], records.clock.now())
        document = entry_document(queue, known, view)
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text(entry_text(document))


@queue.command(epilog=examples("queue retry feature-a   # after you put it right"))
@click.argument("entry", metavar="ID")
@some_target_option
@format_option
@place_options
def retry(place: Place, format_: Format, entry: str, target: str | None) -> int:
    """Queue a branch again that did not land, at its present head; or set a halted queue going again.

    ID is as for `queue why`.
    """
    from cli_multi_rapid.cli.queue_act import retry_entry

    return retry_entry(place, entry, target, format_)


@queue.command(epilog=examples("queue cancel feature-a --reason 'not yet'"))
@click.argument("entry", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record")
@some_target_option
@format_option
@place_options
def cancel(place: Place, format_: Format, entry: str, reason: str, target: str | None) -> int:
    """Take an entry out of the queue. The branch stays as it is."""
    from cli_multi_rapid.cli.queue_act import cancel_entry

    cancel_entry(place, entry, target, reason, format_)
    return ExitCode.DONE


@queue.command(epilog=examples("queue approve feature-a"))
@click.argument("entry", metavar="ID")
@some_target_option
@format_option
@place_options
def approve(place: Place, format_: Format, entry: str, target: str | None) -> int:
    """Agree to the landing of an entry that waits for it."""
    from cli_multi_rapid.cli.queue_act import approve_entry

    approve_entry(place, entry, target, format_)
    return ExitCode.DONE
