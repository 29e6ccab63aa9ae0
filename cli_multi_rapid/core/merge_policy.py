"""What a merge queue does next: order, candidates, and what follows from verdicts. Pure.

Several candidates are checked at once (`candidate_choice` says which). One that passes on the present tip
lands as a train; one that passes on a tip that was left behind vouches for its entries, which land with the
next train. Entries that fail together are set aside and searched, while the others go on. An entry that is
left alone is tried again, because a failure may be a flake, and ejected only when the target's own tip passes
the same check.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cli_multi_rapid.core.candidate_choice import Floor, Proposal, on_tip
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.ladder import odds_of, search
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.node_state import MERGE_DEAD
from cli_multi_rapid.core.partner_search import Step, inquiries, next_step
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_ground import ground_of
from cli_multi_rapid.core.queue_intents import (
    MAX_MISSES,
    Acquit,
    BuildCandidate,
    CancelEntry,
    Eject,
    Halt,
    Land,
    Preempt,
    Probe,
    Question,
    QueueIntent,
    QueueLimits,
    Reseal,
    RunChecks,
    Split,
    Tip,
    Vouch,
)
from cli_multi_rapid.core.queue_judgement import Judgement, Red, judge, record_of, tip_may_pass
from cli_multi_rapid.core.queue_line import line_up
from cli_multi_rapid.core.queue_records import Prefix, Trial
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import key_of


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
    order = _landable(state, line(state, limits, now), tip, limits)
    judged = [(trial, _judge(state, trial, tip, limits)) for trial in state.trials.values()]
    steps = [next_step(state, known, known.inquiry, limits) for known in inquiries(state) if known.inquiry]
    running: list[QueueIntent] = [
        found for found in (*(found for _, found in judged), *steps) if isinstance(found, RunChecks)
    ]
    consequence = _consequence(state, judged, order, tip, limits) or next(
        (step for step in steps if isinstance(step, Eject | Acquit)), None
    )
    if consequence is not None:
        # While the tip is asked whether it is to blame, the others are checked on.
        return [consequence, *running] if isinstance(consequence, RunChecks) else [consequence]
    fresh = _new_candidates(state, len(running), order, tip, limits, _probes(state, steps))
    if running or fresh:
        return [*running, *fresh]
    return _halt_if_stuck(state, tip, limits, now)


def _judge(state: QueueState, trial: Trial, tip: Tip, limits: QueueLimits) -> Judgement:
    """What the verdicts on a candidate say of it.

    One may pass on its own tree, and its candidate's tree have failed when others were in it who have landed
    since. Then its partner can be looked for without running the same tree again.
    """
    found = judge(state, trial, limits)
    known, ground = state.entries[trial.entries[0]], ground_of(state, trial, tip)
    if not isinstance(found, RunChecks) or len(trial.entries) > 1 or not known.passes_alone or ground is None:
        return found
    for check in found.checks:
        record = record_of(state, key_of(check, trial, limits.fingerprint))
        if record is not None and record.last.verdict is Verdict.FAILED and not known.alone.get(check.id):
            red = Red(check=check, outcome=record.last, again=True)
            return red if _is_questionable(state, trial, red, ground, limits) else found
    return found


def _consequence(
    state: QueueState,
    judged: Sequence[tuple[Trial, "Judgement"]],
    order: Prefix,
    tip: Tip,
    limits: QueueLimits,
) -> QueueIntent | None:
    """What the finished candidates lead to: what passes lands or is vouched for, then what fails counts."""
    passed = [(trial, found) for trial, found in judged if isinstance(found, Land)]
    under_check = [
        trial.entries for trial, found in judged if isinstance(found, RunChecks) and trial.tip == tip.commit
    ]
    able = [(trial, found) for trial, found in passed if trial.tip == tip.commit]
    for trial, landing in sorted(able, key=lambda one: (not _urgent(state, one[0]), -len(one[0].entries))):
        if not _must_wait(state, trial.entries, under_check, order):
            return landing
    for trial, _ in passed:
        if trial.tip != tip.commit:
            return Vouch(entries=trial.entries)
    for trial, found in sorted(judged, key=lambda one: len(one[0].entries)):
        if not isinstance(found, Red):
            continue
        ground = ground_of(state, trial, tip)
        if len(trial.entries) > 1 or ground is None:
            return Split(entries=trial.entries, outcome=found.outcome)
        if _is_questionable(state, trial, found, ground, limits):
            return _question(trial, found)
        if found.again:
            return Split(entries=trial.entries, outcome=found.outcome)
        blame = _blame(state, trial, ground, limits, found)
        # When the tip is to blame, what does not need that check can land nevertheless; a former one is past.
        return (
            Split(entries=trial.entries, outcome=found.outcome)
            if isinstance(blame, Halt) and (order or ground is not tip)
            else blame
        )
    return None


def _is_questionable(state: QueueState, trial: Trial, red: Red, ground: Tip, limits: QueueLimits) -> bool:
    """Whether what the entry stands on passes without it, and the target had moved since it was made."""
    known = state.entries[trial.entries[0]]
    if known.inquiry is not None or known.entry.base == trial.tip:
        return False
    return red.outcome.verdict is Verdict.FAILED and _passes(state, ground, red.check, limits)


def _passes(state: QueueState, tip: Tip, check: CheckSpec, limits: QueueLimits) -> bool:
    """Whether a tip is known to pass a check."""
    record = record_of(state, key_of(check, tip, limits.fingerprint))
    return record is not None and record.last.verdict is Verdict.PASSED


def _question(trial: Trial, red: Red) -> Question:
    return Question(entry_id=trial.entries[0], check=red.check.id, reason=red.outcome.reason, tip=trial.tip)


def _probes(state: QueueState, steps: Sequence[Step]) -> list[Proposal]:
    """The trees to look for partners in, each worth what trying a suspect again is worth."""
    found = []
    for step in steps:
        inquiry = state.entries[step.entry_id].inquiry if isinstance(step, Probe) else None
        if isinstance(step, Probe) and inquiry is not None:
            worth = search(1, inquiry.overtaken, odds_of(state.settled)).value
            found.append(Proposal(entries=(step.entry_id,), value=worth, probe=step))
    return found


def _urgent(state: QueueState, trial: Trial) -> bool:
    return any(state.entries[entry_id].entry.urgent for entry_id in trial.entries)


def _must_wait(state: QueueState, entries: Prefix, under_check: Sequence[Prefix], order: Prefix) -> bool:
    """Whether what is ahead in line is under check on the same tip, and would have to be checked again.

    Nobody waits for suspects, nor for a part of itself; what is urgent waits for nobody.
    """
    if any(state.entries[entry_id].entry.urgent for entry_id in entries):
        return False
    suspects = state.suspects
    places = {entry_id: place for place, entry_id in enumerate(order)}
    first = min((places.get(entry_id, 0) for entry_id in entries), default=0)
    return any(
        suspects.isdisjoint(others)
        and set(others).isdisjoint(entries)
        and min((places.get(entry_id, 0) for entry_id in others), default=0) < first
        for others in under_check
    )


def _new_candidates(
    state: QueueState,
    running: int,
    order: Prefix,
    tip: Tip,
    limits: QueueLimits,
    probes: list[Proposal],
) -> list[QueueIntent]:
    """Give the free checkers what is worth most."""
    if not order and not probes:
        return []
    free = limits.workers - running
    current, stale = on_tip(state, tip.commit)
    floor = Floor(
        state=state,
        order=order,
        odds=odds_of(state.settled),
        batch=limits.batch,
        current=current,
        stale=stale,
        probes=probes,
    )
    if free <= 0:
        return _preempt(state, floor)
    return [_carry_out(state, proposal, tip, limits) for proposal in floor.choose(free, limits.min_gain)]


def _carry_out(state: QueueState, proposal: Proposal, tip: Tip, limits: QueueLimits) -> QueueIntent:
    """Build the candidate, but first ask one that is left over of a group whether it is at fault itself."""
    known = state.entries[proposal.entries[0]]
    group = state.group_of(known.entry.id)
    if group is not None and group.entries == proposal.entries and known.is_left_over(tip.commit):
        check = next((check for check in known.entry.checks if check.id == known.suspected_of), None)
        if check is not None and _passes(state, tip, check, limits):
            reason = "what failed with it has passed without it"
            return Question(entry_id=known.entry.id, check=check.id, reason=reason, tip=tip.commit)
    return proposal.probe or BuildCandidate(entries=proposal.entries)


def _preempt(state: QueueState, floor: Floor) -> list[QueueIntent]:
    """Take a checker from the candidate with the least to lose when something urgent has none."""
    urgent = floor.urgent()
    victims = [
        entries
        for entries in (*floor.stale, *floor.current)
        if not any(state.entries[name].entry.urgent for name in entries)
    ]
    return [Preempt(entries=min(victims, key=len), by=urgent[0])] if urgent and victims else []


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
            reason = f"{dead[0]}, which it depends on, did not land"
            yield CancelEntry(entry_id=entry_id, reason=reason, lost=dead[0])
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
    """The entries that can land now, in order: urgent ones, priority with aging, dependencies, arrival."""
    return line_up(state, limits.aging_s, now)


def _blame(state: QueueState, trial: Trial, ground: Tip, limits: QueueLimits, red: Red) -> QueueIntent:
    """One entry is left and fails: eject it, unless what it stands on fails without it."""
    tip_record = record_of(state, key_of(red.check, ground, limits.fingerprint))
    if tip_record is None or tip_may_pass(tip_record, limits):
        return RunChecks(
            tree=ground.tree, commit=ground.commit, checks=(red.check,), entries=(), contents=ground.contents
        )
    if tip_record.last.verdict is not Verdict.PASSED:
        return _halt(state, tip_record.last)
    if _is_questionable(state, trial, red, ground, limits):
        return _question(trial, red)
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
        tip_record = record_of(state, key_of(check, tip, limits.fingerprint))
        if tip_record is None or tip_record.last.verdict is Verdict.PASSED:
            continue
        if not tip_may_pass(tip_record, limits):
            return tip_record.last
    return None


def _halt(state: QueueState, red: CheckFinished) -> Halt:
    """Nothing can land, because the tip itself fails."""
    return Halt(
        reason=f"{state.target} itself fails {red.check}: {red.reason}",
        hint=f"repair {state.target}, or take {red.check} off the checklist, then run it again",
    )
