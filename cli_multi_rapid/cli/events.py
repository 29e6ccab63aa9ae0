"""`events`: the facts of a run, one by one."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.follow import following
from cli_multi_rapid.cli.options import examples, format_option, place_options, run_argument
from cli_multi_rapid.cli.output import Format, print_json, print_json_line, write
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import CATALOGUE, Event
from cli_multi_rapid.core.ids import RunId, is_queue_stream
from cli_multi_rapid.redaction import printable
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.events_text import EventDocument, event_document, event_line, event_lines

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


class EventList(TypedDict):
    """The document of `events --format json`; with `-f` each event is a document of its own, on a line."""

    schema_version: int
    run_id: str
    events: list[EventDocument]


Wanted = Callable[[Event], bool]


@click.command(
    epilog=examples(
        "events",
        "events --type 'node.*' --type run.finished",
        "events 20261120-094612-k3f9 --since 40 --format json",
        "events -f --format json  # JSON lines, one event each",
        "events queue:main  # the merge queue of the branch main",
    )
)
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the run rests; with json: JSON lines")
@click.option("--type", "types", multiple=True, metavar="GLOB", help="Only these types; several may be given")
@click.option("--node", metavar="NODE", help="Only what is about this node")
@click.option("--since", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only what came after")
@format_option
@place_options
def events(
    place: Place,
    format_: Format,
    run: str | None,
    follow: bool,
    types: tuple[str, ...],
    node: str | None,
    since: int,
) -> None:
    """Show the events of a run, or of a merge queue as `queue:BRANCH`."""
    _check_types(types)

    def wanted(event: Event) -> bool:
        if event.seq <= since or (types and not any(fnmatchcase(event.type, glob) for glob in types)):
            return False
        return node is None or node in _nodes_of(event)

    with place.open_records() as records:
        stream = find_stream(records, run)
        if follow:
            _follow(records, stream, wanted, format_)
            return
        found = [event for event in records.log.read(stream) if wanted(event)]
    if format_ is Format.JSON:
        documents = [event_document(event) for event in found]
        print_json(EventList(schema_version=SCHEMA_VERSION, run_id=stream, events=documents))
    else:
        write(printable(event_lines(found)))


def find_stream(records: "Records", name: str | None) -> RunId:
    """A run, or the stream of a merge queue by its full name. Raises `UserError`."""
    if name is None or not is_queue_stream(RunId(name)):
        return records.find_run(name)
    queues = [stream for stream in records.log.streams() if is_queue_stream(stream)]
    if name not in queues:
        known = ", ".join(queues) or "none"
        raise UserError(f"there is no merge queue {name}", hint=f"the queues are: {known}")
    return RunId(name)


def _follow(records: "Records", stream: RunId, wanted: Wanted, format_: Format) -> None:
    with following(records, stream) as follower:
        for batch in follower.batches():
            if not _tell(filter(wanted, batch), format_):
                return


def _tell(batch: Iterable[Event], format_: Format) -> bool:
    """Whether anybody still reads."""
    if format_ is Format.JSON:
        return all(print_json_line(event_document(event)) for event in batch)
    text = "".join(f"{event_line(event)}\n" for event in batch)
    return not text or write(printable(text))


def _check_types(globs: tuple[str, ...]) -> None:
    """A glob without any match would show nothing for ever: say so instead."""
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in CATALOGUE):
            from cli_multi_rapid.schema.names import did_you_mean

            groups = sorted({f"{name.partition('.')[0]}.*" for name in CATALOGUE})
            hint = did_you_mean(glob, CATALOGUE) or f"types begin with: {', '.join(groups)}"
            raise UserError(f"no event is of the type {glob}", hint=hint)


def _nodes_of(event: Event) -> set[str]:
    """The nodes that an event names, itself or by a merge entry `RUN/NODE`."""
    data = event.data
    named = {getattr(data, "node_id", None)}
    entry = getattr(data, "entry", None)
    entries = (*getattr(data, "entries", ()), getattr(data, "entry_id", None), getattr(entry, "id", None))
    named.update(str(entry_id).partition("/")[2] for entry_id in entries if entry_id)
    return {name for name in named if name}
