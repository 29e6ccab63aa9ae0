"""The state of one target's merge queue: what its events add up to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeDeferred,
    MergeEnqueued,
    MergeEntry,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergeResealed,
    MergeResumed,
    MergeSplit,
)
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.core.verdicts import Contents

Prefix = tuple[EntryId, ...]


@dataclass(slots=True, kw_only=True)
class EntryState:
    """All that is known of one entry."""

    entry: MergeEntry
    place: int
    """The order of arrival."""
    enqueued_at: datetime
    status: MergeStatus = MergeStatus.QUEUED
    approved: bool = False
    reason: str = ""
    files: tuple[str, ...] = ()
    partner: str = ""
    check: CheckId | None = None
    log: str = ""
    evidence: str = ""
    command: str = ""
    """What finishes the landing by hand, for a held entry."""
    dropped: EntryId | None = None
    """The entry without whose work it was built anew."""
    rebuild: EntryId | None = None
    """The entry whose work it still holds, because it was built on one that has dropped that work since."""
    landed_commit: Commit | None = None
    ended_at: datetime | None = None

    @property
    def needs(self) -> Prefix:
        """The entries whose work it was built on."""
        return (*self.entry.deps, *self.entry.after)

    @property
    def open(self) -> bool:
        """Whether the queue may still do something with it."""
        return self.status not in MERGE_DEAD and self.status is not MergeStatus.MERGED


@dataclass(slots=True, kw_only=True)
class Trial:
    """A candidate under check: the tip, then these entries in order. It stays valid while its tree does."""

    entries: Prefix
    tip: Commit
    """The tip that the entries follow; it moves along when a beginning of the candidate lands."""
    commit: Commit
    """A commit with the candidate's tree; its first parent is the tip that it was built on."""
    tree: Tree
    built_on: Commit
    retest: bool = False
    """The tree failed once and is tried again, because that may have been a flake."""
    contents: Contents = ()
    """What checks with `inputs` see of the tree."""


@dataclass(slots=True, kw_only=True)
class TreeRecord:
    """Every outcome of one check on one tree, in order; the last one counts."""

    outcomes: list[CheckFinished] = field(default_factory=list)
    forgiven: int = 0
    """How many of them no longer count, because the queue was set going again after they had failed."""

    @property
    def counts(self) -> bool:
        """Whether there is an outcome to go by."""
        return len(self.outcomes) > self.forgiven

    @property
    def last(self) -> CheckFinished:
        """The newest outcome."""
        return self.outcomes[-1]

    def forgive(self) -> None:
        """Let a failure count no more: what made the check fail may have been repaired."""
        if self.last.verdict is not Verdict.PASSED:
            self.forgiven = len(self.outcomes)

    def count(self, *verdicts: Verdict) -> int:
        """How often the check really ran and ended in one of these ways."""
        recent = self.outcomes[self.forgiven :]
        return sum(1 for outcome in recent if outcome.verdict in verdicts and not outcome.reused)


@dataclass(slots=True, kw_only=True)
class Settled:
    """What the history of this queue says about how often things go wrong."""

    landed: int = 0
    failed: int = 0
    verdicts: int = 0
    """Trees that a check really ran on and that have a verdict."""
    flakes: int = 0
    """Those among them on which the same check failed and passed."""


class IllegalEntry(Exception):
    """A queue event that cannot follow the state. Nothing was changed."""


