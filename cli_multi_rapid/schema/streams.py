"""`multi_stream.yaml`: streams that own paths and run phases, and the order of the streams."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.schema.document import Document, load_document
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.names import is_tool_name, tool_name
from cli_multi_rapid.schema.nodes import name_of, read_priority
from cli_multi_rapid.schema.phases import check_tool, load_phases
from cli_multi_rapid.schema.plan_head import HEAD_KEYS, read_head
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.reading import Reading, Text
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.stream_model import (
    ExecutionGroup,
    GroupKind,
    LoadedStreams,
    Named,
    Stream,
    StreamsDocument,
)
from cli_multi_rapid.schema.stream_rules import check_phases, check_streams, known_order
from cli_multi_rapid.schema.values import Items, Table, Value
from cli_multi_rapid.schema.verification import check_plans_fixer

STREAMS_KEYS: Final = keys(f"{HEAD_KEYS} streams execution_order", rollback_policy="rollback")
STREAM_KEYS: Final = keys(
    "id label name description owner tool scope phases depends_on priority",
    depends_on="deps dependencies",
    scope="path_claims",
)
_SCOPE_KEYS: Final = keys("paths description")


def load_streams(
    path: Path,
    problems: Problems,
    *,
    known_tools: Collection[str] | None = None,
    known_checks: Collection[str] = (),
    serialize_overlaps: bool = False,
    undefined_phases: Severity = Severity.ERROR,
    default_base: str = "main",
) -> LoadedStreams | None:
    """A multi_stream file and the phases in its folder; None when there are errors.

    `undefined_phases` is how much a phase matters that no file defines: an error for a run.
    """
    before = problems.error_count
    document = load_document(path, problems)
    streams = (
        document
        if document is None
        else parse_streams(
            document,
            problems,
            known_tools=known_tools,
            known_checks=known_checks,
            serialize_overlaps=serialize_overlaps,
            default_base=default_base,
        )
    )
    phases = load_phases(path.parent, problems, known_tools=known_tools)
    if streams is None:
        return None
    check_phases(streams, phases, problems, undefined_phases=undefined_phases)
    return None if problems.error_count > before else LoadedStreams(document=streams, phases=phases)


def parse_streams(
    document: Document,
    problems: Problems,
    *,
    known_tools: Collection[str] | None = None,
    known_checks: Collection[str] = (),
    serialize_overlaps: bool = False,
    default_base: str = "main",
) -> StreamsDocument | None:
    """The streams of a document, or None when it has errors.

    `serialize_overlaps`: scopes that overlap inside a parallel group are only worth a notice, because the
    nodes of such streams will run one after the other.
    """
    before = problems.error_count - document.errors
    reading = Reading(document.source, problems)
    fields = open_table(reading, document.root, STREAMS_KEYS, "the streams file")
    if fields is None:
        return None
    head = read_head(fields, known_checks=known_checks, default_base=default_base)
    if head.fix is not None:
        check_plans_fixer(fields, head.fix, known_tools)
    streams = _read_streams(fields, known_tools)
    order = _read_order(fields)
    found = StreamsDocument(head=head, streams=streams, order=known_order(streams, order, problems))
    check_streams(found, problems, serialize_overlaps=serialize_overlaps)
    return None if problems.error_count > before else found


def _read_streams(fields: Fields, known_tools: Collection[str] | None) -> tuple[Stream, ...]:
    reading = fields.reading
    if not fields.has("streams"):
        fields.missing("streams", "write streams: [{id: docs, scope: {paths: [docs/**]}, phases: [phase1]}]")
    found: dict[str, Stream] = {}
    for position, value in enumerate(fields.items("streams", "a list of streams"), 1):
        stream = _read_stream(reading, value, position, known_tools)
        if stream is not None and stream.id in found:
            reading.problems.report(
                Code.DUPLICATE_ID,
                stream.at,
                f"a second stream has the id {quoted(stream.id)}",
                notes=[f"the first is on line {found[stream.id].at.line}"],
                suggestion="give each stream an id of its own",
            )
        elif stream is not None:
            found[stream.id] = stream
    return tuple(found.values())


def _read_stream(
    reading: Reading, value: Value, position: int, known_tools: Collection[str] | None
) -> Stream | None:
    fields = open_table(reading, value, STREAM_KEYS, name_of("stream", value, position))
    if fields is None:
        return None
    paths, phases = _read_scope(fields), _named(fields, fields.texts("phases"))
    if not phases and not isinstance(fields.value("phases"), Items):
        fields.missing("phases", "write phases: [phase1, phase2]")
    given = fields.text("id")
    if given is None:
        if not fields.has("id"):
            fields.missing("id", f"write id: stream-{position}")
        return None
    reading.id(given, "a stream id")
    name = fields.string("name") or fields.string("label") or given.text
    return Stream(
        id=given.text,
        label=fields.string("label") or name,
        name=name,
        at=reading.place(given.at),
        paths=paths,
        phases=phases,
        owner=fields.optional_string("owner"),
        tool=_read_tool(fields, known_tools),
        depends_on=_named(fields, fields.texts("depends_on")),
        priority=read_priority(fields, 1),
        description=fields.string("description"),
    )


def _named(fields: Fields, texts: tuple[Text, ...]) -> tuple[Named, ...]:
    return tuple(Named(name=text.text, at=fields.reading.place(text.at)) for text in texts)


def _read_scope(fields: Fields) -> tuple[Named, ...]:
    """`scope: {paths: [...]}`, or the list alone."""
    value = fields.value("scope")
    if value is None:
        fields.missing("scope", "write scope: {paths: [docs/**]}; the stream's nodes claim these paths")
        return ()
    if isinstance(value, Items):
        return _named(fields, fields.globs("scope"))
    scope = open_table(fields.reading, value, _SCOPE_KEYS, f"the scope of {fields.what}")
    if scope is None:
        return ()
    if not scope.has("paths"):
        scope.missing("paths", "write paths: [docs/**]")
    return _named(fields, scope.globs("paths"))


def _read_tool(fields: Fields, known_tools: Collection[str] | None) -> ToolName | None:
    """The tool that does the stream's phases: an owner such as `Claude` names one."""
    text = fields.text("tool") or fields.text("owner")
    if text is None:
        return None
    name = tool_name(text.text)
    if fields.has("tool") or known_tools is not None:
        check_tool(fields.reading, text, known_tools, fields.what)
    return name if is_tool_name(name) else None


