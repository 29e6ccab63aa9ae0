"""How results reach their reader: documents and text on stdout, all the rest on stderr."""

import errno
import json
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO


class Format(StrEnum):
    """What stdout gets."""

    TEXT = "text"
    JSON = "json"


def print_json(document: Mapping[str, Any]) -> bool:
    """One document, and nothing else. Returns whether anybody still reads."""
    return _write_json(json.dumps(document, indent=2, ensure_ascii=False))


def print_json_line(document: Mapping[str, Any]) -> bool:
    """One document on one line, for streams of them. Returns whether anybody still reads."""
    return _write_json(json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _write_json(text: str) -> bool:
    from cli_multi_rapid.redaction import Redactor, escaped_json

    return write(escaped_json(Redactor.from_environment(os.environ).redact(text)) + "\n")


def print_text(text: str) -> bool:
    """Text for a person, without anything that could steer the terminal; ends its line.

    Returns whether anybody still reads: something that goes on for ever stops when nobody does.
    """
    return write(_harmless(text) + ("" if text.endswith("\n") else "\n"))


def write(text: str) -> bool:
    """Exactly this text, for what is already safe to show. Returns whether anybody still reads."""
    return _write(sys.stdout, text)


def tell(text: str) -> None:
    """One or more lines of progress for the person who waits, on stderr."""
    _write(sys.stderr, _harmless(text) + "\n")


def _harmless(text: str) -> str:
    """Without what steers a terminal, and without secrets: terminals are logged, most of all in CI."""
    from cli_multi_rapid.redaction import Redactor, printable

    return printable(Redactor.from_environment(os.environ).redact(text))


class Progress:
    """stderr for a view that is redrawn: when its terminal is closed, what is shown goes nowhere.

    A run must not end because nobody looks on any more. Raises `OSError` for any other fault.
    """

    @property
    def encoding(self) -> str:
        """Of the stream behind it."""
        return sys.stderr.encoding or "ascii"

    def write(self, text: str) -> int:
        """Write at once; never a part of what the next call writes."""
        _write(sys.stderr, text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """Whether it can be redrawn."""
        return _is_terminal(sys.stderr)

    def fileno(self) -> int:
        """Of the stream behind it, for its size."""
        return sys.stderr.fileno()


def shown_path(path: Path) -> str:
    """A path as a person would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def is_interactive() -> bool:
    """Whether a person sits there who can be asked."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def can_animate() -> bool:
    """Whether progress may be redrawn in place: stderr is a terminal that can."""
    return _is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"


def discard_stdout() -> None:
    """Nobody reads any more: what is still written, also by the interpreter at its end, goes nowhere."""
    _discard(sys.stdout)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _write(stream: TextIO | None, text: str) -> bool:
    if stream is None:  # the caller closed it before the start
        return False
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        is_gone = _is_gone(stream, error)
        # Else the interpreter tries once more at its end, and fails with a status of its own.
        _discard(stream)
        if not is_gone:
            raise
        return False
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        return _write(stream, text.encode(encoding, "backslashreplace").decode(encoding))
    return True


def _is_gone(stream: TextIO, error: OSError) -> bool:
    """Whether the reader went away: a closed pipe, or a closed terminal, which says EIO (as bad disks do)."""
    if error.errno != errno.EIO:
        return isinstance(error, BrokenPipeError)
    try:
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _discard(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # a stream without a file behind it has nothing to redirect
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
