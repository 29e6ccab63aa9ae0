"""A queue's life in a repository made of sets, around the real merge policy: for tests that need many.

`QueueWorld` does what `engine/merge_queue.py` does with a decision, in the same order, and looks at every
step whether a promise or a rule broke. The processor can be lost at every append; another one takes over.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import CheckId, Commit, EntryId, EventId
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
from cli_multi_rapid.core.queue_ground import ground_of
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
from cli_multi_rapid.core.queue_records import Prefix
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.run_events import CommandGiven, CommandRefused
from cli_multi_rapid.core.verdicts import Checkable, key_of
from tests.fakes.fragile_log import MAIN, FragileLog
from tests.fakes.queue_faults import Ousted
from tests.fakes.queue_promises import PROMISES, Broken
from tests.fakes.queue_questions import probe, question
from tests.fakes.queue_rest import check_rest
from tests.fakes.queue_rules import check_landing, check_told
from tests.fakes.set_repository import Moved, tree_of
from tests.fakes.weather import Changes

TESTS = CheckSpec(id=CheckId("tests"), argv=("pytest",))
_MOST_STEPS = 5000


@dataclass(slots=True, kw_only=True)
class QueueWorld(FragileLog):
    """One target, its queue, its checkers and the processor at work."""

    limits: QueueLimits = field(default_factory=QueueLimits)
    flying: dict[str, tuple[CheckSpec, RunChecks]] = field(default_factory=dict)
    """Verdict key -> the check that is under way."""
    lied: bool = False
    """Whether a checker said something else than what is true."""
    keeps: Collection[str] = tuple(PROMISES)
    """The promises that are looked at after every step."""

    @property
    def landed_order(self) -> list[EntryId]:
        """What is on the target, in order."""
        return [name for swap in self.swaps for name in swap.landing.entries]

    @property
    def honest(self) -> bool:
        """Whether no checker was ever wrong."""
        return not (self.lied or self.weather.flake or self.weather.broken)

    # --- the log ------------------------------------------------------------------------------------------

    def enqueue(self, entry: MergeEntry) -> None:
        """Add an entry."""
        self.submit(MergeEnqueued(entry=entry))

    def ask(self, command: str, entry_id: EntryId | None = None) -> None:
        """Give the processor a person's command."""
        self.submit(CommandGiven(command=command, by="ada", entry_id=entry_id))

    def withdraw(self, entry_id: EntryId, reason: str) -> bool:
        """Take an entry out; whether anything was written."""
        entry = self.state.entries.get(entry_id)
        if entry is None or not entry.open:
            return False
        self._survive(lambda: self.record(MergeCancelled(entry_id=entry_id, reason=reason)))
        self._drop_stale()
        return True

    def approve(self, entry_id: EntryId, by: str) -> bool:
        """A person agrees to a landing."""
        self._survive(lambda: self.record(MergeApproved(entry_id=entry_id, by=by)))
        return True

    def resume(self) -> None:
        """A person has the queue go on."""
        self._survive(lambda: self._set_going("asked for"))

    # --- one processor after the other --------------------------------------------------------------------

    def restart(self) -> None:
        """The processor is killed while it waits; another one takes up the queue."""
        self._survive(self._take_up)

    def _take_up(self) -> None:
        """What a new processor does first: read the log, read the refs, try again what was held up."""
        self.state = QueueState(MAIN)
        for event in self.events:
            self.state.apply(event)
        self.flying.clear()
        self.cached = None
        if self.state.landing is not None:
            self._finish_landing(self.state.landing, recovered=True)
        held = any(self.state.entries[entry_id].command for entry_id in self.state.open)
        if self.state.halted is not None or held or self.state.misses:
            self._set_going("a processor took up the queue")
        self._work()

    def _set_going(self, reason: str, cause: EventId | None = None) -> None:
        """Try again what was halted or held; what a person landed by hand meanwhile is recorded."""
        self.forget_refusals()
        for held in list(self.state.held):
            members = tuple(name for name in held.entries if self.state.entries[name].open)
            if members and self.contains(held.commit):
                self._finish_landing(replace(held, entries=members), recovered=True)
        self.record(MergeResumed(reason=reason), cause=cause)

    def _answer_commands(self) -> None:
        for event in self.state.unanswered():
            if isinstance(event.data, CommandGiven):
                self._answer_command(event.data, event.id)
                self._drop_stale()

    def _answer_command(self, command: CommandGiven, cause: EventId) -> None:
        entry = self.state.entries.get(command.entry_id) if command.entry_id else None
        if command.command == "withdraw" and entry is not None and entry.open:
            self.record(MergeCancelled(entry_id=entry.entry.id, reason="withdrawn by ada"), cause=cause)
        elif command.command == "approve" and entry is not None:
            self.record(MergeApproved(entry_id=entry.entry.id, by=command.by), cause=cause)
        elif command.command == "retry":
            self._set_going("retry by ada", cause)
        else:
            self.record(CommandRefused(command=command.command, reason="in no state for it"), cause=cause)

    # --- the processor ------------------------------------------------------------------------------------

    def step(self) -> None:
        """Go as far as possible without waiting for a checker, and look at the promises."""
        self._survive(self._work)
        for name in self.keeps:
            PROMISES[name](self)

    def _work(self) -> None:
        self._answer_commands()
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
                return
        raise Broken("I6", "the queue goes round in circles")

    def finish(self) -> None:
        """Let every checker come to its end, in any order, until nothing moves."""
        for _ in range(_MOST_STEPS):
            self.step()
            if not self.flying:
                return
            self.deliver(self.random.choice(sorted(self.flying)))
        raise Broken("I6", "the checkers never come to an end")

    def truth(self, key: str) -> Verdict:
        """What an honest checker finds."""
        _, order = self.flying[key]
        return Verdict.FAILED if self.weather.is_red(self.contents[order.tree]) else Verdict.PASSED

    def deliver(self, key: str) -> None:
        """A checker ends, as the weather has it."""
        verdict = self.truth(key)
        if self.random.random() < self.weather.broken:
            verdict = self.random.choice([Verdict.ERROR, Verdict.TIMED_OUT])
        elif verdict is Verdict.PASSED and self.random.random() < self.weather.flake:
            verdict = Verdict.FAILED
        self.answer(key, verdict)

    def answer(self, key: str, verdict: Verdict) -> None:
        """A checker ends with this verdict."""
        self.lied |= verdict is not self.truth(key)
        check, order = self.flying.pop(key)
        finished = CheckFinished(
            check=check.id,
            tree=order.tree,
            key=key,
            verdict=verdict,
            reason=f"{check.id}: {verdict}",
            entries=order.entries,
        )
        self._survive(lambda: self.record(finished))

    def read_tip(self) -> Tip:
        """The target as the processor knows it, read anew whenever a candidate is to be built on it."""
        if self.cached is None or not self.state.trials:
            if self.random.random() < self.weather.moves:
                self.move(f"foreign{len(self.history)}")
            self.cached = self._look_at_tip()
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
                    commit=self._join(tip.commit, tuple(members), changes),
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
                self.record(CheckStarted(check=check.id, tree=intent.tree, key=key, entries=intent.entries))
                self.flying[key] = (check, intent)

    def _drop_stale(self) -> None:
        wanted = {
            self.key(check, place)
            for trial in self.state.trials.values()
            for check in required_checks(self.state, trial.entries)
            for place in (trial, self.cached, self.cached and ground_of(self.state, trial, self.cached))
            if place is not None
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
        landing = MergeLanding(
            entries=trial.entries,
            expected=trial.tip,
            commit=trial.commit if fresh else self._join(trial.tip, trial.entries, self.contents[trial.tree]),
            tree=trial.tree,
            markers=tuple(trial.entries),
            verdicts=intent.verdicts,
        )
        try:
            self.record(landing)
        except Ousted as ousted:
            if ousted.wrote:  # it does not know yet that it was ousted, and moves the refs
                self.swap(landing, len(self.events))
            raise
        assert decide(self.state, Tip(commit=self.tip, tree=trial.tree), self.limits, self.now) == []
        if self.random.random() < self.weather.moves:
            self.move(f"foreign{len(self.history)}")
        self._finish_landing(landing)

    def _join(self, tip: Commit, members: Prefix, changes: Changes) -> Commit:
        """The commit of a train: the tip and every head."""
        return self.commit(changes, tip, *(self.state.entries[name].entry.head for name in members))

    def _finish_landing(self, landing: MergeLanding, *, recovered: bool = False) -> None:
        """Move the refs, or find that they were moved, and record what came of it."""
        match self.swap(landing, len(self.events)):
            case Moved.LANDED:
                self._record_landed(landing, recovered=recovered)
            case Moved.ELSEWHERE:
                self.record(MergeMissed(entries=landing.entries, reason="the target moved"))
            case Moved.REFUSED:
                held = MergeHeld(entries=landing.entries, commit=landing.commit, reason="no", command="git")
                self.record(held)
            case Moved.ALREADY:
                self.record(MergeMissed(entries=landing.entries, reason="a part of it had landed already"))
                for name in [name for name in landing.entries if name in self.markers]:
                    done = replace(landing, entries=(name,), commit=self.markers[name])
                    self._record_landed(done, recovered=True)

    def _record_landed(self, landing: MergeLanding, *, recovered: bool) -> None:
        tree = tree_of(self.contents[landing.commit])
        self.record(
            MergeLanded(entries=landing.entries, commit=landing.commit, tree=tree, recovered=recovered)
        )

    def _reseal(self, intent: Reseal) -> None:
        entry = self.state.entries[intent.entry_id].entry
        tip, base = self.contents[self.read_tip().commit], self.contents[entry.base]
        own = self.contents[entry.head] - base
        if self.merge(tip, base & tip, own | (base & tip)) is None:
            self.record(
                MergeConflicted(entry_id=entry.id, files=("f",), partner=intent.without, reason="clash")
            )
            return
        head = self.commit(tip | own, self.read_tip().commit)
        self.record(
            MergeResealed(entry_id=entry.id, head=head, base=self.read_tip().commit, without=intent.without)
        )

    # --- its end ------------------------------------------------------------------------------------------

    def calm_down(self) -> None:
        """From now on checks are honest, nothing is in the way, the target is green, people agree."""
        self.faults.arm(())
        self.weather.calm_down(self.contents[self.tip])
        for entry_id in list(self.state.open):
            self.approve(entry_id, "ada")
        self.resume()

    def check_end(self) -> None:
        """At rest, nothing is left that nobody holds up, and what left the queue is not on the target."""
        check_rest(self)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
