"""How hard, risky, dear and long a request probably is, by rules that anybody can follow.

Complexity is the sum of the points of all factors, kept between 0 and 10:

- 1 for any request
- files: 2 when none are named; 1 for each folder or pattern (at most 3); 1 for each two further single files
  (at most 2); 1 when code and configuration change together
- length: 1 above 30 words, 2 above 80; steps: 1 for two or three list items or "then", 2 for more
- words of the request, once each: structure (refactor, migrate, …) 2, hard matter (concurrency, parser, …) 2,
  security (auth, password, …) 2, data (database, schema, …) 1, other systems (api, integration, …) 1,
  trifles (typo, rename, …) -2

Risk is high from 8 points on, or when security is touched with 5 points or without named files; medium from
4 points on, or when security, data or configuration is touched; else low.

Confidence starts at 0.90 and loses 0.04 for each point of complexity, 0.15 without named files, 0.10 for a
request of fewer than four words, 0.10 for a high risk and 0.10 when a tool had to be taken that is not
configured for the work. It never falls below 0.05.

An agent's node costs (0.05 + 0.05 * complexity) dollars and takes (120 + 60 * complexity) seconds, times
the weight of its kind (implement 1, tests 0.6, docs 0.3); the cost also times the tool's `cost_hint`. A tool
with a configured typical cost costs that, and one that is free nothing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.planner.named_files import FileKind, NamedFile
from cli_multi_rapid.schema.tools import ToolConfig

VERIFY_S: Final = 60.0
"""Expected duration of the built-in verification."""
_DEAREST: Final = 1_000_000_000_000_000
"""A billion dollars in micro-dollars, the most that an amount can be."""


class Risk(StrEnum):
    """How much can go wrong."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Factor(Struct, frozen=True, kw_only=True):
    """One reason for the complexity, with its points."""

    name: str
    points: int
    reason: str


class Assessment(Struct, frozen=True, kw_only=True):
    """What is expected of a request. The rules are those of this module."""

    complexity: int
    """0 to 10."""
    factors: tuple[Factor, ...]
    risk: Risk
    capabilities: tuple[str, ...]
    """What the tools must be able to do."""
    est_cost: MicroUsd
    """Of the whole plan, whatever the budget is."""
    est_duration_s: float
    """Of the longest chain of nodes."""
    confidence: float
    """0.05 to 0.90: how far the plan can be trusted to fit the request."""

    @property
    def signals(self) -> frozenset[str]:
        """The names of the factors."""
        return frozenset(factor.name for factor in self.factors)


class _Signal(Struct, frozen=True, kw_only=True):
    name: str
    points: int
    words: re.Pattern[str]


def _signal(name: str, points: int, words: str) -> _Signal:
    return _Signal(name=name, points=points, words=re.compile(rf"\b(?:{words})\b", re.IGNORECASE))


_SIGNALS: Final = (
    _signal("structure", 2, r"refactor\w*|rewrit\w+|migrat\w+|redesign\w*|architectur\w+|restructur\w+"),
    _signal(
        "hard matter",
        2,
        r"concurren\w+|async\w*|threads?|threading|parallel\w*|distributed|race|deadlocks?|protocols?|parsers?|"
        r"algorithms?|transactions?|real-?time|performance|optimi[sz]\w+",
    ),
    _signal(
        "security",
        2,
        r"auth|authn|authz|authenticat\w+|authori[sz]\w+|oauth2?|login|passwords?|tokens?|jwt|secrets?|"
        r"encrypt\w*|decrypt\w*|crypto\w*|permissions?|payments?|secur\w+|csrf|xss|sso|certificates?",
    ),
    _signal("data", 1, r"databases?|db|sql|schemas?|tables?|migrations?|backfill"),
    _signal("other systems", 1, r"apis?|integrat\w+|webhooks?|third[- ]party|services?|endpoints?|deploy\w*"),
    _signal(
        "trifle", -2, r"typos?|renam\w+|wording|whitespace|reformat\w*|formatting|docstrings?|bump|spelling"
    ),
)
_STEPS: Final = re.compile(r"^\s*(?:[-*]|\d+[.)])\s|\bthen\b", re.IGNORECASE | re.MULTILINE)


def weigh(text: str, files: Sequence[NamedFile]) -> tuple[Factor, ...]:
    """Every reason why a request is more or less than the simplest one."""
    found = [Factor(name="request", points=1, reason="any request"), *_size(text), *_extent(files)]
    for signal in _SIGNALS:
        words = tuple(dict.fromkeys(match.group().lower() for match in signal.words.finditer(text)))
        if words:
            found.append(
                Factor(name=signal.name, points=signal.points, reason=f"it says {', '.join(words[:3])}")
            )
    return tuple(found)


def _extent(files: Sequence[NamedFile]) -> Iterator[Factor]:
    if not files:
        yield Factor(name="no files", points=2, reason="no files are named")
    wide = sum(file.several for file in files)
    if wide:
        yield Factor(name="folders", points=min(wide, 3), reason=f"folders or patterns: {wide}")
    single = len(files) - wide
    if single > 2:
        yield Factor(name="files", points=min((single - 1) // 2, 2), reason=f"single files: {single}")
    kinds = {file.kind for file in files}
    if FileKind.CONFIG in kinds:
        both = FileKind.CODE in kinds
        yield Factor(name="configuration", points=int(both), reason="configuration changes")


def _size(text: str) -> Iterator[Factor]:
    words = len(text.split())
    if words > 30:
        yield Factor(name="length", points=2 if words > 80 else 1, reason=f"{words} words")
    steps = len(_STEPS.findall(text))
    if steps > 1:
        yield Factor(name="steps", points=2 if steps > 3 else 1, reason=f"{steps} steps")


def complexity_of(factors: Iterable[Factor]) -> int:
    """The sum of the points, between 0 and 10."""
    return max(0, min(10, sum(factor.points for factor in factors)))


def risk_of(factors: Sequence[Factor]) -> Risk:
    """How much can go wrong, by the rule of this module."""
    points, names = complexity_of(factors), {factor.name for factor in factors}
    if points >= 8 or ("security" in names and (points >= 5 or "no files" in names)):
        return Risk.HIGH
    if points >= 4 or names & {"security", "data", "configuration"}:
        return Risk.MEDIUM
    return Risk.LOW


def confidence_of(text: str, factors: Sequence[Factor], *, tools_fit: bool) -> float:
    """How far the plan can be trusted, by the rule of this module."""
    percent = 90 - 4 * complexity_of(factors)
    percent -= 15 * any(factor.name == "no files" for factor in factors)
    percent -= 10 * (len(text.split()) < 4)
    percent -= 10 * (risk_of(factors) is Risk.HIGH)
    percent -= 10 * (not tools_fit)
    return max(5, percent) / 100


def cost_of(complexity: int, weight: float, tool: ToolConfig | None) -> MicroUsd:
    """The expected cost of an agent's node."""
    if tool is not None and tool.cost_class == "free":
        return ZERO
    if tool is not None and tool.typical_cost is not None:
        return tool.typical_cost
    hint = 1.0 if tool is None or tool.cost_hint is None else tool.cost_hint
    return MicroUsd(min(_DEAREST, round(50_000 * (1 + complexity) * weight * hint)))


def duration_of(complexity: int, weight: float) -> float:
    """The expected duration of an agent's node in seconds."""
    return (120 + 60 * complexity) * weight
