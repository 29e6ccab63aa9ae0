"""Streams whose scopes overlap, put one after the other."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.claims import PathClaim, find_overlaps
from cli_multi_rapid.core.dag import find_cycle, implied_edges
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.schema.phases import Phase
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.stream_model import LoadedStreams, Named, Stream, StreamsDocument
from cli_multi_rapid.schema.stream_rules import node_ids


def serialize(loaded: LoadedStreams, problems: Problems) -> StreamsDocument:
    """The document with streams that may write the same paths in order: by priority, then by place."""
    document = loaded.document
    deps = _stream_graph(loaded)
    if find_cycle(deps) is not None:
        # Phases of two streams wait for each other in turn. Claims still keep their nodes apart, one by one.
        problems.report(
            Code.OVERLAP,
            document.streams[0].at,
            "phases of these streams wait for each other in turn, so whole streams cannot be put in order: "
            "phases with overlapping scopes run one after the other instead",
            severity=Severity.NOTICE,
        )
        return document
    writing = [stream for stream in document.streams if _writes(stream, loaded.phases)]
    claims = {NodeId(s.id): [PathClaim(path=path.name) for path in s.paths] for s in writing}
    rank = {NodeId(s.id): (float(s.priority),) for s in document.streams}
    added: dict[str, list[str]] = {}
    for edge in implied_edges(deps, find_overlaps(claims), rank):
        added.setdefault(edge.after, []).append(edge.before)
    streams = tuple(_wait(stream, added.get(stream.id, [])) for stream in document.streams)
    return replace(document, streams=streams)


def _stream_graph(loaded: LoadedStreams) -> dict[NodeId, list[NodeId]]:
    """What each stream waits for, also because of a dependency of one of its phases."""
    document = loaded.document
    owner = {NodeId(f"{s.id}.{named.name}"): s.id for s in document.streams for named in s.phases}
    graph: dict[NodeId, list[NodeId]] = {}
    waits = document.waits_for()
    for stream in document.streams:
        found = dict.fromkeys(waits[stream.id])
        for named in stream.phases:
            phase = loaded.phases.get(named.name)
            for dep in phase.deps if phase else ():
                found.update(dict.fromkeys(owner[node] for node in node_ids(document, stream, dep.name)))
        graph[NodeId(stream.id)] = [NodeId(name) for name in found if name != stream.id]
    return graph


def _writes(stream: Stream, phases: Mapping[str, Phase]) -> bool:
    found = [phases[named.name] for named in stream.phases if named.name in phases]
    return any((phase.tool or stream.tool) != VERIFY for phase in found)


def _wait(stream: Stream, others: Sequence[str]) -> Stream:
    """The stream, waiting for others as well."""
    known = {named.name for named in stream.depends_on}
    new = tuple(Named(name=name, at=stream.at) for name in others if name not in known)
    return replace(stream, depends_on=(*stream.depends_on, *new))
