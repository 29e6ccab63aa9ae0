"""Where the one deciding thread hears from workers, other processes and signals."""

from queue import Empty, SimpleQueue

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import NodeId, RunId


class AttemptEnded(Struct, frozen=True, kw_only=True):
    """A worker is done with an attempt: the facts to record, in order."""

    node_id: NodeId
    attempt: int
    facts: tuple[Payload, ...]
    fault: EnvironmentFault | None = None
    """Of the machine, which says nothing about the attempt: then there are no facts."""


class CheckEnded(Struct, frozen=True, kw_only=True):
    """A checker is done: the facts to record in the queue's stream."""

    key: str
    serial: int
    """Which start of a check ended: one that was called off may end after its successor began."""
    facts: tuple[Payload, ...]
    fault: EnvironmentFault | None = None
    """Of the machine, which says nothing about the tree: then there are no facts."""


class Hint(Struct, frozen=True, kw_only=True):
    """A stream may have news."""

    stream: RunId


class Interrupted(Struct, frozen=True, kw_only=True):
    """A signal asked us to stop. The second one means: at once."""

    signal_name: str


Message = AttemptEnded | CheckEnded | Hint | Interrupted


class Inbox:
    """Messages in order of arrival. `put` may be called from any thread and from a signal handler."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[Message] = SimpleQueue()

    def put(self, message: Message) -> None:
        """Leave a message; never waits."""
        self._messages.put(message)

    def wait(self, timeout_s: float) -> list[Message]:
        """Every message there is, after waiting for the first one at most this long."""
        try:
            messages = [self._messages.get(timeout=timeout_s)]
        except Empty:
            return []
        while not self._messages.empty():
            messages.append(self._messages.get_nowait())
        return messages
