"""What can happen to a processor of a merge queue at an append, and when it does."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum, StrEnum

from msgspec import Struct, field


class FaultKind(StrEnum):
    """What happens."""

    CRASH = "the processor is killed"
    LEASE = "another processor takes the lease"
    MOVE = "somebody moves the target"


class When(Enum):
    """At which side of the append."""

    BEFORE = "before"
    AFTER = "after"


class Fault(Struct, frozen=True, kw_only=True):
    """Something happens right before or after the append number `at`, counted from 1, from now on."""

    kind: FaultKind
    when: When
    at: int = 1

    def __repr__(self) -> str:
        return f"Fault(FaultKind.{self.kind.name}, When.{self.when.name}, {self.at})"


class Gone(Exception):
    """The processor at work is no more."""


class Killed(Gone):
    """As by `kill -9`: nobody is at work until another one takes up the queue."""


class Ousted(Gone):
    """Another one has the lease and is at work: what this one writes from now on is refused."""

    def __init__(self, wrote: bool) -> None:
        super().__init__()
        self.wrote = wrote
        """Whether the event was still accepted."""


class Faults(Struct):
    """The faults that are to come, one after the other, and those that came."""

    armed: list[Fault] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    """By kind and side."""
    appends: int = 0
    """How many times a processor appended, or tried to."""
    _waited: int = 0

    def arm(self, faults: Iterable[Fault]) -> None:
        """Have these happen, in this order, and forget others that have not."""
        self.armed, self._waited = list(faults), 0

    def due(self) -> Fault | None:
        """The fault of the append that is about to be made; it is spent."""
        self.appends += 1
        self._waited += 1
        if not self.armed or self.armed[0].at > self._waited:
            return None
        fault, self._waited = self.armed.pop(0), 0
        self.injected[f"{fault.kind}, {fault.when.value} an event"] += 1
        return fault
