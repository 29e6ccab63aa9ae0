"""How long until each entry in line is decided: P50 and P90, from what its own queue has measured. Pure.

The line is worked off in rounds (`queue_rounds`): how many an entry needs is known with its chances.

A round lasts as long as its checks do: all checks of all candidates share the checkers, so it takes the
longest of them, or their sum divided by the checkers if that is more. With T50 and T90 the median and the
90 % quantile of that time, r rounds take r * T50, and in one case of ten more than r * T50 + sqrt(r) *
(T90 - T50), as for a sum of independent times. What the checks under way have behind them is taken off.

A check that never came to its end has no duration, and an entry that needs it, or stands behind one that
does, has no estimate. Nothing is assumed: not how long a
person takes to approve, and not what may still come.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from math import ceil, sqrt
from statistics import median
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import CheckId, EntryId, Tree
from cli_multi_rapid.core.ladder import Odds, odds_of
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted
from cli_multi_rapid.core.merge_policy import line
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.reports.queue_rounds import FRESH, Candidate, Rounds, Standing, Suspects

_RECENT: Final = 50
"""So many of the latest durations of a check count: checks grow with their repository."""


class Estimate(Struct, frozen=True, kw_only=True):
    """Seconds until an entry is decided: it lands, or leaves the line, half of the time within `p50_s`."""

    p50_s: float
    p90_s: float


class Outlook(Struct, frozen=True, kw_only=True):
    """The estimates of a queue. `unknown`: why an entry in line has none; empty when all have one."""

    estimates: Mapping[EntryId, Estimate]
    unknown: str = ""


class UrgencyCost(Struct, frozen=True, kw_only=True):
    """What it costs the others when an entry goes to the head of the line now."""

    overtaken: int
    """Candidates under check that are checked again on top of it, if it lands before they end."""
    delayed: int
    """Entries that wait behind it."""
    later_s: float | None
    """How much later the one that loses most is expected (P50); None: nothing has been measured yet."""


class Running(Candidate, frozen=True, kw_only=True):
    """A candidate that is under check, and for how long."""

    elapsed_s: float


class Line(Struct, frozen=True, kw_only=True):
    """What waits, in order."""

    checks: tuple[frozenset[CheckId], ...]
    """What each entry must pass."""
    running: tuple[Running, ...] = ()
    start: Standing = FRESH


class Pace(Struct, frozen=True, kw_only=True):
    """How the line is worked off."""

    odds: Odds
    limits: QueueLimits
    durations: Mapping[CheckId, Sequence[float]]
    """Seconds that each check took; checks that never ended are missing."""


# --- from the state of a queue ------------------------------------------------------------------------------


def outlook_of(
    state: QueueState, under_check: Mapping[Tree, datetime], limits: QueueLimits, now: datetime
) -> Outlook:
    """The estimates of all entries in line. `under_check`: see `trees_under_check`; empty if nobody works."""
    if state.halted is not None:
        return Outlook(estimates={}, unknown="the queue has halted")
    order = line(state, limits, now)
    found = estimate_line(_line_of(state, order, under_check, now), _pace_of(state, limits))
    known = dict(zip(order, found, strict=False))
    unknown = "" if len(known) == len(order) else _unknown(state, order[len(known)])
    return Outlook(estimates=known, unknown=unknown)


def _unknown(state: QueueState, first: EntryId) -> str:
    durations = measured(state)
    missing = [check.id for check in state.entries[first].entry.checks if check.id not in durations]
    return f"{', '.join(missing)} has not come to an end yet" if durations else "no check has ended"


def cost_of_urgency(
    state: QueueState,
    urgent: Sequence[frozenset[CheckId]],
    under_check: Mapping[Tree, datetime],
    limits: QueueLimits,
    now: datetime,
) -> UrgencyCost:
    """What the others lose when entries with these checks join at the head of the line."""
    pace, order = _pace_of(state, limits), line(state, limits, now)
    present = _line_of(state, order, under_check, now)
    before = estimate_line(present, pace)
    after = estimate_line(Line(checks=(*urgent, *present.checks)), pace)[len(urgent) :]
    delays = [late.p50_s - early.p50_s for early, late in zip(before, after, strict=False)]
    return UrgencyCost(
        overtaken=len(state.trials),
        delayed=len(order),
        later_s=max(0.0, *delays) if delays and len(after) == len(order) else None,
    )


def trees_under_check(events: Sequence[Event]) -> dict[Tree, datetime]:
    """Since when each tree has been under check; also those whose checker died or was called off."""
    begun: dict[str, Event] = {}
    for event in events:
        match event.data:
            case CheckStarted(key=key):
                begun[key] = event
            case CheckFinished(key=key):
                begun.pop(key, None)
            case _:
                pass
    since: dict[Tree, datetime] = {}
    for event in begun.values():
        if isinstance(event.data, CheckStarted):
            since[event.data.tree] = min(since.get(event.data.tree, event.time), event.time)
    return since


def measured(state: QueueState) -> dict[CheckId, list[float]]:
    """The latest durations of each check that came to its own end, in seconds."""
    durations: dict[CheckId, list[float]] = {}
    for record in state.records.values():
        for outcome in record.outcomes:
            if not outcome.reused and outcome.verdict is not Verdict.ERROR:
                durations.setdefault(outcome.check, []).append(outcome.duration_s)
    return {check: seconds[-_RECENT:] for check, seconds in durations.items()}


def _pace_of(state: QueueState, limits: QueueLimits) -> Pace:
    return Pace(odds=odds_of(state.settled), limits=limits, durations=measured(state))


def _line_of(
    state: QueueState, order: tuple[EntryId, ...], under_check: Mapping[Tree, datetime], now: datetime
) -> Line:
    places = {entry_id: place for place, entry_id in enumerate(order)}

    def places_of(entries: Sequence[EntryId]) -> tuple[int, ...]:
        return tuple(places[name] for name in entries if name in places)

    newest = state.entries[state.landed_order[-1]].landed_commit if state.landed_order else None
    return Line(
        checks=tuple(frozenset(check.id for check in state.entries[name].entry.checks) for name in order),
        running=tuple(
            Running(
                places=places_of(entries),
                stale=trial.landed_before < len(state.landed_order) and trial.tip != newest,
                elapsed_s=max(0.0, (now - under_check.get(trial.tree, now)).total_seconds()),
            )
            for entries, trial in state.trials.items()
        ),
        start=Standing(
            vouched=frozenset(places_of([n for n in order if state.entries[n].vouched_at is not None])),
            groups=tuple(
                Suspects(places=places_of(group.entries), overtaken=group.overtaken) for group in state.groups
            ),
        ),
    )


# --- the model ----------------------------------------------------------------------------------------------


def estimate_line(waiting: Line, pace: Pace) -> list[Estimate]:
    """The estimates from the head of the line on, as far as the durations of the checks are known."""
    rounds = Rounds(len(waiting.checks), waiting.start, waiting.running, pace.odds, pace.limits)
    known = list(_round_times(waiting, pace, candidates=len(rounds.first)))
    early, late = rounds.until_decided(0.5, 0.9)
    found: list[Estimate] = []
    ahead = Estimate(p50_s=0.0, p90_s=0.0)
    for place, ((typical, slow), r50, r90) in enumerate(zip(known, early, late, strict=False)):
        behind = min(_elapsed(waiting.running, place), typical)
        p50 = max(ahead.p50_s, r50 * typical - behind)
        p90 = max(ahead.p90_s, p50, r90 * typical + sqrt(r90) * (slow - typical) - behind)
        ahead = Estimate(p50_s=p50, p90_s=p90)
        found.append(ahead)
    return found


def _round_times(waiting: Line, pace: Pace, *, candidates: int) -> Iterator[tuple[float, float]]:
    """For each place: the median and the 90 % quantile of a round with all checks up to it."""
    needed: set[CheckId] = set()
    for checks in waiting.checks:
        needed |= checks
        if not needed <= pace.durations.keys():
            return
        typical = [median(pace.durations[check]) for check in needed]
        slow = [_quantile(pace.durations[check], 0.9) for check in needed]
        share = candidates / pace.limits.workers
        yield max(0.0, *typical, share * sum(typical)), max(0.0, *slow, share * sum(slow))


def _quantile(values: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def _elapsed(running: Sequence[Running], place: int) -> float:
    """How long the candidate that decides a place has been under check; beyond all of them, the longest."""
    holding = [one.elapsed_s for one in running if place in one.places]
    return max(holding or [one.elapsed_s for one in running], default=0.0)
