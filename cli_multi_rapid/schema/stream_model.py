"""The values that a multi_stream file is read into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.schema.phases import Phase
from cli_multi_rapid.schema.plan_head import PlanHead
from cli_multi_rapid.schema.source import Place


class GroupKind(StrEnum):
    """How the streams of one group run."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name and where it is written."""

    name: str
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An owner of paths, and the phases that run there in order."""

    id: str
    label: str
    name: str
    at: Place = field(compare=False)
    paths: tuple[Named, ...]
    """Globs that the stream claims exclusively."""
    phases: tuple[Named, ...]
    owner: str | None = None
    tool: ToolName | None = None
    """The tool named by `tool`, else by the owner; None when neither names one."""
    depends_on: tuple[Named, ...] = ()
    priority: int = 1
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionGroup:
    """Streams of one step of the order. A group starts when the one before it is done."""

    kind: GroupKind
    streams: tuple[Named, ...]
    at: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class StreamsDocument:
    """A checked multi_stream file: ids are unique, every stream is in the order once, nothing is circular."""

    head: PlanHead
    streams: tuple[Stream, ...]
    order: tuple[ExecutionGroup, ...]

    @property
    def by_id(self) -> Mapping[str, Stream]:
        """The streams by their id, in the file's order."""
        return {stream.id: stream for stream in self.streams}

    def waits_for(self) -> dict[str, tuple[str, ...]]:
        """The streams that each stream waits for directly: its `depends_on`, and what comes before."""
        waits = {stream.id: [named.name for named in stream.depends_on] for stream in self.streams}
        before: list[str] = []
        for group in self.order:
            here = before
            for named in group.streams:
                waits[named.name] += here
                if group.kind is GroupKind.SEQUENTIAL:
                    here = [named.name]
            before = [named.name for named in group.streams] or before
        return {stream: tuple(dict.fromkeys(names)) for stream, names in waits.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStreams:
    """A multi_stream file with the phases that lie beside it."""

    document: StreamsDocument
    phases: Mapping[str, Phase]
