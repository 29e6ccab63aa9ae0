"""The merge queue of one target at work: candidates, checks, landings, under one lease."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import Branch, EntryId, EventId
from cli_multi_rapid.core.merge_events import (
    MergeApproved,
    MergeCancelled,
    MergeEnqueued,
    MergeEntry,
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
from cli_multi_rapid.core.queue_judgement import required_checks
from cli_multi_rapid.core.queue_records import Trial
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.run_events import CommandGiven, CommandRefused
from cli_multi_rapid.core.verdicts import Checkable, key_of
from cli_multi_rapid.engine.bases import tip_of
from cli_multi_rapid.engine.candidate_desk import CandidateDesk
from cli_multi_rapid.engine.candidates import find_vanished
from cli_multi_rapid.engine.check_desk import CheckDesk, started
from cli_multi_rapid.engine.check_runner import CheckRunner
from cli_multi_rapid.engine.inbox import CheckEnded, Inbox
from cli_multi_rapid.engine.inquirer import Inquirer
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.landing import finish_held_landing, finish_landing, land
from cli_multi_rapid.engine.remote_target import is_out_of_doubt, keep_step
from cli_multi_rapid.engine.reseal import reseal
from cli_multi_rapid.git import Repository
from cli_multi_rapid.ports import Clock, Leases
from cli_multi_rapid.process_tree import kill_marked


class QueueTools(Struct, frozen=True, kw_only=True):
    """What the queue works with."""

    repository: Repository
    runner: CheckRunner
    leases: Leases
    clock: Clock
    inbox: Inbox
    logs: Path
    """The folder of the checks' logs."""
    remote: str | None = None
    """Where landings are pushed to; None: they stay here."""
    update_checkout: bool = True
    """Whether a checkout of the target may follow when the remote is ahead."""


