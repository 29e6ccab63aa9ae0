"""The rules across streams and phases: names, order, circles, scopes."""

from collections.abc import Iterable, Mapping, Sequence

from cli_multi_rapid.core.claims import Overlap, PathClaim, find_overlaps
from cli_multi_rapid.core.dag import ancestors, find_cycle
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.schema.names import did_you_mean, what_is_wrong_with_id
from cli_multi_rapid.schema.phases import Phase
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.stream_model import ExecutionGroup, GroupKind, Named, Stream, StreamsDocument


def known_order(
    streams: Sequence[Stream], order: Sequence[ExecutionGroup], problems: Problems
) -> tuple[ExecutionGroup, ...]:
    """The groups with the streams that exist, each once; notes what is left out and what is missing."""
    known = {stream.id: stream for stream in streams}
    placed: dict[str, Named] = {}
    found: list[ExecutionGroup] = []
    for group in order:
        kept = [named for named in group.streams if _may_stand(named, known, placed, problems)]
        found.append(ExecutionGroup(kind=group.kind, streams=tuple(kept), at=group.at))
    for stream in streams:
        if stream.id not in placed:
            problems.report(
                Code.STREAM_NOT_ORDERED,
                stream.at,
                f"the stream {quoted(stream.id)} is in no group of `execution_order` and would never run",
                suggestion=f"add - sequential: [{stream.id}], or remove the stream",
            )
    return tuple(found)


def _may_stand(
    named: Named, known: Mapping[str, Stream], placed: dict[str, Named], problems: Problems
) -> bool:
    if named.name not in known:
        _report_unknown(problems, named, known, "execution_order names")
        return False
    first = placed.setdefault(named.name, named)
    if first is named:
        return True
    problems.report(
        Code.STREAM_TWICE,
        named.at,
        f"the stream {quoted(named.name)} is already in the group on line {first.at.line}",
        suggestion="a stream runs once: keep one of the two",
    )
    return False


def _report_unknown(problems: Problems, named: Named, known: Iterable[str], who: str) -> None:
    names = list(known)
    problems.report(
        Code.UNKNOWN_STREAM,
        named.at,
        f"{who} {quoted(named.name)}, and there is no such stream",
        suggestion=did_you_mean(named.name, names) or f"streams are: {', '.join(names)}",
    )


def check_streams(document: StreamsDocument, problems: Problems, *, serialize_overlaps: bool) -> None:
    """Note unknown dependencies, circles, and scopes that overlap side by side."""
    known = document.by_id
    for stream in document.streams:
        for named in stream.depends_on:
            if named.name == stream.id:
                message = f"the stream {quoted(stream.id)} depends on itself"
                problems.report(Code.SELF_DEP, named.at, message, suggestion="remove it from depends_on")
            elif named.name not in known:
                _report_unknown(problems, named, known, f"the stream {quoted(stream.id)} depends on")
    if not _report_circle(document, problems):
        severity = Severity.NOTICE if serialize_overlaps else Severity.ERROR
        for group in document.order:
            if group.kind is GroupKind.PARALLEL:
                _check_scopes(document, group, problems, severity)


def _graph(document: StreamsDocument) -> dict[NodeId, list[NodeId]]:
    return {
        NodeId(stream): [NodeId(name) for name in names if name != stream]
        for stream, names in document.waits_for().items()
    }


def _report_circle(document: StreamsDocument, problems: Problems) -> bool:
    cycle = find_cycle(_graph(document))
    if cycle is None:
        return False
    by_id = document.by_id
    notes: list[str] = []
    place = None
    for stream, other in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
        named = next((named for named in by_id[stream].depends_on if named.name == other), None)
        why = "execution_order places it later" if named is None else f"depends_on, line {named.at.line}"
        place = place or (named and named.at)
        notes.append(f"{stream} waits for {other} ({why})")
    problems.report(
        Code.CYCLE,
        place or by_id[cycle[0]].at,
        f"these streams wait for each other: {' → '.join((*cycle, cycle[0]))}",
        notes=notes,
        suggestion="remove a dependency, or change execution_order",
    )
    return True


def _check_scopes(
    document: StreamsDocument, group: ExecutionGroup, problems: Problems, severity: Severity
) -> None:
    streams = [document.by_id[named.name] for named in group.streams]
    claims = {NodeId(s.id): [PathClaim(path=path.name) for path in s.paths] for s in streams}
    graph = _graph(document)
    before = {stream: ancestors(graph, stream) for stream in claims}
    for overlap in find_overlaps(claims):
        if overlap.first not in before[overlap.second] and overlap.second not in before[overlap.first]:
            _report_overlap(document, overlap, problems, severity)


def _report_overlap(
    document: StreamsDocument, overlap: Overlap, problems: Problems, severity: Severity
) -> None:
    first, second = overlap.first_claim.path, overlap.second_claim.path
    at = next(path.at for path in document.by_id[overlap.second].paths if path.name == second)
    if severity is Severity.NOTICE:
        what = "their phases will run one after the other"
        suggestion = "part the scopes when the streams shall run side by side"
    else:
        what = "and both run in one parallel group"
        suggestion = "part the scopes, move one stream to a later group, or use --serialize-overlaps"
    problems.report(
        Code.OVERLAP,
        at,
        f"{quoted(second)} of stream {quoted(overlap.second)} overlaps {quoted(first)} of stream "
        f"{quoted(overlap.first)}: {what}",
        suggestion=suggestion,
        severity=severity,
    )


# Phases -----------------------------------------------------------------------------------------------------


