"""What a supervised program prints: redacted, in a bounded log, its two ends kept for the verdict."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.redaction import RedactingStream, Redactor

LineReader = Callable[[str], None]
"""Gets each redacted line, without its end, as it comes; in the supervising thread, so it must be quick."""


_LONGEST_LINE: Final = 64 * 1024
"""Bytes after which a line is shown although its end has not come."""


class Excerpt:
    """The head and the tail of a stream, `size` bytes each; of a shorter stream all of it."""

    __slots__ = ("_head", "_size", "_tail", "total")

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = b""
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take the next piece."""
        self.total += len(data)
        room = self._size - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        # Only when it has doubled: otherwise every small piece would move the whole tail.
        if len(self._tail) > 2 * self._size:
            del self._tail[: -self._size]

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self._head

    @property
    def tail(self) -> bytes:
        """What follows the head, or its last bytes."""
        return bytes(self._tail[-self._size :]) if self._size else b""

    @property
    def missing(self) -> int:
        """How many bytes lie between the two."""
        return self.total - len(self._head) - min(len(self._tail), self._size)


class BoundedLog:
    """A file of about `limit` bytes: all that was written, or its beginning, a note of the gap, and its end.

    The second half of a full file is a ring: memory stays small, and a crash leaves everything but the order.
    """

    def __init__(self, path: Path, limit: int) -> None:
        """Create or empty the file, readable by its owner alone. Raises `EnvironmentFault`."""
        self._limit = max(limit, 2)
        self._head = self._limit // 2
        self._total = 0
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.fchmod(self._file, 0o600)
        except OSError as error:
            raise EnvironmentFault(f"the log {path} cannot be written: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Append; raises `OSError` when the disk is full or broken."""
        rest = memoryview(data)
        while rest:
            position = self._position()
            written = os.pwrite(self._file, rest[: self._limit - position], position)
            self._total += written
            rest = rest[written:]

    def finish(self) -> int:
        """Put the end in order behind the beginning; how many bytes are missing between them."""
        missing = self._total - self._limit
        if missing <= 0:
            return 0
        seam = self._position()
        older = os.pread(self._file, self._limit - seam, seam)
        newer = os.pread(self._file, seam - self._head, self._head)
        # A line that lost its beginning is of no use, and might be the rest of something masked.
        cut = older.find(b"\n") + 1
        missing += cut
        note = f"\n[... {missing} bytes are missing here: the log is limited to {self._limit} ...]\n".encode()
        end = self._head
        for piece in (note, memoryview(older)[cut:], newer):
            end += os.pwrite(self._file, piece, end)
        os.ftruncate(self._file, end)
        return missing

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)

    def _position(self) -> int:
        if self._total < self._limit:
            return self._total
        return self._head + (self._total - self._head) % (self._limit - self._head)


class OutputRecord:
    """Takes raw output; gives redacted output to the log, to the excerpt and to whoever watches."""

    def __init__(
        self,
        path: Path,
        redactor: Redactor,
        *,
        log_bytes: int,
        excerpt_bytes: int,
        on_line: LineReader | None,
    ) -> None:
        self.excerpt = Excerpt(excerpt_bytes)
        self.log_truncated_bytes = 0
        self.problem = ""
        """Why the log is incomplete, if it is: a full disk must not end the work of an agent."""
        self._log = BoundedLog(path, log_bytes)
        self._stream = RedactingStream(redactor)
        self._on_line = on_line
        self._open_line = b""

    def feed(self, raw: bytes) -> None:
        """Take the next piece as it was read."""
        self._pass_on(self._stream.feed(raw))

    def finish(self) -> None:
        """Nothing more will come: flush and put the log in order."""
        self._pass_on(self._stream.finish())
        if self._on_line and self._open_line:
            self._on_line(_text(self._open_line))
        if not self.problem:
            try:
                self.log_truncated_bytes = self._log.finish()
            except OSError as error:
                self._note(error)

    def __enter__(self) -> "OutputRecord":
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def _pass_on(self, data: bytes) -> None:
        if not data:
            return
        self.excerpt.add(data)
        if not self.problem:
            try:
                self._log.write(data)
            except OSError as error:
                self._note(error)
        if self._on_line:
            *lines, self._open_line = (self._open_line + data).split(b"\n")
            if len(self._open_line) > _LONGEST_LINE:
                lines, self._open_line = [*lines, self._open_line], b""
            for line in lines:
                self._on_line(_text(line))

    def _note(self, error: OSError) -> None:
        self.problem = f"the log is incomplete: {error.strerror}"


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
