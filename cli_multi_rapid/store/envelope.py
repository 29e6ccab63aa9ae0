"""The envelope around an event's fields: its type and version by name, and its JSON form."""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.json import Encoder

from cli_multi_rapid.core.codec import CorruptDocument, read_time
from cli_multi_rapid.core.events import Event, NewEvent, Unknown, payload_from_data, payload_to_data
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import RunId

_encode_quickly: Final = Encoder().encode
# ASCII: text from tools may hold lone surrogates, which UTF-8 has no form for.
_encode_exactly: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode

_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
_LARGEST_NUMBER: Final = 2**63 - 1
"""What SQLite holds."""


def encode(value: object) -> str:
    """Compact JSON text of plain values, in ASCII.

    Raises `ValueError` for what JSON has no form for: NaN and infinities, which the quick encoder calls null.
    """
    try:
        text = _encode_quickly(value).decode("ascii")
    except (UnicodeError, OverflowError):
        return _encode_exactly(value)
    return _encode_exactly(value) if "null" in text else text


def type_and_version(payload: Payload) -> tuple[str, int]:
    """The dotted name of an event's fields and their version, also of a type that we do not know."""
    if isinstance(payload, Unknown):
        return payload.name, payload.of_version
    return payload.type, payload.version


def utc_text(time: datetime) -> str:
    """A time as it is kept: UTC, always equally long, so that text sorts as time does."""
    return (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat(timespec="microseconds")


def placed(run_id: RunId, seq: int, event: NewEvent) -> Event:
    """The event at its place in a stream."""
    return Event(
        id=event.id,
        seq=seq,
        run_id=run_id,
        time=event.time,
        source=event.source,
        data=event.data,
        causation_id=event.causation_id,
        correlation_id=event.correlation_id,
    )


def to_envelope(event: Event) -> dict[str, Any]:
    """The JSON object of an event: `id, seq, run_id, type, version, time, source, causation_id, …, data`."""
    return {
        "id": event.id,
        "seq": event.seq,
        "run_id": event.run_id,
        "type": event.type,
        "version": event.version,
        "time": utc_text(event.time),
        "source": event.source,
        "causation_id": event.causation_id,
        "correlation_id": event.correlation_id,
        "data": payload_to_data(event.data),
    }


def from_envelope(document: Any) -> Event:
    """Read an envelope back, lifted to the newest version. Raises `CorruptDocument` when it is none."""
    try:
        return Event(
            id=_text(document, "id"),
            seq=_number(document, "seq"),
            run_id=_text(document, "run_id"),
            time=read_time(document["time"]),
            source=_text(document, "source"),
            data=payload_from_data(_text(document, "type"), _number(document, "version"), document["data"]),
            causation_id=_optional_text(document, "causation_id"),
            correlation_id=_optional_text(document, "correlation_id"),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        if isinstance(error, CorruptDocument):
            raise
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise CorruptDocument(f"this is no event: {what}") from error


def _text(document: dict[str, Any], key: str) -> Any:
    text = document[key]
    if not isinstance(text, str):
        raise CorruptDocument(f"{key} must be a text")
    if _HALF_CHARACTER.search(text):
        raise CorruptDocument(f"{key} holds half a character, which no database keeps")
    return text


def _optional_text(document: dict[str, Any], key: str) -> Any:
    return None if document.get(key) is None else _text(document, key)


def _number(document: dict[str, Any], key: str) -> int:
    number = document[key]
    if not isinstance(number, int) or not 1 <= number <= _LARGEST_NUMBER:
        raise CorruptDocument(f"{key} must be a whole number from 1")
    return number
