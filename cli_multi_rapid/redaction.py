"""Keep secrets out of logs, events and reports, and escape sequences out of the terminal.

Every pattern is searched only where its anchor (a plain substring) occurs, and no pattern can backtrack over
unbounded text: the cost is linear in the input, whatever a tool prints.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

MASK: Final = "[redacted]"
_MASK_BYTES: Final = MASK.encode()

_SHORTEST_SECRET: Final = 8
"""Characters. A shorter value is likely to be an ordinary word, which would blank out half of a log."""

_SHORTEST_SECRET_LINE: Final = 16
"""Characters. One line of a secret of many lines (a key file) is masked alone from this length on."""

_SECRET_NAME: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|(?:^|_)(?:PAT|PWD)$", re.IGNORECASE
)
_NOT_SECRET_NAME: Final = re.compile(r"^(?:OLD)?PWD$|_(?:FILE|PATH|DIR|SOCK|ID)$", re.IGNORECASE)
_OWN_PREFIX: Final = "CLI_ORCHESTRATOR_"


_SHAPES: Final = tuple(
    # The last group, or else the whole match, is what gets masked. Compiled when its anchor is met.
    (anchor, regex)
    for regex, *anchors in (
        # OpenAI, Anthropic and the many that copied them. The digit keeps `sk-learn-something` readable.
        (rb"sk-(?<![A-Za-z0-9]sk-)(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{16,512}", b"sk-"),
        (rb"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}", b"k_live_", b"k_test_"),
        (rb"gh[pousr]_[A-Za-z0-9]{20,255}", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
        (rb"github_pat_[A-Za-z0-9_]{20,255}", b"github_pat_"),
        (rb"glpat-[A-Za-z0-9_.-]{16,255}", b"glpat-"),
        (rb"A[KS]IA(?<![A-Z0-9]A[KS]IA)[A-Z0-9]{16}(?![A-Z0-9])", b"AKIA", b"ASIA"),
        (rb"AIza[A-Za-z0-9_-]{30,64}", b"AIza"),
        (rb"xox[a-z]-[A-Za-z0-9-]{10,255}", b"xox"),
        (rb"hf_(?<![A-Za-z0-9]hf_)[A-Za-z0-9]{30,64}", b"hf_"),
        (rb"npm_(?<![A-Za-z0-9]npm_)[A-Za-z0-9]{30,64}", b"npm_"),
        (rb"[Bb]earer[ \t]{1,4}([A-Za-z0-9._~+/=-]{12,4096})", b"earer"),
        (rb": [Bb]asic[ \t]{1,4}([A-Za-z0-9+/]{12,2048}={0,2})", b": Basic", b": basic"),
        # JSON Web Tokens: two base64 objects, both starting with `{"`, and a signature.
        (
            rb"eyJ(?<![A-Za-z0-9_-]eyJ)[A-Za-z0-9_-]{8,8192}\.eyJ[A-Za-z0-9_-]{2,8192}(?:\.[A-Za-z0-9_-]{0,8192})?",
            b"eyJ",
        ),
        # URLs: the password, or a long user name alone, which is a token.
        (rb"://[^\s/:@\"'\\<>]{0,128}:([^\s/@\"'\\<>]{1,512})@", b"://"),
        (rb"://([^\s/:@\"'\\<>.]{20,512})@", b"://"),
    )
    for anchor in anchors
)

_KEY_LIMIT: Final = 32 * 1024
"""Bytes. The largest private keys in use (RSA 16384) are about 13 KB."""

_KEY_ANCHOR: Final = b"PRIVATE KEY"
_KEY_BEGIN: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY: Final = re.compile(rb"[A-Za-z0-9+/=\\\s:,.()-]{0,%d}" % _KEY_LIMIT)
_KEY_END: Final = re.compile(rb"-----END [A-Z0-9 ]{0,48}-----")
# Whole lines, and a short last one.
_KEY_START_ONLY: Final = re.compile(
    rb"(?:\s|\\[nr])*(?:(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr])*)+(?:[A-Za-z0-9+/=]{1,15}(?![^\s\"'\\]))?)?"
)


class Redactor:
    """Replaces secrets by `[redacted]`: the values it was given, and all that looks like a key."""

    __slots__ = ("_literals", "longest")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        literals = {form for secret in secrets for form in _forms_of(secret)}
        self._literals = tuple(sorted(literals, key=len, reverse=True))
        self.longest = max((len(literal) for literal in self._literals), default=0)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Redactor":
        """Learn the values of all variables whose name says that they hold a secret."""
        return cls(value for name, value in environ.items() if is_secret_name(name))

    def redact(self, text: str) -> str:
        """`text` without secrets; everything else is unchanged, lone surrogates included."""
        data = text.encode("utf-8", "surrogatepass")
        spans = self.spans(data)
        return _mask(data, spans).decode("utf-8", "surrogatepass") if spans else text

    def redact_bytes(self, data: bytes) -> bytes:
        """`data` without secrets. A secret cut off at either end is not recognised: see `RedactingStream`."""
        spans = self.spans(data)
        return _mask(data, spans) if spans else data

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """The places of secrets, in order, without overlap."""
        found = [*_literal_spans(data, self._literals), *_shape_spans(data)]
        if _KEY_ANCHOR in data:
            found += _key_spans(data)
        return _merged(found) if found else found


class RedactingStream:
    """Redacts output that arrives in pieces: whole lines pass, the rest waits, so no cut hides a secret.

    What waits is bounded: an endless line is passed on in pieces, cut where no secret lies.
    """

    __slots__ = ("_overlap", "_redactor", "_waiting")

    _LONGEST_LINE: Final = 64 * 1024

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._waiting = bytearray()
        self._overlap = min(max(4096, redactor.longest), self._LONGEST_LINE // 2)

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what is complete, redacted."""
        line_end = data.rfind(b"\n") + 1
        cut = len(self._waiting) + line_end if line_end else 0
        self._waiting += data
        if len(self._waiting) - cut > self._LONGEST_LINE:
            cut = len(self._waiting) - self._overlap
        return self._pass_on(cut) if cut else b""

    def finish(self) -> bytes:
        """The rest, redacted: nothing more will come."""
        if not self._waiting:
            return b""
        rest = self._redactor.redact_bytes(bytes(self._waiting))
        self._waiting.clear()
        return rest

    def _pass_on(self, cut: int) -> bytes:
        cut = self._before_open_key(cut)
        if not cut:
            return b""
        if cut == len(self._waiting):
            return self.finish()
        waiting = bytes(self._waiting)
        spans = self._redactor.spans(waiting)
        for start, end in spans:
            if start < cut < end:
                cut = start or end
        del self._waiting[:cut]
        return _mask(waiting[:cut], [span for span in spans if span[1] <= cut])

    def _before_open_key(self, cut: int) -> int:
        """Hold a private key back while it may still go on."""
        if self._waiting.find(_KEY_ANCHOR, 0, cut) < 0:
            return cut
        data = bytes(self._waiting)
        for begin in _KEY_BEGIN.finditer(data, 0, cut):
            body_end = _end_of_key_body(data, begin.end())
            if body_end == len(data) and not _KEY_END.search(data, begin.end()):
                return begin.start()
        return cut


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name is taken to hold a secret."""
    if name.startswith(_OWN_PREFIX) or _NOT_SECRET_NAME.search(name):
        return False
    return _SECRET_NAME.search(name) is not None


def printable(text: str) -> str:
    """`text` without what could steer or fool a terminal; newlines and tabs stay, CR becomes a newline."""
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub("", _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def escaped_json(text: str) -> str:
    """JSON text that steers no terminal either: such characters, which stand in its strings, as escapes."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_ESCAPE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor movement
    # OSC, DCS: titles, links
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,8}[0-Z\\^-~]"  # the rest; an unfinished sequence loses its ESC below
)
# Control characters; direction marks and overrides, which can make a line read as something else; lone
# surrogates, which cannot be written.
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _forms_of(secret: str) -> Iterator[bytes]:
    """How a value may turn up: as it is, inside JSON, inside a URL, and line by line."""
    secret = secret.strip()
    if len(secret) < _SHORTEST_SECRET:
        return
    for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield form.encode("utf-8", "surrogatepass")
        yield form.encode("utf-8", "surrogateescape" if _is_escaped_bytes(form) else "surrogatepass")
    yield quote(secret, safe="", errors="replace").encode()
    for line in secret.splitlines():
        if len(line) >= _SHORTEST_SECRET_LINE:
            yield line.encode("utf-8", "surrogatepass")


