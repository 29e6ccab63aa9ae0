"""The state of one target's merge queue: what its events add up to."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, Tree
from cli_multi_rapid.core.inquiry_events import MergeAcquitted, MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    MergeApproved,
    MergeCancelled,
    MergeChecking,
    MergeConflicted,
    MergeDeferred,
    MergeEnqueued,
    MergeFailed,
    MergeHalted,
    MergeHeld,
    MergeLanded,
    MergeLanding,
    MergeMissed,
    MergePreempted,
    MergeResealed,
    MergeResumed,
    MergeSplit,
    MergeVouched,
)
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_records import EntryState, Group, Prefix, Settled, TreeRecord, Trial
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.core.suspicion import Suspicion


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
        self.suspicion = Suspicion(entries=self.entries, settled=self.settled)
        self.landed_order: list[EntryId] = []
        self.former_tips: dict[Commit, Tree] = {}
        """The tips that this queue made, with their trees."""
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

    @property
    def groups(self) -> list[Group]:
        """What failed together, oldest first; nobody is in two of them."""
        return self.suspicion.groups

    @property
    def suspects(self) -> set[EntryId]:
        """Everybody who is in a group."""
        return self.suspicion.suspects

    def group_of(self, entry_id: EntryId) -> Group | None:
        """The group that an entry is in."""
        return self.suspicion.group_of(entry_id)

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
        state.inquiry = None
        self.open.pop(entry_id, None)
        self.suspicion.dismiss(entry_id)
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
        self.suspicion.dismiss(data.entry_id)
        state.renew()

    def _conflicted(self, event: Event, data: MergeConflicted) -> None:
        state = self._end(event, data.entry_id, MergeStatus.CONFLICTED, data.reason)
        state.files, state.partner = data.files, data.partner

    def _failed(self, event: Event, data: MergeFailed) -> None:
        state = self._end(event, data.entry_id, MergeStatus.FAILED, data.reason)
        state.check, state.log, state.evidence = data.check, data.log, data.evidence
        state.partner, state.files = ", ".join(data.partners), data.files
        self.settled.failed += 1

    def _cancelled(self, event: Event, data: MergeCancelled) -> None:
        self._end(event, data.entry_id, MergeStatus.CANCELLED, data.reason)

    # --- candidates, checks, landings ---------------------------------------------------------------------

    def _checking(self, event: Event, data: MergeChecking) -> None:
        for state in self._open_entries(data.entries):
            state.status = MergeStatus.CHECKING
        self.trials[data.entries] = Trial(
            entries=data.entries,
            built_with=data.entries,
            tip=data.tip,
            commit=data.commit,
            tree=data.tree,
            built_on=data.tip,
            landed_before=len(self.landed_order),
            contents=data.contents,
        )

    def _stand_down(self) -> None:
        """What is in no candidate any more waits in line again."""
        tried = {entry_id for entries in self.trials for entry_id in entries}
        for entry_id in self.open:
            state = self.entries[entry_id]
            if state.status is MergeStatus.CHECKING and entry_id not in tried and not state.questioned:
                state.status = MergeStatus.QUEUED

    def _deferred(self, event: Event, data: MergeDeferred) -> None:
        self._open_entries((data.entry_id,))
        self.aside[data.entry_id] = data.behind

    def _check_finished(self, event: Event, data: CheckFinished) -> None:
        record = self.records.setdefault(data.key, TreeRecord())
        if not data.reused and data.verdict in (Verdict.PASSED, Verdict.FAILED):
            self.settled.verdicts += 1
            alone = self.entries.get(data.entries[0]) if len(data.entries) == 1 else None
            if data.verdict is Verdict.FAILED and alone is not None:
                alone.alone[data.check] = alone.alone.get(data.check, 0) + 1
        record.outcomes.append(data)

    def _split(self, event: Event, data: MergeSplit) -> None:
        """These entries fail together: so do all candidates that hold them."""
        for state in self._open_entries(data.entries):
            state.suspected_of = data.check
        self._drop_trials(lambda trial: set(data.entries) <= set(trial.entries))
        self.aside.update(self.suspicion.fail(data.entries))

    def _questioned(self, event: Event, data: MergeQuestioned) -> None:
        (state,) = self._open_entries((data.entry_id,))
        state.question(data, self.trials.get((data.entry_id,)), self.landed_order)
        if state.questioned:
            self.suspicion.dismiss(data.entry_id)
            self._drop_trials(lambda trial: data.entry_id in trial.entries)

    def _probed(self, event: Event, data: MergeProbed) -> None:
        self._get(data.entry_id).learn(data)

    def _acquitted(self, event: Event, data: MergeAcquitted) -> None:
        (state,) = self._open_entries((data.entry_id,))
        if state.acquit():
            self.suspicion.suspect((data.entry_id,))
        else:
            self.settled.flakes += 1
        self._stand_down()

    def _vouched(self, event: Event, data: MergeVouched) -> None:
        """They passed on a tip that has been left behind."""
        members = self._open_entries(data.entries)
        trial = self.trials.get(data.entries)
        for state in members:
            state.vouched_at = trial.landed_before if trial is not None else len(self.landed_order)
            state.passed_at, state.inquiry = state.vouched_at, None
            state.forgive()
        self.suspicion.clear(data.entries)
        self._drop_trials(lambda trial: set(trial.entries) <= set(data.entries))

    def _preempted(self, event: Event, data: MergePreempted) -> None:
        """Its checker is needed for something that is urgent."""
        self._drop_trials(lambda trial: trial.entries == data.entries)

    def _landing(self, event: Event, data: MergeLanding) -> None:
        for state in self._open_entries(data.entries):
            state.status = MergeStatus.MERGING
        self.landing = data

    def _landed(self, event: Event, data: MergeLanded) -> None:
        self._open_entries(data.entries)
        going_on = [trial for trial in self.trials.values() if not set(trial.entries) <= set(data.entries)]
        self.suspicion.clear(data.entries)
        for entry_id in data.entries:
            state = self._end(event, entry_id, MergeStatus.MERGED, "")
            state.landed_commit = data.commit
        self.settled.landed += len(data.entries)
        self.former_tips[data.commit] = data.tree
        self.landed_order.extend(data.entries)
        self.suspicion.overtake(len(data.entries))
        for entry_id in self.open:
            self.entries[entry_id].overtake(len(data.entries))
        for trial in going_on:
            self._carry_over(trial, data)
        self._stand_down()
        self.landing, self.misses = None, 0
        self.aside.clear()

    def _carry_over(self, trial: Trial, data: MergeLanded) -> None:
        """The rest of a candidate goes on; it can still land when it began with just what has landed."""
        count = len(data.entries)
        self.trials.pop(trial.entries, None)
        if trial.entries[:count] == data.entries and trial.tip == self._tip_before(data):
            trial.tip, trial.built_with = data.commit, trial.built_with[count:]
        trial.entries = tuple(name for name in trial.entries if name not in data.entries)
        known = self.trials.get(trial.entries)
        if known is None or known.tip != data.commit:
            self.trials[trial.entries] = trial
        for entry_id in trial.entries:
            self.entries[entry_id].status = MergeStatus.CHECKING

    def _tip_before(self, data: MergeLanded) -> Commit | None:
        """The tip that this landing moved, where that is told."""
        told = self.landing is not None and self.landing.commit == data.commit
        return self.landing.expected if told and self.landing is not None else None

    def _missed(self, event: Event, data: MergeMissed) -> None:
        for state in self._open_entries(data.entries):
            state.status, state.reason = MergeStatus.QUEUED, data.reason
        self.landing = None
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
        self.halted, self.misses = None, 0
        self.suspicion.groups.clear()
        self.held.clear()
        for record in self.records.values():
            record.forgive()
        for entry_id in self.open:
            state = self.entries[entry_id]
            state.inquiry = None
            state.forgive()
            if state.command:
                state.status, state.command = MergeStatus.QUEUED, ""
        self._stand_down()

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
    MergeQuestioned: QueueState._questioned,
    MergeProbed: QueueState._probed,
    MergeAcquitted: QueueState._acquitted,
    MergeVouched: QueueState._vouched,
    MergePreempted: QueueState._preempted,
    MergeLanding: QueueState._landing,
    MergeLanded: QueueState._landed,
    MergeMissed: QueueState._missed,
    MergeHeld: QueueState._held,
    MergeHalted: QueueState._halted,
    MergeResumed: QueueState._resumed,
    CommandGiven: QueueState._command,
}
"""Event -> how it is folded. What is not listed changes no state and is kept for the record."""
