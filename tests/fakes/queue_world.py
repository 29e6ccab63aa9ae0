"""A repository and checkers made of sets, around the real merge policy: for tests that need many queues fast.

A change is a word. A commit holds a set of changes, a tree is the name of such a set. `QueueWorld` does what
`engine/merge_queue.py` does with a decision, in the same order, and looks at every step whether a rule broke.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, EventId, RunId, Tree
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeDeferred,
    MergeEnqueued,
    MergeEntry,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergeResealed,
    MergeResumed,
)
from cli_multi_rapid.core.merge_policy import decide
from cli_multi_rapid.core.partner_search import asked_of
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_facts import fact_of
from cli_multi_rapid.core.queue_intents import (
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
from cli_multi_rapid.core.queue_judgement import judge, required_checks
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import Checkable, key_of
from tests.fakes.queue_questions import probe, question
from tests.fakes.queue_rest import check_rest
from tests.fakes.queue_rules import check_landing, check_told
from tests.fakes.sample_plans import START
from tests.fakes.weather import Changes, Weather

MAIN = Branch("main")
TESTS = CheckSpec(id=CheckId("tests"), argv=("pytest",))
_MOST_STEPS = 5000


def tree_of(changes: Changes) -> Tree:
    """Equal contents have equal trees."""
    return Tree(sha256(" ".join(sorted(changes)).encode()).hexdigest()[:40])


@dataclass(slots=True, kw_only=True)
class QueueWorld:
    """One target, its queue and its checkers."""

    weather: Weather
    random: Random
    limits: QueueLimits = field(default_factory=QueueLimits)
    now: datetime = START
    state: QueueState = field(default_factory=lambda: QueueState(MAIN))
    events: list[Event] = field(default_factory=list)
    observers: list[Callable[[Event], None]] = field(default_factory=list)
    contents: dict[str, Changes] = field(default_factory=dict)
    """Commit or tree -> what it holds."""
    tip: Commit = field(init=False)
    history: list[Commit] = field(default_factory=list)
    flying: dict[str, tuple[CheckSpec, RunChecks]] = field(default_factory=dict)
    results: dict[str, list[Verdict]] = field(default_factory=dict)
    """Verdict key -> what the checkers really found."""
    cached: Tip | None = None
    landed_order: list[EntryId] = field(default_factory=list)
    _serial: int = 0

    def __post_init__(self) -> None:
        self.tip = self.commit({"base"})
        self.history.append(self.tip)

    # --- the repository -----------------------------------------------------------------------------------

    def commit(self, changes: Iterable[str]) -> Commit:
        """A new commit with this content."""
        self._serial += 1
        made = Commit(f"{self._serial:040x}")
        held = frozenset(changes)
        self.contents[made] = self.contents[tree_of(held)] = held
        return made

    def tree_at(self, commit: Commit) -> Tree:
        """The tree of a commit."""
        return tree_of(self.contents[commit])

    def merge(self, onto: Changes, base: Changes, head: Changes) -> Changes | None:
        """The content of both, or None when they do not merge."""
        ours, theirs = onto - base, head - base - onto
        if any(self.weather.clash(one, other) for one in ours for other in theirs):
            return None
        return onto | head

    def move(self, change: str) -> None:
        """Somebody else commits to the target."""
        self.tip = self.commit(self.contents[self.tip] | {change})
        self.history.append(self.tip)

    # --- the log ------------------------------------------------------------------------------------------

    def record(self, *facts: Payload, cause: EventId | None = None) -> None:
        """Append and fold."""
        for fact in facts:
            event = Event(
                id=EventId(f"q{len(self.events) + 1}"),
                seq=len(self.events) + 1,
                run_id=RunId("queue:main"),
                time=self.now,
                source="test",
                data=fact,
                causation_id=cause,
            )
            self.state.apply(event)
            self.events.append(event)
            for observe in self.observers:
                observe(event)

    def enqueue(self, entry: MergeEntry) -> None:
        """Add an entry."""
        self.record(MergeEnqueued(entry=entry))

    def withdraw(self, entry_id: EntryId, reason: str) -> bool:
        """Take an entry out; whether anything was written."""
        entry = self.state.entries.get(entry_id)
        if entry is None or not entry.open:
            return False
        self.record(MergeCancelled(entry_id=entry_id, reason=reason))
        self._drop_stale()
        return True

    def approve(self, entry_id: EntryId, by: str) -> bool:
        """A person agrees to a landing."""
        self.record(MergeApproved(entry_id=entry_id, by=by))
        return True

    def resume(self) -> None:
        """A person has the queue go on."""
        self.record(MergeResumed(reason="asked for"))

    # --- the processor ------------------------------------------------------------------------------------

    def step(self) -> None:
        """Go as far as possible without waiting for a checker."""
        for _ in range(_MOST_STEPS):
            if not self.state.open or self.state.halted is not None:
                return
            before = self.state.seq
            intents = decide(self.state, self.read_tip(), self.limits, self.now)
            for intent in intents:
                as_planned = self._perform(intent)
                self._drop_stale()
                assert self.state.seq > before or isinstance(intent, RunChecks), f"{intent} did nothing"
                if not as_planned:
                    break
            if self.state.seq == before:
                assert self.flying or not intents, f"nothing follows from {intents}"
                return
        raise AssertionError("the queue goes round in circles")

    def finish(self) -> None:
        """Let every checker come to its end, in any order, until nothing moves."""
        for _ in range(_MOST_STEPS):
            self.step()
            if not self.flying:
                return
            self.deliver(self.random.choice(sorted(self.flying)))
        raise AssertionError("the checkers never come to an end")

    def deliver(self, key: str) -> None:
        """A checker ends."""
        check, order = self.flying.pop(key)
        changes = self.contents[order.tree]
        verdict = Verdict.FAILED if self.weather.is_red(changes) else Verdict.PASSED
        if self.random.random() < self.weather.broken:
            verdict = self.random.choice([Verdict.ERROR, Verdict.TIMED_OUT])
        elif verdict is Verdict.PASSED and self.random.random() < self.weather.flake:
            verdict = Verdict.FAILED
        self.results.setdefault(key, []).append(verdict)
        self.record(
            CheckFinished(
                check=check.id,
                tree=order.tree,
                key=key,
                verdict=verdict,
                reason=f"{check.id}: {verdict}",
                entries=order.entries,
            )
        )

    def read_tip(self) -> Tip:
        if self.cached is None or not self.state.trials:
            if self.random.random() < self.weather.moves:
                self.move(f"foreign{len(self.history)}")
            held = self.contents[self.tip]
            self.cached = Tip(commit=self.tip, tree=tree_of(held), contents=self.weather.seen(held))
        return self.cached

    def _perform(self, intent: QueueIntent) -> bool:
        match intent:
            case BuildCandidate():
                return self._build(intent)
            case RunChecks():
                self._start(intent)
            case Land():
                self._land(intent)
            case Reseal():
                self._reseal(intent)
            case Question():
                question(self, intent)
            case Probe():
                probe(self, intent)
            case Split() | Vouch() | Preempt() | Acquit() | Eject() | CancelEntry() | Halt():
                check_told(self, intent)
                self.record(fact_of(intent))
        return True

    def _build(self, intent: BuildCandidate) -> bool:
        """Announce the candidate, or what does not merge; whether all of it merged."""
        tip = self.read_tip()
        changes, members = self.contents[tip.commit], list[EntryId]()
        for entry_id in intent.entries:
            entry = self.state.entries[entry_id].entry
            merged = self.merge(changes, self.contents[entry.base], self.contents[entry.head])
            if merged is None:
                self._put_aside(entry_id, tuple(members))
                break
            changes = merged
            members.append(entry_id)
        whole = tuple(members) == intent.entries
        known = self.state.trials.get(tuple(members))
        if members and (known is None or known.tip != tip.commit):
            self.record(
                MergeChecking(
                    entries=tuple(members),
                    tip=tip.commit,
                    commit=self.commit(changes),
                    tree=tree_of(changes),
                    contents=self.weather.seen(changes),
                )
            )
        assert self._under_check() <= self.limits.workers
        return whole

    def _under_check(self) -> int:
        """How many candidates wait for a checker's word."""
        judged = [judge(self.state, trial, self.limits) for trial in self.state.trials.values()]
        return sum(isinstance(found, RunChecks) for found in judged)

    def _put_aside(self, entry_id: EntryId, behind: tuple[EntryId, ...]) -> None:
        if behind:
            self.record(MergeDeferred(entry_id=entry_id, behind=behind, files=("f",)))
        else:
            self.record(MergeConflicted(entry_id=entry_id, files=("f",), partner="main", reason="clash"))

    def _start(self, intent: RunChecks) -> None:
        for check in intent.checks:
            key = self.key(check, intent)
            if key not in self.flying:
                self.flying[key] = (check, intent)
                self.record(CheckStarted(check=check.id, tree=intent.tree, key=key, entries=intent.entries))

    def _drop_stale(self) -> None:
        tip: list[Checkable] = [self.cached] if self.cached else []
        wanted = {
            self.key(check, place)
            for trial in self.state.trials.values()
            for check in required_checks(self.state, trial.entries)
            for place in (trial, *tip)
        }
        wanted |= {self.key(check, station) for check, station in asked_of(self.state)}
        for key in [key for key in self.flying if key not in wanted]:
            del self.flying[key]

    def key(self, check: CheckSpec, place: Checkable) -> str:
        return key_of(check, place, self.limits.fingerprint)

    def _land(self, intent: Land) -> None:
        trial = intent.trial
        self.cached = None
        check_landing(self, intent)
        fresh = trial.built_on == trial.tip
        commit = trial.commit if fresh else self.commit(self.contents[trial.tree])
        self.record(
            MergeLanding(
                entries=trial.entries,
                expected=trial.tip,
                commit=commit,
                tree=trial.tree,
                markers=tuple(trial.entries),
                verdicts=intent.verdicts,
            )
        )
        assert decide(self.state, Tip(commit=self.tip, tree=trial.tree), self.limits, self.now) == []
        if self.random.random() < self.weather.moves:
            self.move(f"foreign{len(self.history)}")
        if self.tip != trial.tip:
            self.record(MergeMissed(entries=trial.entries, reason="the target moved"))
        elif self.random.random() < self.weather.held:
            self.record(MergeHeld(entries=trial.entries, commit=commit, reason="no", command="git"))
        else:
            self.tip = commit
            self.history.append(commit)
            self.landed_order.extend(trial.entries)
            self.record(MergeLanded(entries=trial.entries, commit=commit, tree=trial.tree))

    def _reseal(self, intent: Reseal) -> None:
        entry = self.state.entries[intent.entry_id].entry
        tip, base = self.contents[self.read_tip().commit], self.contents[entry.base]
        own = self.contents[entry.head] - base
        if self.merge(tip, base & tip, own | (base & tip)) is None:
            self.record(
                MergeConflicted(entry_id=entry.id, files=("f",), partner=intent.without, reason="clash")
            )
            return
        head = self.commit(tip | own)
        self.record(
            MergeResealed(entry_id=entry.id, head=head, base=self.read_tip().commit, without=intent.without)
        )

    def check_end(self) -> None:
        """At rest, nothing is left that nobody holds up, and what left the queue is not on the target."""
        check_rest(self)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
