"""`streams list` and `streams show`: what a multi_stream file says."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell
from cli_multi_rapid.cli.wishes import serialize_option
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.safe_text import one_line

if TYPE_CHECKING:
    from cli_multi_rapid.schema.stream_model import LoadedStreams, Stream

DEFAULT_FILE = Path("workflows/multi_stream.yaml")


class PhaseDocument(TypedDict):
    """A phase of a stream; `defined` false: no phase file has it."""

    id: str
    label: str
    defined: bool
    node_id: str


class StreamDocument(TypedDict):
    """A stream."""

    id: str
    label: str
    owner: str | None
    tool: str | None
    paths: list[str]
    waits_for: list[str]
    group: int
    group_kind: str
    phases: list[PhaseDocument]


class StreamList(TypedDict):
    """The document of `streams list|show --format json`."""

    schema_version: int
    file: str
    streams: list[StreamDocument]


@click.group(epilog=examples("streams list", "streams show docs", "streams show docs my/multi_stream.yaml"))
def streams() -> None:
    """List and show the streams of a multi_stream file."""


@streams.command("list", epilog=examples("streams list", "streams list my/multi_stream.yaml --format json"))
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@serialize_option
@format_option
@place_options
def list_streams(place: Place, format_: Format, file: Path | None, *, serialize_overlaps: bool) -> None:
    """List the streams in the order of their groups. FILE is workflows/multi_stream.yaml by default."""
    document = _read(place, file, serialize_overlaps=serialize_overlaps)
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text("\n".join(_list_lines(document["streams"])))


@streams.command("show", epilog=examples("streams show", "streams show docs", "streams show docs other.yaml"))
@click.argument("words", nargs=-1, metavar="[STREAM] [FILE]")
@serialize_option
@format_option
@place_options
def show_streams(place: Place, format_: Format, words: tuple[str, ...], *, serialize_overlaps: bool) -> None:
    """Show what each stream owns, waits for and does; or one stream."""
    if len(words) > 2:
        raise click.UsageError("name one stream and one file at most: streams show [STREAM] [FILE]")
    name, file = _stream_and_file(words)
    document = _read(place, file, serialize_overlaps=serialize_overlaps)
    if name is not None:
        document["streams"] = [_chosen(document["streams"], name)]
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text("\n".join(line for stream in document["streams"] for line in _show_lines(stream)))


def _stream_and_file(words: Sequence[str]) -> tuple[str | None, Path | None]:
    """A single word that looks like a file is the file."""
    if len(words) == 2:
        return words[0], Path(words[1])
    if not words:
        return None, None
    is_file = words[0].endswith((".yaml", ".yml", ".json")) or Path(words[0]).is_file()
    return (None, Path(words[0])) if is_file else (words[0], None)


def _chosen(streams: Sequence[StreamDocument], name: str) -> StreamDocument:
    from cli_multi_rapid.schema.names import did_you_mean

    names = [stream["id"] for stream in streams]
    if name not in names:
        hint = did_you_mean(name, names) or f"the streams are: {', '.join(names)}"
        raise UserError(f"there is no stream {name}", hint=hint)
    return streams[names.index(name)]


def _read(place: Place, file: Path | None, *, serialize_overlaps: bool) -> StreamList:
    """Read a file with its phases. Raises `InvalidInput` with all problems; tells warnings on stderr."""
    from cli_multi_rapid.schema.problems import InvalidInput, Problems, Severity
    from cli_multi_rapid.schema.streams import load_streams

    path = file or place.root / DEFAULT_FILE
    if file is None and not path.exists():
        raise UserError(
            f"there is no {path}", hint="make one: cli-orchestrator init; or name the file you mean"
        )
    problems = Problems()
    loaded = load_streams(
        path, problems, undefined_phases=Severity.WARNING, serialize_overlaps=serialize_overlaps
    )
    if loaded is None:
        raise InvalidInput(problems)
    if len(problems):
        tell(f"{len(problems)} warnings; see them: cli-orchestrator validate {path}")
    return StreamList(schema_version=SCHEMA_VERSION, file=str(path), streams=list(_documents(loaded)))


def _documents(loaded: "LoadedStreams") -> Iterator[StreamDocument]:
    waits, by_id = loaded.document.waits_for(), loaded.document.by_id
    for number, group in enumerate(loaded.document.order, 1):
        for named in group.streams:
            stream = by_id[named.name]
            yield StreamDocument(
                id=stream.id,
                label=stream.label,
                owner=stream.owner,
                tool=stream.tool,
                paths=[path.name for path in stream.paths],
                waits_for=list(waits[stream.id]),
                group=number,
                group_kind=group.kind,
                phases=_phases(stream, loaded),
            )


def _phases(stream: "Stream", loaded: "LoadedStreams") -> list[PhaseDocument]:
    found = []
    for named in stream.phases:
        phase = loaded.phases.get(named.name)
        found.append(
            PhaseDocument(
                id=named.name,
                label=phase.title if phase else "",
                defined=phase is not None,
                node_id=f"{stream.id}.{named.name}",
            )
        )
    return found


def _list_lines(streams: Sequence[StreamDocument]) -> Iterator[str]:
    names = max([6, *(len(stream["id"]) for stream in streams)])
    tools = max([5, *(len(_doer(stream)) for stream in streams)])
    yield f"group         {'stream':{names}}  {'owner':{tools}}  phases  paths"
    for stream in streams:
        group = f"{stream['group']}. {stream['group_kind']}"
        paths, count = ", ".join(stream["paths"]), len(stream["phases"])
        yield f"{group:12}  {stream['id']:{names}}  {_doer(stream):{tools}}  {count:>6}  {paths}"


def _doer(stream: StreamDocument) -> str:
    return one_line(stream["owner"] or stream["tool"] or "-", 12)


def _show_lines(stream: StreamDocument) -> Iterable[str]:
    yield f"{stream['id']}  {one_line(stream['label'])}"
    yield f"  group   {stream['group']}, {stream['group_kind']}"
    yield f"  owner   {one_line(stream['owner'] or '-')} (tool: {stream['tool'] or 'by capability'})"
    yield f"  paths   {', '.join(stream['paths'])}"
    yield f"  after   {', '.join(stream['waits_for']) or 'nothing'}"
    for number, phase in enumerate(stream["phases"]):
        words = one_line(phase["label"]) if phase["defined"] else "not defined in any phase file"
        yield f"  {'phases ' if number == 0 else '       '} {phase['id']}  {words}"
    yield ""
