"""What the engine needs from the outside, as Protocols. `wiring` picks the implementations."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct, field

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.ids import EventId, RunId, ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import Node

if TYPE_CHECKING:  # our own small programs need the ports and no event
    from cli_multi_rapid.core.events import Event, NewEvent


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; only differences mean anything."""


class Ids(Protocol):
    """Where new names come from."""

    def run_id(self) -> RunId:
        """A new run's id: short enough to type, ordered by time, safe in a branch name."""

    def event_id(self) -> EventId:
        """A new event's id, unique everywhere."""


class StaleWriter(Exception):
    """The stream moved on since it was read, or the writer's lease was taken over."""

    def __init__(self, run_id: RunId, expected: int, actual: int, *, fenced: bool = False) -> None:
        super().__init__(f"{run_id}: expected seq {expected}, the stream is at {actual}")
        self.actual = actual
        self.fenced = fenced
        """True when another process holds the lease now: this writer must stop."""


class EventIdUsed(InternalError):
    """An event of this id is in the log already; nothing was appended."""


class Lease(Protocol):
    """The right to decide for a stream, held by one living process at a time."""

    @property
    def name(self) -> str:
        """What is leased: a run id or a queue stream."""

    @property
    def fence(self) -> int:
        """The token of this holding; every later holder has a larger one."""

    def release(self) -> None:
        """Give the right back. Safe to call twice."""


class Leases(Protocol):
    """Hands out leases. The lease of a dead process is free at once."""

    def acquire(self, name: str) -> Lease | None:
        """The lease, or None when a living process holds it."""

    def holder(self, name: str) -> str | None:
        """Who holds it (`pid 123 on host since …`), for messages; None when nobody does."""


class EventLog(Protocol):
    """The append-only log: the only truth."""

    def append(
        self,
        run_id: RunId,
        events: Sequence["NewEvent"],
        *,
        expected_seq: int | None,
        fence: int | None = None,
    ) -> list["Event"]:
        """Append all events or none, and return them with their places.

        `expected_seq` is the last `seq` the writer has seen; None appends without an expectation (a person's
        command). Raises `StaleWriter` when the stream is elsewhere or `fence` is not the newest token of the
        stream's lease. Events of `core.events.DURABLE` types are on disk when this returns.
        """

    def read(self, run_id: RunId, after_seq: int = 0, *, limit: int | None = None) -> list["Event"]:
        """The events of a stream after a place, in order."""

    def last_seq(self, run_id: RunId) -> int:
        """The last place of a stream; 0 when there is no such stream."""

    def streams(self) -> list[RunId]:
        """Every stream's id, the most recently started first."""

    def close(self) -> None:
        """Free the resources. Nothing can be appended afterwards."""


class Bus(Protocol):
    """Wakes other processes; lossy by contract, readers catch up from the log."""

    def hint(self, run_id: RunId) -> None:
        """Say that a stream has news. Never fails, never waits."""

    def subscribe(self, wake: Callable[[RunId], None]) -> Callable[[], None]:
        """Call `wake` from a thread of the bus on every hint; the returned function ends that."""


class CostClass(StrEnum):
    """How a tool's price is known beforehand."""

    FREE = "free"
    PRICED = "priced"
    """The tool tells its cost itself."""
    METERED = "metered"
    """The tool tells its tokens; the cost follows from its model's price, when that is known."""
    UNPRICED = "unpriced"
    """Neither: what it costs is not told, not even afterwards."""


class Brief(Struct, frozen=True, kw_only=True):
    """All that an adapter may know of the attempt that it prepares."""

    node: Node
    attempt: int
    run_id: RunId
    slot: Path
    """The work tree; the program runs with this folder as its own."""
    temp: Path
    """A private folder of this attempt, removed afterwards; also the program's TMPDIR."""
    prompt: str
    timeout_s: float
    cap: MicroUsd | None = None
    """The most that this attempt may cost, for tools that can hold themselves to it."""
    session_id: str | None = None
    """The session of an earlier attempt of the same tool, to be continued."""
    session_usage: Usage = field(default_factory=Usage)
    """What is booked for that session by now, told or assumed: some tools count a session, not a run."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The scrubbed environment with the node's own variables."""
    answer_schema: str | None = None
    """A JSON schema: an answer of this form is wanted, and no work. For tools of `routing.ANSWERERS`."""
    may_read: bool = False
    """With `answer_schema`: it may look at the files of the slot, and change none of them."""


class StopStep(Struct, frozen=True, kw_only=True):
    """A signal to a program that has to end, and how long it may take over it."""

    signal: Signals
    wait_s: float


STOP_STEPS: Final = (
    StopStep(signal=Signals.SIGINT, wait_s=2.0),
    StopStep(signal=Signals.SIGTERM, wait_s=3.0),
)
"""After SIGINT agents write their last record. What is there after the last step is killed with its tree."""


class Invocation(Struct, frozen=True, kw_only=True):
    """The program that does the work: exactly this argv, this environment, no shell."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    session_id: str | None = None
    ignore: tuple[str, ...] = ()
    """Globs of the litter that this tool leaves in the slot; never part of the work."""
    made_empty: tuple[str, ...] = ()
    """Exact paths that this tool makes as empty files before it asks its model: empty they are no work."""
    stops: tuple[StopStep, ...] = STOP_STEPS
    """How to end it."""


class ToolReading(Struct, frozen=True, kw_only=True):
    """What a tool's own output says of its end. A claim of success is not yet success."""

    ok: bool
    summary: str = ""
    failure: FailureClass | None = None
    reason: str = ""
    usage: Usage = field(default_factory=Usage)
    session_id: str | None = None
    answer: str | None = None
    """What came where an answer by a schema was wanted, be it of that form or not; None: nothing came."""
    denied: tuple[str, ...] = ()
    """What the tool wanted to do and was not allowed to, in words. It may have found another way."""


class Adapter(Protocol):
    """Drives one tool: prepares its command line and reads its output."""

    name: ToolName
    cost: CostClass
    expects_change: bool
    """Whether an attempt of a `wt` node without any change has failed (agents), or is fine (commands)."""
    resumes: bool
    """Whether it can go on with the session of an earlier attempt, in another slot."""

    def missing(self, environment: Mapping[str, str]) -> str | None:
        """Why the tool cannot be used here, with what to install; None when it can."""

    def prepare(self, brief: Brief) -> Invocation:
        """The program for one attempt. May write into `brief.temp`, never into the slot."""

    def read(self, output: bytes, exit_code: int | None, brief: Brief) -> ToolReading:
        """Judge the end of an attempt from its bounded output and exit code."""