class QueueState:
    """The fold of a queue's events. Read it, and change it only through `apply`."""

    def __init__(self, target: Branch) -> None:
        self.target = target
        self.seq = 0
        self.entries: dict[EntryId, EntryState] = {}
        self.open: dict[EntryId, None] = {}
        """The entries that are neither landed nor out, in order of arrival."""
        self.trials: dict[Prefix, Trial] = {}
        """The candidates under check, by their entries."""
        self.aside: dict[EntryId, Prefix] = {}
        """Entries that do not merge behind others, which may yet leave; by those others."""
        self.settled = Settled()
        self.failing: Prefix = ()
        """The shortest prefix known to fail on the present tip."""
        self.retested = False
        """Whether it failed a second time: then it was no flake."""
        self.records: dict[str, TreeRecord] = {}
        """Verdict key -> outcomes."""
        self.landing: MergeLanding | None = None
        """A landing without an end: the refs must be read to know."""
        self.held: list[MergeLanding] = []
        """Landings that wait for a person, who may have finished them by hand."""
        self.halted: str | None = None
        self.misses = 0
        """Landings in a row that the target's movement spoiled."""
        self.commands: list[Event] = []
        self.answered: set[str] = set()

    def apply(self, event: Event) -> None:
        """Fold one event. Raises `IllegalEntry` and changes nothing when it cannot follow."""
        handler = _HANDLERS.get(type(event.data))
        if handler is not None:
            handler(self, event, event.data)
        if event.causation_id is not None:
            self.answered.add(event.causation_id)
        self.seq = event.seq

    def unanswered(self) -> list[Event]:
        """The commands that no later event names as its cause, oldest first."""
        self.commands = [event for event in self.commands if event.id not in self.answered]
        return list(self.commands)

    def landed(self, entry_id: EntryId) -> bool:
        """Whether an entry is on the target."""
        state = self.entries.get(entry_id)
        return state is not None and state.status is MergeStatus.MERGED

    # --- entries ------------------------------------------------------------------------------------------

    def _get(self, entry_id: EntryId) -> EntryState:
        state = self.entries.get(entry_id)
        if state is None:
            raise IllegalEntry(f"the queue of {self.target} has no entry {entry_id}")
        return state

    def _open_entries(self, entry_ids: Prefix) -> list[EntryState]:
        states = [self._get(entry_id) for entry_id in entry_ids]
        for state in states:
            if not state.open:
                raise IllegalEntry(f"{state.entry.id} is {state.status}: that is final")
        return states

    def _end(self, event: Event, entry_id: EntryId, status: MergeStatus, reason: str) -> EntryState:
        (state,) = self._open_entries((entry_id,))
        state.status, state.reason, state.ended_at = status, reason, event.time
        self.open.pop(entry_id, None)
        if entry_id in self.failing:
            self.failing = ()
        self._drop_trials(lambda trial: entry_id in trial.entries)
        self._call_back(entry_id)
        return state

    def _call_back(self, entry_id: EntryId) -> None:
        """Those that were put aside because of an entry may come again when it is gone."""
        self.aside.pop(entry_id, None)
        self.aside = {name: ahead for name, ahead in self.aside.items() if entry_id not in ahead}

    def _drop_trials(self, doomed: Callable[[Trial], bool]) -> None:
        for entries in [entries for entries, trial in self.trials.items() if doomed(trial)]:
            del self.trials[entries]
        self._stand_down()

    def _enqueued(self, event: Event, data: MergeEnqueued) -> None:
        if data.entry.id in self.entries:
            return  # two processes added it at the same moment: the log holds both, and the first one counts
        state = EntryState(entry=data.entry, place=event.seq, enqueued_at=event.time)
        for other in (self.entries.get(need) for need in state.needs):
            state.rebuild = (other and other.dropped) or state.rebuild
        self.entries[data.entry.id] = state
        self.open[data.entry.id] = None
        self.halted = None  # what is new may well land; if not, the queue halts again

    def _approved(self, event: Event, data: MergeApproved) -> None:
        self._get(data.entry_id).approved = True

    def _resealed(self, event: Event, data: MergeResealed) -> None:
        (state,) = self._open_entries((data.entry_id,))
        state.entry = replace(
            state.entry,
            head=data.head,
            base=data.base,
            after=tuple(other for other in state.entry.after if other != data.without),
        )
        state.dropped, state.rebuild = data.without, None
        for other in (self.entries[entry_id] for entry_id in self.open):
            if data.entry_id in other.needs:
                other.rebuild = data.without
        self._drop_trials(lambda trial: data.entry_id in trial.entries)  # built with the old head
        self._call_back(data.entry_id)
        if data.entry_id in self.failing:
            self.failing = ()

    def _conflicted(self, event: Event, data: MergeConflicted) -> None:
        state = self._end(event, data.entry_id, MergeStatus.CONFLICTED, data.reason)
        state.files, state.partner = data.files, data.partner

    def _failed(self, event: Event, data: MergeFailed) -> None:
        state = self._end(event, data.entry_id, MergeStatus.FAILED, data.reason)
        state.check, state.log, state.evidence = data.check, data.log, data.evidence
        self.settled.failed += 1

    def _cancelled(self, event: Event, data: MergeCancelled) -> None:
        self._end(event, data.entry_id, MergeStatus.CANCELLED, data.reason)

    # --- candidates, checks, landings ---------------------------------------------------------------------

    def _checking(self, event: Event, data: MergeChecking) -> None:
        members = self._open_entries(data.entries)
        self._drop_trials(lambda trial: trial.tip != data.tip)
        for state in members:
            state.status = MergeStatus.CHECKING
        self.trials[data.entries] = Trial(
            entries=data.entries,
            tip=data.tip,
            commit=data.commit,
            tree=data.tree,
            built_on=data.tip,
            retest=data.retest,
            contents=data.contents,
        )

    def _stand_down(self) -> None:
        """What is in no candidate any more waits in line again."""
        tried = {entry_id for entries in self.trials for entry_id in entries}
        for entry_id in self.open:
            state = self.entries[entry_id]
            if state.status is MergeStatus.CHECKING and entry_id not in tried:
                state.status = MergeStatus.QUEUED

    def _deferred(self, event: Event, data: MergeDeferred) -> None:
        self._open_entries((data.entry_id,))
        self.aside[data.entry_id] = data.behind

    def _check_finished(self, event: Event, data: CheckFinished) -> None:
        record = self.records.setdefault(data.key, TreeRecord())
        if not data.reused and data.verdict in (Verdict.PASSED, Verdict.FAILED):
            seen = {outcome.verdict for outcome in record.outcomes}
            self.settled.verdicts += not seen
            self.settled.flakes += seen == {Verdict.PASSED, Verdict.FAILED} - {data.verdict}
        record.outcomes.append(data)

    def _split(self, event: Event, data: MergeSplit) -> None:
        """These entries fail together: so do all candidates that hold them."""
        self.retested = data.entries == self.failing
        self.failing = data.entries
        self._drop_trials(lambda trial: set(data.entries) <= set(trial.entries))

    def _landing(self, event: Event, data: MergeLanding) -> None:
        for state in self._open_entries(data.entries):
            state.status = MergeStatus.MERGING
        self.landing = data

    def _landed(self, event: Event, data: MergeLanded) -> None:
        self._open_entries(data.entries)
        count = len(data.entries)
        failing = self.failing[count:] if self.failing[:count] == data.entries else ()
        longer = [trial for entries, trial in self.trials.items() if entries[:count] == data.entries]
        for entry_id in data.entries:
            state = self._end(event, entry_id, MergeStatus.MERGED, "")
            state.landed_commit = data.commit
        self.settled.landed += count
        self.failing = failing
        self.trials = {}
        for trial in longer:
            if len(trial.entries) > count:
                trial.entries, trial.tip = trial.entries[count:], data.commit
                self.trials[trial.entries] = trial
                for entry_id in trial.entries:
                    self.entries[entry_id].status = MergeStatus.CHECKING
        self._stand_down()
        self.landing, self.misses = None, 0
        self.aside.clear()

    def _missed(self, event: Event, data: MergeMissed) -> None:
        for state in self._open_entries(data.entries):
            state.status, state.reason = MergeStatus.QUEUED, data.reason
        self.landing, self.failing = None, ()
        self.misses += 1
        self.aside.clear()
        self._drop_trials(lambda _: True)

    def _held(self, event: Event, data: MergeHeld) -> None:
        for state in self._open_entries(data.entries):
            state.status, state.reason, state.command = MergeStatus.BLOCKED, data.reason, data.command
        if self.landing is not None and self.landing.entries == data.entries:
            self.held.append(self.landing)
        self.landing = None
        self._drop_trials(lambda trial: bool(set(data.entries) & set(trial.entries)))

    def _halted(self, event: Event, data: MergeHalted) -> None:
        self.halted = data.reason
        self._drop_trials(lambda _: True)

    def _resumed(self, event: Event, data: MergeResumed) -> None:
        self.halted, self.misses, self.failing = None, 0, ()
        self.held.clear()
        for record in self.records.values():
            record.forgive()
        for entry_id in self.open:
            state = self.entries[entry_id]
            if state.command:
                state.status, state.command = MergeStatus.QUEUED, ""

    def _command(self, event: Event, data: CommandGiven) -> None:
        self.commands.append(event)


_HANDLERS: Mapping[type[Payload], Callable[..., None]] = {
    MergeEnqueued: QueueState._enqueued,
    MergeApproved: QueueState._approved,
    MergeResealed: QueueState._resealed,
    MergeConflicted: QueueState._conflicted,
    MergeFailed: QueueState._failed,
    MergeCancelled: QueueState._cancelled,
    MergeChecking: QueueState._checking,
    MergeDeferred: QueueState._deferred,
    CheckFinished: QueueState._check_finished,
    MergeSplit: QueueState._split,
    MergeLanding: QueueState._landing,
    MergeLanded: QueueState._landed,
    MergeMissed: QueueState._missed,
    MergeHeld: QueueState._held,
    MergeHalted: QueueState._halted,
    MergeResumed: QueueState._resumed,
    CommandGiven: QueueState._command,
}
"""Event -> how it is folded. What is not listed changes no state and is kept for the record."""
