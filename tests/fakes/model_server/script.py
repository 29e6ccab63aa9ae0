"""What a scripted model does: a list of turns, answers in their order and faults that stand before them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What one answer is said to have used."""

    input: int = 0
    """Tokens of the request, those read from a cache included."""
    cached: int = 0
    """The part of `input` that came from a cache."""
    output: int = 0
    """Tokens of the answer, those spent on reasoning included."""
    reasoning: int = 0
    """The part of `output` that nobody sees."""

    def __post_init__(self) -> None:
        if not (0 <= self.cached <= self.input and 0 <= self.reasoning <= self.output):
            raise ValueError(f"{self}: a part cannot be more than the whole")


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """The model answers with a text and is done."""

    text: str
    tokens: Tokens = Tokens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The model asks for a tool of the CLI; the result comes back in the next request."""

    tool: str
    arguments: Mapping[str, object]
    tokens: Tokens = Tokens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """An HTTP error instead of the next answer."""

    status: int
    message: str = "refused by the script"
    times: int | None = None
    """How often the fault happens before the script goes on; None: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The connection breaks in the next answer, after so many events of a stream or in half of a document."""

    after: int
    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nothing more comes, and the connection stays open until the client leaves or the server stops.

    `after` is the number of events of a stream that still come; None: not even the head of a reply.
    """

    after: int | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """The next answer waits until `count` scripts that gather under this name are waiting at once.

    It happens once for each script. Scripts that were seen waiting together were running together, which no
    measurement of time can prove.
    """

    name: str
    count: int
    times: int | None = field(default=1, init=False)


Answer: TypeAlias = Say | Call
Fault: TypeAlias = Refuse | Cut | Silence | Gather
Turn: TypeAlias = Answer | Fault
Script: TypeAlias = Sequence[Turn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The place of a script that a request has come to."""

    answer: Answer | None
    """None: the script has fewer answers."""
    faults: tuple[tuple[int, Fault], ...]
    """What stands before the answer, each with its place in the script."""


def step_at(script: Script, answered: int) -> Step:
    """Where a conversation stands in which the model has answered so many times."""
    faults: list[tuple[int, Fault]] = []
    for place, turn in enumerate(script):
        if not isinstance(turn, Say | Call):
            faults.append((place, turn))
        elif answered:
            answered -= 1
            faults.clear()
        else:
            return Step(answer=turn, faults=tuple(faults))
    return Step(answer=None, faults=tuple(faults) if not answered else ())
