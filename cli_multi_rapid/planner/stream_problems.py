"""What can be wrong with a phase once it is known who does it, and what it may write."""

from collections.abc import Iterator
from typing import Final

from cli_multi_rapid.core.built_in_tools import VERIFY
from cli_multi_rapid.core.claims import covered
from cli_multi_rapid.core.plan import Actions, MakeDirs, Node, Work, WriteFile
from cli_multi_rapid.schema.phases import Phase
from cli_multi_rapid.schema.problems import Code, Problems, Severity
from cli_multi_rapid.schema.source import quoted
from cli_multi_rapid.schema.stream_model import Named, Stream, StreamsDocument
from cli_multi_rapid.schema.work import WORK_KEYS

_NEEDS_WORK: Final = frozenset(WORK_KEYS.values())
"""Tools that do what a phase spells out, and so can do nothing with a goal alone."""


def check_work(stream: Stream, phase: Phase, node: Node, problems: Problems) -> None:
    """An agent needs to be told something, and other tools need what they do spelled out."""
    if phase.work is None and node.tool in _NEEDS_WORK:
        keys = " or ".join(f"`{key}`" for key, tool in WORK_KEYS.items() if tool == node.tool)
        problems.report(
            Code.WORK,
            phase.at,
            f"the phase {quoted(phase.id)} of stream {quoted(stream.id)} is done by `{node.tool}`, "
            f"which needs {keys}",
            suggestion=f"add {keys}, or name an agent: tool: claude",
        )
    silent = phase.title == phase.id and not (phase.prompt or phase.description or phase.goals)
    if phase.work is None and silent and node.tool not in _NEEDS_WORK and node.tool != VERIFY:
        problems.report(
            Code.MISSING_KEY,
            phase.at,
            f"the phase {quoted(phase.id)} does not say what {node.tool} shall do",
            suggestion="write title:, goals: or prompt:",
        )


def check_writes(stream: Stream, phase: Phase, node: Node, problems: Problems) -> None:
    """What a phase says it writes lies inside the scope of its stream."""
    if not node.path_claims:
        return
    for paths, severity in ((node.outputs, Severity.ERROR), (tuple(_written(node.work)), Severity.WARNING)):
        verb = "writes" if severity is Severity.ERROR else "may write"
        outside = [path for path in paths if not covered(path, node.path_claims)]
        if outside:
            problems.report(
                Code.OUTSIDE_CLAIMS,
                phase.at,
                f"the phase {quoted(phase.id)} {verb} {', '.join(map(quoted, outside))} outside the scope of "
                f"stream {quoted(stream.id)}",
                notes=[f"the stream owns {', '.join(quoted(path.name) for path in stream.paths)}"],
                suggestion=f"add the paths to its scope.paths ({stream.at})",
                severity=severity,
            )


def _written(work: Work) -> Iterator[str]:
    """The paths that deterministic steps write; a folder that is new and empty gets a `.gitkeep`."""
    for action in work.actions if isinstance(work, Actions) else ():
        match action:
            case WriteFile(path=path):
                yield path
            case MakeDirs(paths=paths):
                yield from (f"{path.rstrip('/')}/.gitkeep" for path in paths)
            case _:
                continue


def report_undefined(stream: Stream, named: Named, problems: Problems) -> None:
    """Note a phase that nobody defines."""
    problems.report(
        Code.UNDEFINED_PHASE,
        named.at,
        f"no phase file defines the phase {quoted(named.name)} of stream {quoted(stream.id)}",
        suggestion=f"add - id: {named.name} to the `phases:` of a YAML file in phase_definitions/",
    )


def report_no_tool(stream: Stream, phase: Phase, problems: Problems) -> None:
    """Note that nobody is named who could do a phase."""
    who = f"its owner {quoted(stream.owner)} names none" if stream.owner else "it has no owner"
    problems.report(
        Code.UNKNOWN_TOOL,
        stream.at,
        f"the stream {quoted(stream.id)} has no tool for the phase {quoted(phase.id)}: {who}",
        suggestion="add tool: claude to the stream or the phase",
    )


def report_unclaimed(stream: Stream, problems: Problems) -> None:
    """Note a stream without a scope."""
    problems.report(
        Code.NO_CLAIMS,
        stream.at,
        f"the stream {quoted(stream.id)} owns no paths: its phases run optimistically, and a conflict shows "
        "only in the merge queue",
        suggestion="write scope: {paths: [docs/**]}",
        severity=Severity.NOTICE,
    )


def report_empty(document: StreamsDocument, problems: Problems) -> None:
    """Note that there is nothing to do."""
    message, suggestion = (
        "no stream has a phase: there is nothing to do",
        "list phases under streams[].phases",
    )
    if document.streams:
        problems.report(Code.BAD_VALUE, document.streams[0].at, message, suggestion=suggestion)
    else:
        problems.report_file(Code.BAD_VALUE, document.head.plan_id, message, suggestion=suggestion)


def check_ids(document: StreamsDocument, problems: Problems) -> None:
    """`a.b` with phase `c` and `a` with phase `b.c` would be the same node."""
    first: dict[str, tuple[str, str]] = {}
    for stream in document.streams:
        for named in stream.phases:
            pair = (stream.id, named.name)
            if first.setdefault(f"{stream.id}.{named.name}", pair) != pair:
                problems.report(
                    Code.DUPLICATE_ID,
                    named.at,
                    f"two phases would become the node {quoted(f'{stream.id}.{named.name}')}",
                    suggestion="rename the stream or the phase",
                )