class MergeQueue:
    """Decides and acts for one target while it holds the lease; follows along while another process does.

    Everything but the checks happens in the thread that calls `step`.
    """

    def __init__(self, journal: Journal[QueueState], tools: QueueTools, limits: QueueLimits) -> None:
        self.journal = journal
        self._tools = tools
        self._limits = limits
        self._tip: Tip | None = None
        self._in_step = False
        """Whether the remote was looked at since the queue took up work."""
        self._candidates = CandidateDesk(journal, tools.repository, tools.runner.inputs, limits.fingerprint)
        self._inquirer = Inquirer(journal, tools.repository, tools.runner.inputs)
        self._desk = CheckDesk(
            tools.runner,
            tools.inbox,
            tools.logs,
            workers=limits.workers,
            fingerprint=limits.fingerprint,
        )
        self._news: list[Event] = []
        journal.observers.append(self._news.append)
        journal.observers.append(tools.runner.inputs.learn)

    @property
    def state(self) -> QueueState:
        """The folded stream of the queue."""
        return self.journal.state

    @property
    def target(self) -> Branch:
        """The branch that this queue lands on."""
        return self.state.target

    @property
    def busy(self) -> bool:
        """Whether checks are running."""
        return self._desk.busy

    # --- what callers do ----------------------------------------------------------------------------------

    def enqueue(self, entry: MergeEntry) -> Event:
        """Add an entry; any process may."""
        return self.journal.submit(MergeEnqueued(entry=entry))

    def withdraw(self, entry_id: EntryId, reason: str) -> bool:
        """Take an entry out, or ask the holder of the lease to, once; whether anything was written."""
        entry = self.state.entries.get(entry_id)
        if entry is None or not entry.open:
            return False
        if self.journal.lease is not None:
            self.journal.record(MergeCancelled(entry_id=entry_id, reason=reason))
            self._drop_stale_checks()
            return True
        return self._ask("withdraw", entry_id, reason)

    def approve(self, entry_id: EntryId, by: str) -> bool:
        """Record that a person agreed to land an entry, or pass it on to the holder of the lease."""
        if self.journal.lease is not None:
            self.journal.record(MergeApproved(entry_id=entry_id, by=by))
            return True
        return self._ask("approve", entry_id, "", by=by)

    def go_on(self) -> None:
        """Have what is halted or held tried again: a living holder of the lease is asked to.

        Whoever takes up the queue does so without being asked.
        """
        if self.journal.lease is None and self._tools.leases.holder(self.journal.stream) is not None:
            self._ask("retry", None, "")

    @property
    def owes_answers(self) -> bool:
        """Whether the holder of the lease has not yet done what it was asked for."""
        return bool(self.state.unanswered())

    def _ask(self, command: str, entry_id: EntryId | None, text: str, by: str = "the run") -> bool:
        asked = (event.data for event in self.state.unanswered())
        if any(isinstance(c, CommandGiven) and (c.command, c.entry_id) == (command, entry_id) for c in asked):
            return False
        self.journal.submit(CommandGiven(command=command, by=by, entry_id=entry_id, text=text))
        return True

    def step(self) -> None:
        """Go as far as possible without waiting. Without the lease, only read."""
        self.journal.catch_up()
        if not self._take_lease():
            return
        self._answer_commands()
        self._keep_step()
        while self.state.open and self.state.halted is None:
            before = self.state.seq
            self._act(decide(self.state, self._read_tip(), self._limits, self._tools.clock.now()))
            self._answer_commands()  # also those that came during the last landing: nothing follows it
            if self.state.seq == before:
                return  # nothing new is known, so the next decision would be the same

    def _keep_step(self) -> None:
        """Look at the remote once whenever there is something to do again."""
        if not self.state.open or self.state.halted is not None:
            self._in_step = False
        elif self._tools.remote is not None and not self._in_step:
            self._in_step, self._tip = True, None
            keep_step(
                self.journal,
                self._tools.repository,
                self._tools.remote,
                update_checkout=self._tools.update_checkout,
            )

    def deliver(self, ended: CheckEnded) -> None:
        """Record what a checker found, unless nobody wants to know any more."""
        if self._desk.accept(ended):
            self.journal.record(*ended.facts)
            self._candidates.share_verdicts()

    def take_news(self) -> list[Event]:
        """The events folded since the last call."""
        news = list(self._news)
        self._news.clear()
        return news

    def close(self) -> None:
        """Stop running checks, give the lease back; pin only what a person may land, or gc takes it."""
        self._desk.close()
        if self.journal.lease is None:
            return
        try:
            if self.state.seq > 0:
                self._candidates.pin_what_counts(under_check=False)
        finally:
            self.journal.lease.release()
            self.journal.lease = None
            self.journal.nudge()  # another process may take it up

    # --- lease and commands -------------------------------------------------------------------------------

    def _take_lease(self) -> bool:
        """Become the processor if nobody is. A landing that a dead one left open is finished."""
        if self.journal.lease is not None:
            return True
        self.journal.lease = self._tools.leases.acquire(self.journal.stream)
        if self.journal.lease is None:
            return False
        self.journal.catch_up()
        kill_marked(self._tools.runner.marker)
        if self.state.landing is not None:
            finish_landing(
                self.journal, self._tools.repository, self.target, self.state.landing, recovered=True
            )
        for lost in find_vanished(
            self._tools.repository, map(self.state.entries.__getitem__, self.state.open)
        ):
            reason = f"its commit {lost.head} is no longer in the repository"
            self.journal.record(MergeCancelled(entry_id=lost.id, reason=reason))
        held = any(self.state.entries[entry_id].command for entry_id in self.state.open)
        if self.state.halted is not None or held or self.state.misses:
            self._set_going("a processor took up the queue")
        return True

    def _set_going(self, reason: str, cause: EventId | None = None) -> None:
        """Try again what was halted or held; what a person landed by hand meanwhile is recorded as landed."""
        repository, tip = self._tools.repository, tip_of(self._tools.repository, self.target)
        for held in list(self.state.held):
            if repository.resolve(held.commit) and repository.is_ancestor(held.commit, tip):
                finish_held_landing(self.journal, repository, self.target, held)
            elif held.remote != self._tools.remote and not is_out_of_doubt(
                self.journal, repository, held, update_checkout=self._tools.update_checkout
            ):
                return
        self._in_step = False
        self.journal.record(MergeResumed(reason=reason), cause=cause)

    def _answer_commands(self) -> None:
        for event in self.state.unanswered():
            if isinstance(event.data, CommandGiven):
                self._answer(event.data, event.id)

    def _answer(self, command: CommandGiven, cause: EventId) -> None:
        entry = self.state.entries.get(command.entry_id) if command.entry_id else None
        if command.command == "withdraw" and entry is not None and entry.open:
            reason = command.text or f"withdrawn by {command.by}"
            self.journal.record(MergeCancelled(entry_id=entry.entry.id, reason=reason), cause=cause)
            self._drop_stale_checks()
        elif command.command == "approve" and entry is not None:
            self.journal.record(MergeApproved(entry_id=entry.entry.id, by=command.by), cause=cause)
        elif command.command == "retry":
            self._set_going(f"retry by {command.by}", cause)
        else:
            what = command.entry_id or "the queue"
            reason = f"{command.command}: {what} is in no state for it"
            self.journal.record(CommandRefused(command=command.command, reason=reason), cause=cause)

    # --- acting on intents --------------------------------------------------------------------------------

    def _act(self, intents: Sequence[QueueIntent]) -> None:
        """Do what was decided, until something turns out otherwise: then the rest must be decided anew."""
        for intent in intents:
            as_planned = self._perform(intent)
            self._drop_stale_checks()
            if not as_planned:
                return

    def _perform(self, intent: QueueIntent) -> bool:
        """Act on one intent. False when it came out otherwise than the intents after it assume."""
        now = self._tools.clock.now()
        match intent:
            case BuildCandidate():
                return self._candidates.build(intent, self._read_tip(), now)
            case RunChecks():
                self._start_checks(intent)
            case Land():
                self._tip = None
                tools = self._tools
                land(self.journal, tools.repository, self.target, intent, now, remote=tools.remote)
                self._candidates.pin_what_counts()
            case Reseal():
                reseal(self.journal, self._tools.repository, intent, self._read_tip().commit, now)
            case Question():
                self._inquirer.question(intent)
            case Probe():
                self._inquirer.probe(intent, now)
                self._candidates.pin_what_counts()
            case Eject():
                self._inquirer.eject(intent)
            case Split() | Vouch() | Preempt() | Acquit() | CancelEntry() | Halt():
                self.journal.record(fact_of(intent))
        return True

    def _read_tip(self) -> Tip:
        """The target's tip, read anew whenever a candidate is to be built on it."""
        if self._tip is None or not self.state.trials:
            commit = tip_of(self._tools.repository, self.target)
            if self._tip is None or self._tip.commit != commit:
                self._tip = Tip(commit=commit, tree=self._tools.repository.tree_of(commit))
        waiting = (self.state.entries[entry_id].entry for entry_id in self.state.open)
        checks = (check for entry in waiting for check in entry.checks)
        contents = self._tools.runner.inputs.contents(self._tip.tree, checks)
        self._tip = replace(self._tip, contents=contents)
        return self._tip

    def _checks_of(self, entry_ids: Sequence[EntryId]) -> tuple[CheckSpec, ...]:
        return required_checks(self.state, entry_ids)

    # --- checks -------------------------------------------------------------------------------------------

    def _start_checks(self, intent: RunChecks) -> None:
        """Record and start the checks that are not under way."""
        for job in self._desk.jobs_for(intent, self.state):
            self.journal.record(started(job))
            self._desk.start(job)

    def _drop_stale_checks(self) -> None:
        """Stop checkers whose candidate is out of the race."""
        wanted = {
            key_of(check, place, self._limits.fingerprint)
            for trial in self.state.trials.values()
            for check in self._checks_of(trial.entries)
            for place in self._places(trial)
        }
        wanted |= {key_of(check, place, self._limits.fingerprint) for check, place in asked_of(self.state)}
        self._desk.keep_only(wanted)

    def _places(self, trial: Trial) -> list[Checkable]:
        """The trees whose verdicts decide about a candidate."""
        below = (self._tip, ground_of(self.state, trial, self._tip)) if self._tip else ()
        return [trial, *(place for place in below if place is not None)]
