"""What a merge queue does next: order, candidates, and what follows from verdicts. Pure.

Several beginnings of the line are checked at once (`ladder` says which). The longest one that passes lands
as a train; the shortest one that fails narrows the search to what is before its end. An entry that is left
alone is tried once more if the failure may be a flake, and ejected only when the target's own tip passes the
same check.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import heappop, heappush

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Commit, EntryId, Tree
from cli_multi_rapid.core.ladder import choose_lengths, odds_of
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.node_state import MERGE_DEAD
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_state import EntryState, Prefix, QueueState, TreeRecord, Trial
from cli_multi_rapid.core.verdicts import Contents, key_of

MAX_MISSES = 5
"""How often in a row a foreign movement of the target may spoil a landing before the queue asks for help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How the queue works. `aging_s`: waiting this long is worth one step of priority."""

    workers: int = 2
    """How many candidates are under check at once."""
    batch: int = 64
    retry_flaky: int = 1
    """How often a failed check is run again before a single entry is blamed."""
    retry_broken: int = 2
    """How often a check that could not be carried out, or timed out, is run again on the same tree."""
    min_gain: float = 0.1
    """How many more landings a further candidate must promise to be worth a checker."""
    aging_s: float = 3600.0
    fingerprint: str = ""
    """What verdicts depend on beside the command and the tree: tools and platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The target as it is now."""

    commit: Commit
    tree: Tree
    contents: Contents = field(default=(), compare=False)
    """What checks with `inputs` see of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCandidate:
    """Merge these entries, in this order, onto the tip. `retest`: they failed, perhaps by a flake."""

    entries: Prefix
    retest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChecks:
    """Carry out checks on a tree that have no usable verdict yet. `entries` is empty for the tip itself."""

    tree: Tree
    commit: Commit
    checks: tuple[CheckSpec, ...]
    entries: Prefix
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """Move the target to the candidate: every required check passed on its exact tree."""

    trial: Trial
    verdicts: tuple[str, ...]
    """The keys of the passing verdicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The prefix fails: try shorter ones."""

    entries: Prefix
    outcome: CheckFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Eject:
    """The entry fails alone on a tip that passes."""

    entry_id: EntryId
    outcome: CheckFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelEntry:
    """The entry cannot land any more."""

    entry_id: EntryId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseal:
    """Rebuild the entry without the work of one that did not land."""

    entry_id: EntryId
    without: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Stop: what fails is not an entry."""

    reason: str
    hint: str


QueueIntent = BuildCandidate | RunChecks | Land | Split | Eject | CancelEntry | Reseal | Halt


def decide(state: QueueState, tip: Tip, limits: QueueLimits, now: datetime) -> list[QueueIntent]:
    """Every intent that follows from the state. Empty: wait, or nothing to do."""
    if state.halted is not None or state.landing is not None:
        return []
    if state.misses > MAX_MISSES:
        return [
            Halt(
                reason=f"{state.target} was moved by somebody else {state.misses} times in a row",
                hint="run the queue again when the branch is quiet",
            )
        ]
    repairs = list(_repairs(state))
    if repairs:
        return repairs
    current = sorted(
        (trial for trial in state.trials.values() if trial.tip == tip.commit),
        key=lambda trial: len(trial.entries),
    )
    judged = [(trial, judge(state, trial, limits)) for trial in current]
    order = _landable(state, line(state, limits, now), tip, limits)
    consequence = _consequence(state, judged, order, tip, limits)
    running: list[QueueIntent] = [found for _, found in judged if isinstance(found, RunChecks)]
    if consequence is not None:
        # While the tip is asked whether it is to blame, the others are checked on.
        return [consequence, *running] if isinstance(consequence, RunChecks) else [consequence]
    fresh = _new_candidates(state, [trial for trial, _ in judged], order, limits)
    if running or fresh:
        return [*running, *fresh]
    return _halt_if_stuck(state, tip, limits, now)


def _consequence(
    state: QueueState,
    judged: Sequence[tuple[Trial, "Judgement"]],
    order: Prefix,
    tip: Tip,
    limits: QueueLimits,
) -> QueueIntent | None:
    """What the finished candidates lead to: the longest that passes lands, else the shortest red counts."""
    for _, found in reversed(judged):
        if isinstance(found, Land):
            return found
    for trial, found in judged:
        if not isinstance(found, Red):
            continue
        if len(trial.entries) > 1:
            return Split(entries=trial.entries, outcome=found.outcome)
        blame = _blame(state, trial, tip, limits, found)
        # When the tip is to blame, what does not need that check can land nevertheless.
        return (
            Split(entries=trial.entries, outcome=found.outcome)
            if isinstance(blame, Halt) and order
            else blame
        )
    return None


def _new_candidates(
    state: QueueState, current: Sequence[Trial], order: Prefix, limits: QueueLimits
) -> list[BuildCandidate]:
    """Give the free checkers the beginnings of the line that are worth most."""
    free = limits.workers - len(current)
    if free <= 0 or not order:
        return []
    running = [len(trial.entries) for trial in current if order[: len(trial.entries)] == trial.entries]
    failing = len(state.failing) if state.failing and order[: len(state.failing)] == state.failing else None
    odds = odds_of(state.settled)
    if failing is not None and state.retested:
        odds = replace(odds, flake=0.0)
    lengths = choose_lengths(min(len(order), limits.batch), running, failing, free, odds, limits.min_gain)
    if not lengths and not current:
        lengths = [1]  # however small the gain: queued work with a free checker makes progress
    return [BuildCandidate(entries=order[:k], retest=k == failing) for k in lengths]


def _halt_if_stuck(state: QueueState, tip: Tip, limits: QueueLimits, now: datetime) -> list[QueueIntent]:
    """Nothing is under way: halt when all that waits needs a check that the tip fails."""
    reds = (_red_check(state, entry_id, tip, limits) for entry_id in line(state, limits, now))
    red = next((red for red in reds if red is not None), None)
    return [_halt(state, red)] if red is not None else []


def _repairs(state: QueueState) -> Iterator[QueueIntent]:
    """Entries whose predecessors will never land, or have landed without work that was never to land."""
    for entry_id in state.open:
        entry = state.entries[entry_id].entry
        dead = [dep for dep in entry.deps if _dead(state, dep)]
        if dead:
            yield CancelEntry(entry_id=entry_id, reason=f"{dead[0]}, which it depends on, did not land")
            continue
        gone = [other for other in entry.after if _dead(state, other)]
        without = gone[0] if gone else state.entries[entry_id].rebuild
        # What else it was built on must be on the target first: it is rebuilt there and nowhere else.
        rest = (need for need in state.entries[entry_id].needs if need not in gone)
        if without is not None and all(map(state.landed, rest)):
            yield Reseal(entry_id=entry_id, without=without)


def _dead(state: QueueState, entry_id: EntryId) -> bool:
    known = state.entries.get(entry_id)
    return known is not None and known.status in MERGE_DEAD


def line(state: QueueState, limits: QueueLimits, now: datetime) -> Prefix:
    """The entries that can land now, in order: priority with aging, dependencies first, then arrival."""
    awaited: dict[EntryId, int] = {}
    followers: dict[EntryId, list[EntryState]] = {}
    able: list[tuple[int, int, EntryId]] = []

    def join(entry: EntryState) -> None:
        heappush(able, (_aged_priority(entry, limits, now), entry.place, entry.entry.id))

    for entry in (state.entries[entry_id] for entry_id in state.open):
        if entry.command or entry.rebuild is not None or (entry.entry.needs_approval and not entry.approved):
            continue
        missing = {need for need in entry.needs if not state.landed(need)}
        awaited[entry.entry.id] = len(missing)
        for need in missing:
            followers.setdefault(need, []).append(entry)
        if not missing:
            join(entry)
    placed: list[EntryId] = []
    while able:
        placed.append(heappop(able)[2])
        for entry in followers.get(placed[-1], ()):
            awaited[entry.entry.id] -= 1
            if not awaited[entry.entry.id]:
                join(entry)
    return tuple(placed)


def _aged_priority(entry: EntryState, limits: QueueLimits, now: datetime) -> int:
    waited = (now - entry.enqueued_at).total_seconds()
    return entry.entry.priority - int(max(0.0, waited) // limits.aging_s)


def required_checks(state: QueueState, entries: Iterable[EntryId]) -> tuple[CheckSpec, ...]:
    """The checks that a candidate of these entries must pass: those of every member, each definition once."""
    found: list[CheckSpec] = []
    for entry_id in entries:
        found.extend(check for check in state.entries[entry_id].entry.checks if check not in found)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """A check of the candidate failed."""

    check: CheckSpec
    outcome: CheckFinished


Judgement = Land | Red | RunChecks


def judge(state: QueueState, trial: Trial, limits: QueueLimits) -> Judgement:
    """What the verdicts on a candidate so far say of it."""
    checks = required_checks(state, trial.entries)
    keys = [key_of(check, trial, limits.fingerprint) for check in checks]
    again = len(trial.entries) == 1 or trial.retest
    to_run: list[CheckSpec] = []
    for check, key in zip(checks, keys, strict=True):
        record = _record(state, key)
        if record is None or may_rerun(record, limits, again=again):
            to_run.append(check)
        elif record.last.verdict is not Verdict.PASSED:
            return Red(check=check, outcome=record.last)
    if to_run:
        return RunChecks(
            tree=trial.tree,
            commit=trial.commit,
            checks=tuple(to_run),
            entries=trial.entries,
            contents=trial.contents,
        )
    return Land(trial=trial, verdicts=tuple(keys))


def may_rerun(record: TreeRecord, limits: QueueLimits, *, again: bool) -> bool:
    """Whether a check on one tree is worth another run: a broken one, or a failure that may be a flake."""
    match record.last.verdict:
        case Verdict.PASSED:
            return False
        case Verdict.ERROR | Verdict.TIMED_OUT:
            return record.count(Verdict.ERROR, Verdict.TIMED_OUT) <= limits.retry_broken
        case Verdict.FAILED:
            return again and record.count(Verdict.FAILED) <= limits.retry_flaky


def _blame(state: QueueState, trial: Trial, tip: Tip, limits: QueueLimits, red: Red) -> QueueIntent:
    """One entry is left and fails: eject it, unless the tip fails without it."""
    on_tip = _record(state, key_of(red.check, tip, limits.fingerprint))
    if on_tip is None or may_rerun(on_tip, limits, again=True):
        return RunChecks(
            tree=tip.tree, commit=tip.commit, checks=(red.check,), entries=(), contents=tip.contents
        )
    if on_tip.last.verdict is not Verdict.PASSED:
        return _halt(state, on_tip.last)
    return Eject(entry_id=trial.entries[0], outcome=red.outcome)


def _landable(state: QueueState, order: Prefix, tip: Tip, limits: QueueLimits) -> Prefix:
    """The entries whose checks the tip itself is not known to fail, with all that they were built on.

    One that does not merge behind others is left out as long as all of those are ahead of it.
    """
    waiting: set[EntryId] = set()
    ahead: dict[EntryId, None] = {}
    for entry_id in order:
        stuck = any(need in waiting for need in state.entries[entry_id].needs)
        behind = state.aside.get(entry_id, ())
        clashes = bool(behind) and all(other in ahead for other in behind)
        if stuck or clashes or _red_check(state, entry_id, tip, limits) is not None:
            waiting.add(entry_id)
        else:
            ahead[entry_id] = None
    return tuple(ahead)


def _red_check(state: QueueState, entry_id: EntryId, tip: Tip, limits: QueueLimits) -> CheckFinished | None:
    """How the tip fails a check that the entry needs, if it does: no entry is to blame for that."""
    for check in state.entries[entry_id].entry.checks:
        on_tip = _record(state, key_of(check, tip, limits.fingerprint))
        if on_tip is None or on_tip.last.verdict is Verdict.PASSED:
            continue
        if not may_rerun(on_tip, limits, again=True):
            return on_tip.last
    return None


def _halt(state: QueueState, red: CheckFinished) -> Halt:
    """Nothing can land, because the tip itself fails."""
    return Halt(
        reason=f"{state.target} itself fails {red.check}: {red.reason}",
        hint=f"repair {state.target}, or take {red.check} off the checklist, then run it again",
    )


def _record(state: QueueState, key: str) -> TreeRecord | None:
    """What is known of one check on one tree, if that still counts."""
    record = state.records.get(key)
    return record if record is not None and record.counts else None
