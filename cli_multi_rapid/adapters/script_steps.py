"""The steps of the scripted tool: each is a mapping with one keyword and its details.

- write: notes/plan.md        # with `text:`; replaces the file
  text: "# Plan"
- append: CHANGELOG.md        # with `text:`
  text: "- notes"
- delete: old.txt
- say: I have written the plan
- sleep: 0.5                  # seconds
- cost: 0.25                  # dollars, and `tokens:`; several add up
  tokens: 1200
- fail: overloaded            # with `exit:` (default 1) and `failure:` (tool_failed, transient, refused)
- hang: true                  # never ends by itself
- spawn_detached: 60          # leaves a child in a session of its own for so many seconds
- git: [mv, a.txt, b.txt]     # what an agent does that has its own git
- commit: an agent's own commit
- flood: 1000000              # bytes of output
- ignore_sigterm: true
- no_record: true             # ends without the final record, with `exit:` (default 0)
- attempts:                   # other steps for each attempt; a later one repeats the last
    1: [{fail: not yet}]
    2: [{write: done.txt, text: done}]
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from msgspec import Struct

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.money import ZERO, MicroUsd, parse_usd
from cli_multi_rapid.core.plan import Json, JsonObject


class Write(Struct, frozen=True, kw_only=True):
    """Replace a file."""

    kind: ClassVar[str] = "write"
    path: str
    text: str = ""


class Append(Struct, frozen=True, kw_only=True):
    """Add to the end of a file."""

    kind: ClassVar[str] = "append"
    path: str
    text: str = ""


class Delete(Struct, frozen=True, kw_only=True):
    """Remove a file."""

    kind: ClassVar[str] = "delete"
    path: str


class Say(Struct, frozen=True, kw_only=True):
    """Print a line; the last one is the result."""

    kind: ClassVar[str] = "say"
    text: str


class Sleep(Struct, frozen=True, kw_only=True):
    """Take time."""

    kind: ClassVar[str] = "sleep"
    seconds: float


class Cost(Struct, frozen=True, kw_only=True):
    """Charge money and tokens."""

    kind: ClassVar[str] = "cost"
    cost: MicroUsd = ZERO
    tokens: int = 0


class Fail(Struct, frozen=True, kw_only=True):
    """End with a reason."""

    kind: ClassVar[str] = "fail"
    message: str
    exit: int = 1
    failure: FailureClass = FailureClass.TOOL_FAILED


class Hang(Struct, frozen=True, kw_only=True):
    """Never end."""

    kind: ClassVar[str] = "hang"


class SpawnDetached(Struct, frozen=True, kw_only=True):
    """Leave a child behind in a session of its own."""

    kind: ClassVar[str] = "spawn_detached"
    seconds: float


class Git(Struct, frozen=True, kw_only=True):
    """A git command of the agent, in the slot."""

    kind: ClassVar[str] = "git"
    args: tuple[str, ...]


class Flood(Struct, frozen=True, kw_only=True):
    """Print many bytes."""

    kind: ClassVar[str] = "flood"
    size: int


class IgnoreSigterm(Struct, frozen=True, kw_only=True):
    """Be deaf to SIGTERM from here on."""

    kind: ClassVar[str] = "ignore_sigterm"


class NoRecord(Struct, frozen=True, kw_only=True):
    """End at once without the final record."""

    kind: ClassVar[str] = "no_record"
    exit: int = 0


Step = (
    Write
    | Append
    | Delete
    | Say
    | Sleep
    | Cost
    | Fail
    | Hang
    | SpawnDetached
    | Git
    | Flood
    | IgnoreSigterm
    | NoRecord
)

_DETAILS: Final[Mapping[str, frozenset[str]]] = {
    "write": frozenset({"text"}),
    "append": frozenset({"text"}),
    "cost": frozenset({"tokens"}),
    "fail": frozenset({"exit", "failure"}),
    "no_record": frozenset({"exit"}),
}


def steps_of(script: Sequence[JsonObject], attempt: int) -> tuple[Step, ...]:
    """The steps of one attempt. Raises `UserError` that names the step for what is no step."""
    return _parse_all(script, attempt, "step ")


def _parse_all(script: Sequence[Json | JsonObject], attempt: int, prefix: str) -> tuple[Step, ...]:
    numbered = enumerate(script, start=1)
    return tuple(step for number, data in numbered for step in _parse(data, attempt, f"{prefix}{number}"))


def _parse(data: Json | JsonObject, attempt: int, where: str) -> tuple[Step, ...]:
    if not isinstance(data, Mapping):
        raise UserError(f"{where} is no mapping")
    keyword = _keyword(data, where)
    unknown = set(data) - {keyword} - _DETAILS.get(keyword, frozenset())
    if unknown:
        raise UserError(f"{where}: `{keyword}` takes no {', '.join(sorted(unknown))}")
    if keyword == "attempts":
        return _parse_attempts(data, attempt, where)
    try:
        return _BUILDERS[keyword](data)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: `{keyword}`: {error}") from error


def _keyword(data: JsonObject, where: str) -> str:
    keywords = [key for key in data if key in _BUILDERS or key == "attempts"]
    if len(keywords) == 1:
        return keywords[0]
    if keywords:
        raise UserError(f"{where} has several keywords: {', '.join(keywords)}")
    known = ", ".join([*_BUILDERS, "attempts"])
    found = ", ".join(map(str, data)) or "nothing"
    raise UserError(f"{where} has no keyword, only {found}", hint=f"one of {known}")


def _parse_attempts(data: JsonObject, attempt: int, where: str) -> tuple[Step, ...]:
    by_number = {str(key): value for key, value in _mapping(data["attempts"], where).items()}
    if not by_number or not all(key.isascii() and key.isdigit() for key in by_number):
        raise UserError(f"{where}: `attempts` maps numbers to lists of steps")
    # All attempts are parsed, so that a mistake in the third one is found before the first one starts.
    parsed = {
        int(key): _parse_all(_list(steps, where), attempt, f"{where}, attempt {key}, step ")
        for key, steps in by_number.items()
    }
    reached = [number for number in parsed if number <= attempt]
    return parsed[max(reached)] if reached else ()


def _mapping(value: Json, where: str) -> JsonObject:
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: `attempts` maps numbers to lists of steps")
    return value


def _list(value: Json, where: str) -> list[Json]:
    if not isinstance(value, list):
        raise UserError(f"{where}: an attempt is a list of steps")
    return value


def _text(value: Json | None) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise TypeError("expected a number that is not negative")
    return float(value)


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("expected a whole number that is not negative")
    return value


def _exit(value: Json, least: int) -> int:
    code = _whole(value)
    if not least <= code <= 255:
        raise ValueError(f"an exit code lies between {least} and 255")
    return code


def _yes(value: Json) -> None:
    if value is not True:
        raise ValueError("expected `true`")


def _usd(value: Json) -> MicroUsd:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError("expected an amount in dollars")
    return parse_usd(value)


def _args(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError("expected a list of arguments")
    return tuple(_text(item) for item in value)


def _commit(message: Json) -> tuple[Step, ...]:
    text = _text(message)
    return (Git(args=("add", "--all")), Git(args=("commit", "--quiet", "--no-verify", f"--message={text}")))


def _flag(step: Step, value: Json) -> tuple[Step, ...]:
    _yes(value)
    return (step,)


def _fail(data: JsonObject) -> tuple[Step, ...]:
    failure = FailureClass(_text(data.get("failure", "tool_failed")))
    return (Fail(message=_text(data["fail"]), exit=_exit(data.get("exit", 1), 1), failure=failure),)


def _no_record(data: JsonObject) -> tuple[Step, ...]:
    _yes(data["no_record"])
    return (NoRecord(exit=_exit(data.get("exit", 0), 0)),)


_BUILDERS: Final[Mapping[str, Callable[[JsonObject], tuple[Step, ...]]]] = {
    "write": lambda data: (Write(path=_text(data["write"]), text=_text(data.get("text", ""))),),
    "append": lambda data: (Append(path=_text(data["append"]), text=_text(data.get("text", ""))),),
    "delete": lambda data: (Delete(path=_text(data["delete"])),),
    "say": lambda data: (Say(text=_text(data["say"])),),
    "sleep": lambda data: (Sleep(seconds=_number(data["sleep"])),),
    "cost": lambda data: (Cost(cost=_usd(data["cost"]), tokens=_whole(data.get("tokens", 0))),),
    "fail": _fail,
    "hang": lambda data: _flag(Hang(), data["hang"]),
    "spawn_detached": lambda data: (SpawnDetached(seconds=_number(data["spawn_detached"])),),
    "git": lambda data: (Git(args=_args(data["git"])),),
    "commit": lambda data: _commit(data["commit"]),
    "flood": lambda data: (Flood(size=_whole(data["flood"])),),
    "ignore_sigterm": lambda data: _flag(IgnoreSigterm(), data["ignore_sigterm"]),
    "no_record": _no_record,
}
