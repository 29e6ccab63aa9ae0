"""The values that a multi_stream file is read into."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.schema.phases import Phase
from cli_multi_rapid.schema.plan_head import PlanHead
from cli_multi_rapid.schema.source import Place


class GroupKind(StrEnum):
    """How the streams of one group run."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class Named(Struct, frozen=True, kw_only=True):
    """A name and where it is written."""

    name: str
    at: Place


class Stream(Struct, frozen=True, kw_only=True):
    """An owner of paths, and the phases that run there in order."""

    id: str
    label: str
    name: str
    at: Place
    paths: tuple[Named, ...]
    """Globs that the stream claims exclusively."""
    phases: tuple[Named, ...]
    owner: str | None = None
    tool: ToolName | None = None
    """The tool named by `tool`, else by the owner; None when neither names one."""
    depends_on: tuple[Named, ...] = ()
    priority: int = 1
    description: str = ""


class ExecutionGroup(Struct, frozen=True, kw_only=True):
    """Streams of one step of the order. A group starts when the one before it is done."""

    kind: GroupKind
    streams: tuple[Named, ...]
    at: Place


class StreamsDocument(Struct, frozen=True, kw_only=True, dict=True):
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


class LoadedStreams(Struct, frozen=True, kw_only=True):
    """A multi_stream file with the phases that lie beside it."""

    document: StreamsDocument
    phases: Mapping[str, Phase]
