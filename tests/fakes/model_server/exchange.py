"""What all dialects share: the question in a request, the record of an exchange, the pieces on the wire."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from tests.fakes.model_server.script import Answer, Tokens

Json: TypeAlias = Mapping[str, Any]

NO_SCRIPT: Final = "default"
"""The script of a conversation whose prompt names none."""

_MARKER: Final = re.compile(r"\bscript=([A-Za-z0-9][A-Za-z0-9_-]*)")
_PIECE: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request, in words that all dialects share."""

    script: str
    answered: int
    """How often the model has answered since the prompt that named the script."""
    model: str
    stream: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and how it ended. Only a whole answer has used tokens."""

    script: str
    dialect: str
    model: str
    status: int | None
    """The HTTP status; None: nothing was replied."""
    whole: bool
    tokens: Tokens
    began: float
    """When the request came, in seconds of the monotonic clock."""


class Dialect(Protocol):
    """One vendor's way to ask and answer."""

    name: str

    def question(self, path: str, body: Json) -> Question | None:
        """What a POST asks the model; None when the path belongs to somebody else."""

    def document(self, answer: Answer, question: Question) -> Json:
        """The answer in one piece."""

    def events(self, answer: Answer, question: Question) -> Iterator[bytes]:
        """The answer as the events of a stream, as they go over the wire."""

    def refusal(self, status: int, message: str) -> Json:
        """The body of an HTTP error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One entry of a conversation: the text of a person, or an answer of the model."""

    by_model: bool
    text: str = ""


def place_in(conversation: Iterable[Said]) -> tuple[str, int]:
    """The script that the last prompt with a marker names, and the number of answers since then.

    Counting from the conversation itself needs no memory: a retried request gets the same answer, and an
    attempt that starts again starts its script again.
    """
    script, answered = NO_SCRIPT, 0
    for said in conversation:
        if said.by_model:
            answered += 1
        elif found := _MARKER.findall(said.text):
            script, answered = found[0], 0  # what follows may quote an earlier failure
    return script, answered


def text_of(content: object, *types: str) -> str:
    """The text in a `content`: a string, or the parts of the named types."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = (part for part in content if isinstance(part, Mapping) and part.get("type") in types)
    return "\n".join(str(part.get("text", "")) for part in parts)


def pieces(text: str) -> list[str]:
    """A text as it is streamed, some characters at a time; at least one piece."""
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)] or [""]


def sse(data: Json, event: str | None = None) -> bytes:
    """A server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