def check_phases(
    document: StreamsDocument,
    phases: Mapping[str, Phase],
    problems: Problems,
    *,
    undefined_phases: Severity = Severity.ERROR,
) -> None:
    """Note phases that are undefined, named twice, or wait for what never runs or for each other."""
    named_by_streams = {named.name for stream in document.streams for named in stream.phases}
    free = [name for name in phases if name not in named_by_streams]  # what may have been meant
    for stream in document.streams:
        _check_names(stream, problems)
        for named in stream.phases:
            if named.name not in phases:
                problems.report(
                    Code.UNDEFINED_PHASE,
                    named.at,
                    f"no phase file defines the phase {quoted(named.name)} of stream {quoted(stream.id)}",
                    suggestion=did_you_mean(named.name, free) or _where_to_define(named),
                    severity=undefined_phases,
                )
    once = all(len({named.name for named in s.phases}) == len(s.phases) for s in document.streams)
    if _check_deps(document, phases, problems) and once:
        _report_phase_circle(document, phases, problems)


def _where_to_define(named: Named) -> str:
    return f"add - id: {named.name} to the `phases:` of a YAML file beside this one or in phase_definitions/"


def _check_names(stream: Stream, problems: Problems) -> None:
    seen: set[str] = set()
    for named in stream.phases:
        if named.name in seen:
            problems.report(
                Code.PHASE_TWICE,
                named.at,
                f"the stream {quoted(stream.id)} runs the phase {quoted(named.name)} twice",
                suggestion="keep one of the two; a second phase needs an id of its own",
            )
        seen.add(named.name)
        node = f"{stream.id}.{named.name}"
        reason = what_is_wrong_with_id(node)
        if reason is not None:
            problems.report(
                Code.BAD_ID,
                named.at,
                f"{quoted(node)} cannot be a node id: it {reason}",
                suggestion="shorten or change the id of the stream or of the phase",
            )


def node_ids(document: StreamsDocument, stream: Stream, name: str) -> tuple[NodeId, ...]:
    """The nodes that a phase's dependency names: in its own stream first, else in every stream.

    `<stream>.<phase>` names one exactly. Empty when no stream runs it.
    """
    if any(named.name == name for named in stream.phases):
        return (NodeId(f"{stream.id}.{name}"),)
    every = [(other.id, named.name) for other in document.streams for named in other.phases]
    plain = tuple(NodeId(f"{other}.{phase}") for other, phase in every if phase == name)
    return plain or tuple(NodeId(f"{other}.{phase}") for other, phase in every if f"{other}.{phase}" == name)


def phase_graph(document: StreamsDocument, phases: Mapping[str, Phase]) -> dict[NodeId, list[NodeId]]:
    """What each node `<stream>.<phase>` waits for: its predecessor, its own deps, and the earlier streams."""
    streams, waits = document.by_id, document.waits_for()
    graph: dict[NodeId, list[NodeId]] = {}
    for stream in document.streams:
        before = [node for name in waits[stream.id] for node in _last_nodes(streams, waits, name)]
        for named in stream.phases:
            phase = phases.get(named.name)
            own = [
                node for dep in (phase.deps if phase else ()) for node in node_ids(document, stream, dep.name)
            ]
            node = NodeId(f"{stream.id}.{named.name}")
            graph[node] = list(dict.fromkeys([*before, *own]))
            before = [node]
    return graph


def _last_nodes(
    streams: Mapping[str, Stream], waits: Mapping[str, tuple[str, ...]], name: str
) -> list[NodeId]:
    """The last node of a stream; of one without phases, what it waits for itself."""
    found: list[NodeId] = []
    todo, seen = [name], {name}
    while todo:
        stream = streams.get(todo.pop())
        if stream is None:
            continue
        if stream.phases:
            found.append(NodeId(f"{stream.id}.{stream.phases[-1].name}"))
            continue
        new = [other for other in waits[stream.id] if other not in seen]
        seen.update(new)
        todo.extend(new)
    return found


def _check_deps(document: StreamsDocument, phases: Mapping[str, Phase], problems: Problems) -> bool:
    """Whether every dependency of a phase is on another phase that runs; notes those that are not."""
    good = True
    running = {named.name for stream in document.streams for named in stream.phases}
    for stream in document.streams:
        for named in stream.phases:
            phase = phases.get(named.name)
            for dep in phase.deps if phase else ():
                if dep.name == named.name:
                    message = f"the phase {quoted(named.name)} depends on itself"
                    problems.report(Code.SELF_DEP, dep.at, message, suggestion="remove it from deps")
                    good = False
                elif not node_ids(document, stream, dep.name):
                    problems.report(
                        Code.UNKNOWN_PHASE_DEP,
                        dep.at,
                        f"the phase {quoted(named.name)} depends on {quoted(dep.name)}, which no stream runs",
                        suggestion=did_you_mean(dep.name, running) or "name a phase that a stream runs",
                    )
                    good = False
    return good


def _report_phase_circle(document: StreamsDocument, phases: Mapping[str, Phase], problems: Problems) -> None:
    graph = phase_graph(document, phases)
    cycle = find_cycle(graph)
    if cycle is None:
        return
    places = {
        NodeId(f"{stream.id}.{named.name}"): named.at
        for stream in document.streams
        for named in stream.phases
    }
    edges = zip(cycle, (*cycle[1:], cycle[0]), strict=True)
    problems.report(
        Code.CYCLE,
        places[cycle[0]],
        f"these phases wait for each other: {' → '.join((*cycle, cycle[0]))}",
        notes=[f"{node} (line {places[node].line}) waits for {other}" for node, other in edges],
        suggestion="remove a dependency of a phase, or change the order of phases or streams",
    )