def _read_order(fields: Fields) -> tuple[ExecutionGroup, ...]:
    if not fields.has("execution_order"):
        fields.missing("execution_order", "write execution_order: [{parallel: [stream-a, stream-b]}]")
    found: list[ExecutionGroup] = []
    for value in fields.items("execution_order", "a list of groups"):
        found.extend(_read_group(fields, value))
    return tuple(found)


def _read_group(fields: Fields, value: Value) -> list[ExecutionGroup]:
    reading = fields.reading
    example = "write - parallel: [stream-a, stream-b], or - sequential: [stream-c]"
    if not isinstance(value, Table):
        reading.wrong_type(value, "each group of `execution_order`", "a mapping", suggestion=example)
        return []
    if len(value.entries) != 1:
        message = "a group of `execution_order` has one key, `parallel` or `sequential`"
        reading.report(Code.BAD_VALUE, value, message, suggestion=example)
    groups: list[ExecutionGroup] = []
    for key, streams in value.entries.values():
        if key.text not in tuple(GroupKind):
            message = f"{quoted(key.text)} is no kind of group"
            close = reading.did_you_mean(key.text, tuple(GroupKind))
            reading.report(Code.UNKNOWN_KEY, key, message, suggestion=close or example)
            continue
        texts = reading.texts(streams, f"the {key.text} group")
        kind = GroupKind(key.text)
        groups.append(ExecutionGroup(kind=kind, streams=_named(fields, texts), at=reading.place(key)))
    return groups
