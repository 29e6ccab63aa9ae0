"""The tool for the next attempt of a node, and why that one: the reasons are a part of the decision."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.core.breaker import BreakerRules, Phase
from cli_multi_rapid.core.budget import CannotFit
from cli_multi_rapid.core.capabilities import capability
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import to_usd
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.routing import AUTO, NAMED, ToolFacts, is_agents_work, nobody_can, offered, pool
from cli_multi_rapid.core.tool_book import ToolBook
from cli_multi_rapid.core.tool_events import HealthStatus, ToolPinged

PING_COUNTS_S: Final = 600.0
"""An older answer of a tool says nothing any more."""

_LONGEST_WORDS: Final = 120
"""Characters of what a tool said, inside a reason."""


class Scene(Struct, frozen=True, kw_only=True):
    """What is known of all tools when a choice is made."""

    tools: Mapping[ToolName, ToolFacts]
    book: ToolBook = field(default_factory=ToolBook)
    in_use: Counter[ToolName] = field(default_factory=Counter)
    """How many attempts use a tool, with those that this decision starts."""
    on_trial: set[ToolName] = field(default_factory=set)
    """The tools whose trial this decision starts."""
    rules: BreakerRules = field(default_factory=BreakerRules)
    now: datetime

    def take(self, tool: ToolName) -> None:
        """An attempt with this tool starts."""
        self.in_use[tool] += 1
        if self.book.breaker(tool).opened is not None:
            self.on_trial.add(tool)


class Choice(Struct, frozen=True, kw_only=True):
    """A tool and why it was taken."""

    tool: ToolName
    reason: str


class Later(Struct, frozen=True, kw_only=True):
    """No tool now: at this time, or (None) when an attempt has ended."""

    until: datetime | None = None


class Nobody(Struct, frozen=True, kw_only=True):
    """No tool is left that could do it."""

    failure: FailureClass
    reason: str


class _Skip(Struct, frozen=True, kw_only=True):
    """Why a tool is passed over."""

    tool: ToolName
    why: str
    until: datetime | None = None
    """When its breaker lets a trial through."""
    capped: bool = False
    """As many attempts use it as may."""
    on_trial: bool = False
    """Its trial is under way."""
    silent: bool = False
    """It did not answer a ping."""
    unpaid: CannotFit | None = None
    """The budget has no room for it."""


def choose(
    state: NodeState,
    scene: Scene,
    worn: Collection[ToolName] = (),
    unpaid: Mapping[ToolName, CannotFit] | None = None,
) -> Choice | Later | Nobody | CannotFit:
    """The tool for the next attempt of a node.

    `worn`: those that have had their tries at it. `unpaid`: those that the budget has no room for; when
    nothing but them is left, that is the answer.
    """
    node = state.node
    if not is_agents_work(node, scene.tools):
        return Later() if _busy(node.tool, scene) else Choice(tool=node.tool, reason=NAMED)
    names = _candidates(state, scene, worn)
    if not names:
        return Nobody(failure=FailureClass.TOOL_MISSING, reason=nobody_can(node))
    usable, skips = [], []
    for name in names:
        skip = _unpaid(name, unpaid or {}) or _skip(name, scene)
        if skip is None:
            usable.append(name)
        elif skip.capped and node.tool != AUTO and not usable:
            return Later()  # the plan names it, and it is merely busy
        elif node.tool == AUTO or not usable:
            skips.append(skip)
    if not usable:
        return _without_any(skips, scene)
    reasons = [_first_reason(state, usable, scene)]
    if scene.book.breaker(usable[0]).opened is not None:
        reasons.append("the one trial after its breaker opened")
    return Choice(tool=usable[0], reason="; ".join([*reasons, *_skipped(skips)]))


def next_fallback(state: NodeState, scene: Scene, worn: Collection[ToolName] = ()) -> ToolName | None:
    """The first other tool that this node has not worn out; only agents can stand in for each other."""
    if not is_agents_work(state.node, scene.tools) or not state.attempts:
        return None
    used = {*worn, state.attempts[-1].tool}
    return next((name for name in _ranked(state.node, scene) if name not in used), None)


# --- the order in which tools are asked ---------------------------------------------------------------------


def _candidates(state: NodeState, scene: Scene, worn: Collection[ToolName]) -> list[ToolName]:
    """Who has the work at present comes first, then the others by merit."""
    first = state.next_tool
    if first is None and state.node.tool != AUTO:
        first = state.node.tool
    elif first is None and state.tries and state.attempts[-1].tool not in worn:
        first = state.attempts[-1].tool
    others = [name for name in _ranked(state.node, scene) if name != first and name not in worn]
    return others if first is None else [first, *others]


def _ranked(node: Node, scene: Scene) -> Sequence[ToolName]:
    names = pool(node, scene.tools)
    return sorted(names, key=lambda name: _rank(name, scene)) if node.tool == AUTO else names


def _rank(name: ToolName, scene: Scene) -> tuple[bool, float, float, str]:
    """Healthy before degraded, then the price, then the time to answer, then the name."""
    ping = _ping(name, scene)
    slow = inf if ping is None or ping.response_time_ms is None else ping.response_time_ms
    return _is_degraded(ping), _price(scene.tools[name]), slow, name


def _price(facts: ToolFacts) -> float:
    """`cost_hint` where there is one, else what a node typically costs in dollars; unknown is dearest."""
    if facts.cost_hint is not None:
        return facts.cost_hint
    if facts.price.free:
        return 0.0
    return inf if facts.price.typical is None else to_usd(facts.price.typical)


def _ping(name: ToolName, scene: Scene) -> ToolPinged | None:
    """What a tool answered lately."""
    ping = scene.book.pings.get(name)
    return ping if ping is not None and _age_s(ping, scene) <= PING_COUNTS_S else None


def _age_s(ping: ToolPinged, scene: Scene) -> float:
    return max(0.0, (scene.now - ping.checked_at).total_seconds())


def _is_degraded(ping: ToolPinged | None) -> bool:
    return ping is not None and ping.status is HealthStatus.DEGRADED


# --- why a tool is passed over ------------------------------------------------------------------------------


def _skip(name: ToolName, scene: Scene) -> _Skip | None:
    """Why a tool cannot be given anything now; None when it can."""
    ping, breaker = _ping(name, scene), scene.book.breaker(name)
    if ping is not None and ping.status is HealthStatus.UNHEALTHY:
        why = f"unhealthy (ping {_age_s(ping, scene):.0f} s ago: {_brief(ping.reason) or 'no answer'})"
        return _Skip(tool=name, why=why, silent=True)
    phase = breaker.phase(scene.now, scene.rules.longest_s)
    if phase is Phase.OPEN and breaker.opened is not None:
        until = None if breaker.is_hopeless(scene.rules) else breaker.ready_at
        return _Skip(tool=name, why=f"its breaker is open ({_brief(breaker.opened.reason)})", until=until)
    if phase is Phase.HALF_OPEN and (breaker.trial is not None or name in scene.on_trial):
        return _Skip(tool=name, why="on trial after its breaker opened", on_trial=True)
    return _busy(name, scene)


def _unpaid(name: ToolName, unpaid: Mapping[ToolName, CannotFit]) -> _Skip | None:
    refusal = unpaid.get(name)
    return None if refusal is None else _Skip(tool=name, why=refusal.reason, unpaid=refusal)


def _busy(name: ToolName, scene: Scene) -> _Skip | None:
    facts, used = scene.tools.get(name), scene.in_use[name]
    if facts is None or facts.limit is None or used < facts.limit:
        return None
    return _Skip(tool=name, why=f"busy ({used} of {facts.limit})", capped=True)


def _without_any(skips: Sequence[_Skip], scene: Scene) -> Choice | Later | Nobody | CannotFit:
    """Every tool was passed over: wait, ask one that did not answer a ping, name the budget, or give up."""
    times = [skip.until for skip in skips if skip.until is not None]
    if times or any(skip.capped or skip.on_trial for skip in skips):
        return Later(until=min(times, default=None))
    reasons = "; ".join(_skipped(skips))
    silent = next((skip.tool for skip in skips if skip.silent), None)
    if silent is not None:  # its attempt will say better than the ping what is missing
        return Choice(tool=silent, reason=f"nothing better is left; {reasons}")
    refusal = next((skip.unpaid for skip in skips if skip.unpaid is not None), None)
    if refusal is not None:
        same = len({skip.why for skip in skips}) == 1  # such as: nothing of the run's limit is left
        return refusal if same else replace(refusal, reason=reasons)
    return Nobody(failure=scene.book.breaker(skips[0].tool).last, reason=f"no tool is left; {reasons}")


# --- the reasons in words -----------------------------------------------------------------------------------


def _first_reason(state: NodeState, usable: Sequence[ToolName], scene: Scene) -> str:
    node, tool = state.node, usable[0]
    last = state.attempts[-1] if state.tries else None
    if tool == node.tool:
        return NAMED
    if node.tool == AUTO and last is not None and last.tool == tool:
        return "tried again with the same tool"
    if node.tool == AUTO and state.next_tool != tool:
        return _best_of(node, usable, scene)
    after = (
        f", after {last.tool} failed: {_brief(last.outcome)}"
        if last is not None and last.tool != tool
        else ""
    )
    return f"the next best{after}" if node.tool == AUTO else f"fallback of {node.tool}{after}"


def _best_of(node: Node, usable: Sequence[ToolName], scene: Scene) -> str:
    """`cheapest healthy of claude, aider with `edit``, in the plan's words."""
    can = offered(node, scene.tools)
    skills = _quoted([name for name in node.capabilities if capability(name) in can])
    lacking = _quoted([name for name in node.capabilities if capability(name) not in can])
    ping = _ping(usable[0], scene)
    health = "" if _is_degraded(ping) else "healthy "
    what = (
        f"the only {health}tool" if len(usable) == 1 else f"cheapest {health}of {', '.join(sorted(usable))}"
    )
    return "".join(
        (
            what,
            f" with {skills}" if skills else "",
            f" (nobody has {lacking})" if lacking else "",
            f", degraded: {ping.reason}" if ping is not None and _is_degraded(ping) else "",
        )
    )


def _brief(text: str) -> str:
    """The beginning of another's words: the whole stands where they were said."""
    return text if len(text) <= _LONGEST_WORDS else f"{text[: _LONGEST_WORDS - 1]}…"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _skipped(skips: Sequence[_Skip]) -> list[str]:
    return [f"{skip.tool} skipped: {skip.why}" for skip in skips]