def _is_escaped_bytes(text: str) -> bool:
    return all(not "\ud800" <= char <= "\udfff" or "\udc80" <= char <= "\udcff" for char in text)


def _literal_spans(data: bytes, literals: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    for literal in literals:
        start = data.find(literal)
        while start >= 0:
            yield start, start + len(literal)
            start = data.find(literal, start + len(literal))


def _shape_spans(data: bytes) -> list[tuple[int, int]]:
    found = []
    for anchor, regex in _SHAPES:
        if anchor in data:
            found += [match.span(match.lastindex or 0) for match in re.finditer(regex, data)]
    return found


def _key_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Private keys in PEM form; of one that was cut off, what is there."""
    begin = _KEY_BEGIN.search(data)
    while begin:
        body_end = _end_of_key_body(data, begin.end())
        end = _KEY_END.search(data, begin.end(), body_end)
        stop = end.end() if end else _end_of(_KEY_START_ONLY, data, begin.end())
        yield begin.start(), stop
        begin = _KEY_BEGIN.search(data, stop)


def _end_of_key_body(data: bytes, position: int) -> int:
    # Up to the next key: otherwise a thousand first lines in a row would be read a thousand times.
    following = data.find(b"-----BEGIN ", position)
    match = _KEY_BODY.match(data, position, len(data) if following < 0 else following)
    return match.end() if match else position


def _end_of(always_matching: re.Pattern[bytes], data: bytes, position: int) -> int:
    match = always_matching.match(data, position)
    return match.end() if match else position


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    spans.sort()
    merged = [spans[0]]
    for start, end in spans[1:]:
        last_start, last_end = merged[-1]
        if start < last_end:
            merged[-1] = (last_start, max(last_end, end))
        else:
            merged.append((start, end))
    return merged


def _mask(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    pieces, position = [], 0
    for start, end in spans:
        pieces += [data[position:start], _MASK_BYTES]
        position = end
    pieces.append(data[position:])
    return b"".join(pieces)
