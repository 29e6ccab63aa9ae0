"""Makes the candidates of a queue: merged in memory, pinned, announced with what is known of them already."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.core.merge_events import CheckFinished, MergeChecking, MergeConflicted, MergeDeferred
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.partner_search import asked_of
from cli_multi_rapid.core.queue_intents import BuildCandidate, Tip
from cli_multi_rapid.core.queue_judgement import required_checks
from cli_multi_rapid.core.queue_records import Prefix
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import Checkable, key_of
from cli_multi_rapid.engine.candidate_pins import CandidatePins
from cli_multi_rapid.engine.candidates import Candidate, Clash, Workbench, find_partner
from cli_multi_rapid.engine.check_inputs import CheckInputs
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.git import Repository

_AHEAD = 128
"""How many entries of the line are looked at together when the target has moved."""


class CandidateDesk:
    """Builds what the policy asks for. Called from the deciding thread, by the holder of the lease."""

    def __init__(
        self,
        journal: Journal[QueueState],
        repository: Repository,
        inputs: CheckInputs,
        fingerprint: str,
    ) -> None:
        self._journal = journal
        self._repository = repository
        self._inputs = inputs
        self._fingerprint = fingerprint
        self._workbench = Workbench(repository)
        self._pins = CandidatePins(repository, journal.state.target)

    @property
    def _state(self) -> QueueState:
        return self._journal.state

    def build(self, intent: BuildCandidate, tip: Tip, now: datetime) -> bool:
        """Merge the entries in memory and announce the candidate; whether all of them merged.

        Something is always recorded: the candidate, or the entry that does not merge. What the policy wanted
        beside this candidate is out of date when an entry did not merge.
        """
        entries = [self._state.entries[entry_id].entry for entry_id in intent.entries]
        ahead = [self._state.entries[entry_id].entry for entry_id in islice(self._state.open, _AHEAD)]
        candidate = self._workbench.build(tip, entries, now, ahead=ahead)
        if candidate.clash is not None:
            self._put_aside(candidate, candidate.clash)
        known = self._state.trials.get(candidate.entries)
        if candidate.entries and (known is None or known.tip != tip.commit):
            self._announce(candidate, tip)
        return candidate.clash is None

    def pin_what_counts(self, *others: Commit, under_check: bool = True) -> None:
        """Keep the commits that wait for a person, and those under check."""
        held = (landing.commit for landing in self._state.held)
        trials = (trial.commit for trial in self._state.trials.values() if under_check)
        probes = (station.commit for _, station in asked_of(self._state) if under_check)
        self._pins.keep((*held, *trials, *probes, *others), exactly=not under_check)

    def share_verdicts(self) -> None:
        """Say of the candidates under check what was found on others, where their checks see the same."""
        for trial in self._state.trials.values():
            self._journal.record(
                *(
                    fact
                    for fact in self._known_passes(trial.entries, trial)
                    if all(found.tree != fact.tree for found in self._state.records[fact.key].outcomes)
                )
            )

    def _announce(self, candidate: Candidate, tip: Tip) -> None:
        self.pin_what_counts(candidate.commit)
        checks = required_checks(self._state, candidate.entries)
        announced = MergeChecking(
            entries=candidate.entries,
            tip=tip.commit,
            commit=candidate.commit,
            tree=candidate.tree,
            contents=self._inputs.contents(candidate.tree, checks),
        )
        self._journal.record(announced, *self._known_passes(candidate.entries, announced))

    def _put_aside(self, candidate: Candidate, clash: Clash) -> None:
        """What does not merge behind others waits for their end; what does not merge with the tip is out."""
        if candidate.entries:
            self._journal.record(
                MergeDeferred(entry_id=clash.entry.id, behind=candidate.entries, files=clash.files)
            )
            return
        landed = [
            state.entry
            for state in self._state.entries.values()
            if state.status is MergeStatus.MERGED and state.entry.id not in clash.entry.deps
        ]
        partner = find_partner(self._repository, clash, landed, self._state.target)
        files = ", ".join(clash.files[:5])
        where = f" in {files}" if files else ": they have no common history"
        self._journal.record(
            MergeConflicted(
                entry_id=clash.entry.id,
                files=clash.files,
                partner=partner,
                reason=f"conflicts with {partner}{where}",
            )
        )

    def _known_passes(self, entries: Prefix, place: Checkable) -> Iterator[CheckFinished]:
        """The verdicts that are known for what the checks see of a tree: nothing is run for them."""
        for check in required_checks(self._state, entries):
            record = self._state.records.get(key_of(check, place, self._fingerprint))
            if record is not None and record.last.verdict is Verdict.PASSED:
                yield CheckFinished(
                    check=check.id,
                    tree=place.tree,
                    key=record.last.key,
                    verdict=Verdict.PASSED,
                    reused=True,
                    log=record.last.log,
                    entries=entries,
                )
