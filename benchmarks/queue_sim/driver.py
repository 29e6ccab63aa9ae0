"""The project's own queue in the simulated world: the real policy over the real state.

It does what `engine/merge_queue.py` does with a decision, in the same order. Only the repository and the
checkers are simulated: a tree is a number that stands for one sequence of changes.
"""

from datetime import UTC, datetime, timedelta

from benchmarks.queue_sim.workloads import CHECK_S, Change
from benchmarks.queue_sim.world import World
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, EventId, RunId, Tree, queue_stream
from cli_multi_rapid.core.inquiry_events import MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeChecking,
    MergeEnqueued,
    MergeEntry,
    MergeLanded,
    MergeLanding,
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
from cli_multi_rapid.core.queue_judgement import required_checks
from cli_multi_rapid.core.queue_records import Prefix, Trial
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import verdict_key

TARGET = Branch("main")
CHECK = CheckSpec(id=CheckId("v"), run="true")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_EMPTY = Tree("t0")
_MOST_STEPS = 10_000
"""More decisions than this in one instant mean that the policy goes round in circles."""


class Circling(Exception):
    """The policy asks for one thing after another and gets nowhere."""


def trials_of(state: QueueState) -> list[Trial]:
    """The candidates that the state holds."""
    trials: dict[Prefix, Trial] | None = getattr(state, "trials", None)
    if trials is not None:
        return list(trials.values())
    trial: Trial | None = getattr(state, "trial", None)
    return [] if trial is None else [trial]


