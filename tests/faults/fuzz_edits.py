"""How the fuzz makes bad input from good: real examples, spoilt byte by byte or value by value.

Pure random bytes stop at the first check of a reader. An example with a few wounds gets past it, and reaches
the code that trusts what the first check let through.
"""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Final, TypeAlias, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

MEGABYTE: Final = 1024 * 1024
DEEP: Final = 20_000

FRAGMENTS: Final[tuple[bytes, ...]] = (
    b"", b"\0", b"\n", b"\r", b"\t", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b"- ", b"? ", b"\\",
    b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1b[2J\x1b]0;x\x07", b"\xc2\x9b31m",
    "\u202e\u2066\ufeff\u2028\u061c".encode(), b"../" * 40, b"--upload-pack=x", b"$(touch x)`touch x`;|&",
    b"!!python/object/apply:os.system [id]", b"!!binary x", b"&a [*a, *a]", b"<<: *x", b"---\n", b"...\n",
    b"%YAML 9.9\n", b"NaN", b"-Infinity", b".inf", b"1e999999", b"9" * 5_000, b"0x" + b"f" * 400, b"0o7",
    b"1_0", b"2026-02-30", b"2026-11-28T10:00:00Z", b"12:30:45", b"no", b"~", b"null", b"{" * DEEP,
    b"[" * DEEP, b'{"a":' * DEEP, b"- " * DEEP, b"a: " * 300, b"(" * 300, b"(a+)+$", b"x" * MEGABYTE,
    b'"' + b"y" * MEGABYTE,
)  # fmt: skip
"""Pieces that a reader may stumble over."""

TEXTS: Final[tuple[str, ...]] = (
    "", " ", ".", "..", "../../../etc/passwd", "/", "/etc", "~/.ssh", "a/../../b", ".git/config", "-",
    "--help", "-rf", "\n", "a\nb", "\r\n", "\0", "a\0b", "\t", "\x1b[2J\x1b[1;1H", "\x1b]0;title\x07",
    "\x9b31m", "\u202eabc", "\u2066", "\u061c", "\ud800", "\udcff", "\ufeff", "\U000e0041", "$(touch x)",
    "`touch x`", "; rm -rf .", "| cat", "&& true", "'", '"', "\\", "%s%n", "${params.x}", "${", "{prompt}",
    "{slot}", "{", "}", "*", "**", "[", "[!", "[a-", "***/**/*", "{a,b", "a" * 300, "/".join("a" * 200),
    "é" * 500, "x" * MEGABYTE, "HEAD", "refs/heads/main", "main^{commit}", "@{-1}", "a..b", "x.lock", "con",
    "nan", "NaN", "inf", "1e400", "-1", "0x10", "1_000", "$5", "2026-11-28", "null", "true", "yes",
    "__class__", "(a+)+$", "(" * 200,
)  # fmt: skip
"""Texts that somebody may take for more than text."""

NUMBERS: Final[tuple[Json, ...]] = (
    0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.1, -0.0, 1e-320,
    1e308, float("inf"), float("-inf"), float("nan"), True, False, None,
)  # fmt: skip


def _nest(depth: int, closed: Callable[[Json], Json]) -> Json:
    value: Json = "x"
    for _ in range(depth):
        value = closed(value)
    return value


VALUES: Final[tuple[Json, ...]] = (
    *NUMBERS,
    *TEXTS,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"a": {}}},
    ["x"] * 3000,
    {f"k{number}": number for number in range(3000)},
    _nest(300, lambda inner: [inner]),
    _nest(300, lambda inner: {"a": inner}),
)
"""Values that nobody expects where they stand."""

_places = st.integers(0, 2**32 - 1)


def _one_of(values: Sequence[T]) -> st.SearchStrategy[T]:
    """Any of the values, by its place: hypothesis would keep writing down what they look like."""
    return st.integers(0, len(values) - 1).map(values.__getitem__)