class PolicyQueue:
    """`core.merge_policy` at work on simulated checkers."""

    def __init__(self, world: World, limits: QueueLimits | None = None) -> None:
        self._world = world
        self._limits = limits or QueueLimits(workers=world.workload.workers)
        self.state = QueueState(TARGET)
        self._tip = Tip(commit=Commit("c0"), tree=_EMPTY)
        self._trees: dict[tuple[Tree, EntryId], Tree] = {}
        self._below: dict[Tree, frozenset[str]] = {_EMPTY: frozenset()}
        """What is on the target in a tree that a search for a partner asks about."""
        self._jobs: dict[str, RunChecks] = {}
        self._begun: dict[str, float] = {}
        self._resume_at: float | None = None
        self._stream: RunId = queue_stream(TARGET)
        self.halts = 0

    # --- what the world tells -----------------------------------------------------------------------------

    def arrive(self, change: Change) -> None:
        """Enqueue the change."""
        entry = MergeEntry(
            id=EntryId(change.name),
            branch=Branch(f"lane/{change.name}"),
            head=Commit(f"head-{change.name}"),
            base=Commit("c0"),
            target=TARGET,
            priority=change.priority,
            checks=(CHECK,),
            marker=f"refs/landed/{change.name}",
        )
        self._record(MergeEnqueued(entry=entry))

    def finish(self, key: str, passed: bool) -> None:
        """Record the verdict."""
        job = self._jobs.pop(key)
        self._record(
            CheckFinished(
                check=CHECK.id,
                tree=job.tree,
                key=key,
                verdict=Verdict.PASSED if passed else Verdict.FAILED,
                reason="" if passed else "exit status 1",
                duration_s=(self._world.now - self._begun.pop(key)) * CHECK_S,
                entries=job.entries,
            )
        )

    def act(self) -> None:
        """Go as far as possible without waiting, as the engine's `step` does."""
        if self.state.halted is not None:
            self._resume_when_due()
        for _ in range(_MOST_STEPS):
            if not self.state.open or self.state.halted is not None:
                return
            intents = decide(self.state, self._tip, self._limits, self._clock())
            if not [intent for intent in intents if self._perform(intent)]:
                return
        raise Circling(f"still deciding after {_MOST_STEPS} steps at {self._world.now:.2f} V")

    # --- what the engine does -----------------------------------------------------------------------------

    def _perform(self, intent: QueueIntent) -> bool:
        """Act; whether the state moved on."""
        match intent:
            case BuildCandidate():
                self._build(intent.entries)
            case RunChecks():
                return self._start_checks(intent)
            case Land():
                self._land(intent)
            case Reseal():
                self._record(
                    MergeResealed(
                        entry_id=intent.entry_id,
                        head=Commit(f"{self.state.entries[intent.entry_id].entry.head}-{intent.without}"),
                        base=self._tip.commit,
                        without=intent.without,
                    )
                )
            case Question():
                self._question(intent)
            case Probe():
                self._probe(intent)
            case Split() | Vouch() | Preempt() | Acquit():
                self._record(fact_of(intent))
            case Eject() | CancelEntry():
                self._record(fact_of(intent))
                self._world.eject(intent.entry_id)
            case Halt():
                self._record(fact_of(intent))
                self.halts += 1
                self._resume_at = self._world.now + 1.0
                self._world.wake_at(self._resume_at)
        self._drop_stale_checks()
        return True

    def _build(self, entries: Prefix) -> None:
        tree = self._tip.tree
        for entry_id in entries:
            tree = self._trees.setdefault((tree, entry_id), Tree(f"t{len(self._trees) + 1}"))
        commit = Commit(f"{tree} on {self._tip.tree}")
        self._record(MergeChecking(entries=entries, tip=self._tip.commit, commit=commit, tree=tree))
        record = self.state.records.get(verdict_key(CHECK, tree, self._limits.fingerprint))
        if record is not None and record.last.verdict is Verdict.PASSED:
            self._record(
                CheckFinished(
                    check=CHECK.id,
                    tree=tree,
                    key=record.last.key,
                    verdict=Verdict.PASSED,
                    reused=True,
                    entries=entries,
                )
            )

    def _question(self, intent: Question) -> None:
        """Every entry was made on the first tip, so that all that landed came since."""
        landed = self.state.landed_order
        places = [i for i, n in enumerate(landed, 1) if self.state.entries[n].landed_commit == intent.tip]
        self._record(
            MergeQuestioned(
                entry_id=intent.entry_id,
                check=CHECK.id,
                reason=intent.reason,
                since=tuple(landed[: max(places, default=0)]),
                tip=intent.tip,
                base=Commit("c0"),
                tree=_EMPTY,
            )
        )

    def _probe(self, intent: Probe) -> None:
        inquiry = self.state.entries[intent.entry_id].inquiry
        assert inquiry is not None  # noqa: S101  # the policy asks only about entries that it questions
        below = inquiry.since[: intent.place]
        tree = _EMPTY
        for name in (*below, intent.entry_id):
            tree = self._trees.setdefault((tree, EntryId(name)), Tree(f"t{len(self._trees) + 1}"))
        self._below[tree] = frozenset(below)
        commit = Commit(f"{tree} on {_EMPTY}")
        self._record(MergeProbed(entry_id=intent.entry_id, place=intent.place, commit=commit, tree=tree))

    def _start_checks(self, intent: RunChecks) -> bool:
        """Start the checks that are not under way; whether there were any."""
        started = False
        for check in intent.checks:
            key = verdict_key(check, intent.tree, self._limits.fingerprint)
            if key in self._jobs:
                continue
            self._record(CheckStarted(check=check.id, tree=intent.tree, key=key, entries=intent.entries))
            self._jobs[key], self._begun[key] = intent, self._world.now
            self._world.check(key, intent.entries, below=self._below.get(intent.tree))
            started = True
        return started

    def _land(self, intent: Land) -> None:
        trial = intent.trial
        markers = tuple(self.state.entries[entry_id].entry.marker for entry_id in trial.entries)
        self._record(
            MergeLanding(
                entries=trial.entries,
                expected=trial.tip,
                commit=trial.commit,
                tree=trial.tree,
                markers=markers,
                verdicts=intent.verdicts,
            )
        )
        self._record(MergeLanded(entries=trial.entries, commit=trial.commit, tree=trial.tree))
        self._tip = Tip(commit=trial.commit, tree=trial.tree)
        self._world.land(trial.entries)

    def _drop_stale_checks(self) -> None:
        """Stop checks whose candidate is out of the race."""
        trials = trials_of(self.state)
        wanted = {
            verdict_key(check, tree, self._limits.fingerprint)
            for trial in trials
            for check in required_checks(self.state, trial.entries)
            for tree in (trial.tree, self._tip.tree, self.state.former_tips.get(trial.tip, self._tip.tree))
        }
        wanted |= {
            verdict_key(check, station.tree, self._limits.fingerprint)
            for check, station in asked_of(self.state)
        }
        for key in [key for key in self._jobs if key not in wanted]:
            del self._jobs[key], self._begun[key]
            self._world.cancel(key)

    def _resume_when_due(self) -> None:
        """A person looks at a halted queue after one V and sets it going again."""
        if self._resume_at is not None and self._world.now >= self._resume_at:
            self._resume_at = None
            self._record(MergeResumed(reason="a person looked at it"))

    # --- time and record ----------------------------------------------------------------------------------

    def _clock(self) -> datetime:
        return _START + timedelta(seconds=self._world.now * CHECK_S)

    def _record(self, data: Payload) -> None:
        seq = self.state.seq + 1
        self.state.apply(
            Event(
                id=EventId(str(seq)),
                seq=seq,
                run_id=self._stream,
                time=self._clock(),
                source="simulator",
                data=data,
            )
        )