def spoilt_bytes(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds after a few edits of its bytes."""
    return st.builds(_edit_bytes, _one_of(seeds), st.lists(_byte_edits, min_size=1, max_size=4))


_byte_edits = st.one_of(
    st.tuples(st.just("put"), _places, st.just(0), _one_of(FRAGMENTS)),
    st.tuples(st.just("replace"), _places, st.integers(1, 40), _one_of(FRAGMENTS)),
    st.tuples(st.just("replace"), _places, st.integers(1, 4), st.binary(max_size=6)),
    st.tuples(st.just("drop"), _places, st.integers(1, 400), st.just(b"")),
    st.tuples(st.just("repeat"), _places, st.integers(1, 200), st.just(b"")),
    st.tuples(st.just("repeat line"), _places, st.just(0), st.just(b"")),
    st.tuples(st.just("cut off"), _places, st.just(0), st.just(b"")),
)


def _edit_bytes(seed: bytes, edits: Sequence[tuple[str, int, int, bytes]]) -> bytes:
    data = seed
    for act, place, length, piece in edits:
        at = place % (len(data) + 1)
        match act:
            case "put" | "replace" | "drop":
                data = data[:at] + piece + data[at + length :]
            case "repeat":
                data = data[: at + length] + data[at:]
            case "repeat line":  # also how a mapping gets a key twice
                start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at) + 1 or len(data)
                data = data[:end] + data[start:end] + data[end:]
            case _:
                data = data[:at]
    return data


def spoilt_data(seeds: Sequence[Json]) -> st.SearchStrategy[Json]:
    """One of the seeds after a few edits of its values and keys."""
    return st.builds(_edit_data, _one_of(seeds), st.lists(_data_edits, min_size=1, max_size=4))


_data_edits = st.tuples(
    st.sampled_from(("value", "value", "value", "key", "drop", "twice", "wrap", "swap")),
    _places,
    st.one_of(_one_of(VALUES), st.text(max_size=8), st.integers(), st.floats()),
)


def _edit_data(seed: Json, edits: Sequence[tuple[str, int, Json]]) -> Json:
    data = deepcopy(seed)
    for act, place, wanted in edits:
        value = deepcopy(wanted)  # what stands in two places would be edited in both, or into itself
        slots = list(_slots(data))
        if not slots:
            return value
        holder, key = slots[place % len(slots)]
        other, name = slots[(place // 7) % len(slots)]
        _edit(act, holder, key, value, other[name])  # type: ignore[index] # a list has numbers, a table texts
    return data


def _edit(
    act: str, holder: "list[Json] | dict[str, Json]", key: int | str, value: Json, elsewhere: Json
) -> None:
    old = holder[key]  # type: ignore[index] # a list has numbers, a table texts
    match act:
        case "drop":
            del holder[key]  # type: ignore[arg-type]
        case "key" if isinstance(holder, dict):
            del holder[key]  # type: ignore[arg-type] # YAML has keys that are no texts
            holder[value if isinstance(value, str) else f"{key}x"] = old
        case "twice" if isinstance(holder, list):
            holder.append(deepcopy(old))
        case "wrap":
            holder[key] = [old]  # type: ignore[index]
        case "swap":
            holder[key] = deepcopy(elsewhere)  # type: ignore[index]
        case _:
            holder[key] = value  # type: ignore[index]


def _slots(data: Json) -> "list[tuple[list[Json] | dict[str, Json], int | str]]":
    """Every place in a value where another value stands, in order."""
    found: list[tuple[list[Json] | dict[str, Json], int | str]] = []
    waiting: list[Json] = [data]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            found += [(holder, key) for key in holder]
            waiting += holder.values()
        elif isinstance(holder, list):
            found += [(holder, place) for place in range(len(holder))]
            waiting += holder
    return found


def as_json(data: Json) -> bytes:
    """The value as JSON text with whatever JSON has no form for: NaN, infinities, half surrogates."""
    return json.dumps(data, ensure_ascii=True).encode()
