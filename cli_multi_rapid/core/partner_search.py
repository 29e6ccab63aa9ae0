"""With whom a failing entry fails: a bisection over what landed since its base. Pure.

An entry that fails alone is at fault itself, or contradicts something that landed since it was made. Its
own tree tells: if that fails too, nobody else is to blame. If it passes, the
entry is tried on the target as it was at places in between, until it passes at one and fails at the next:
what came there is its partner. The runs count as failures of the entry, so that the search takes the place
of trying again what may have been a flake.
"""

from collections.abc import Iterator

from msgspec import Struct

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.inquiries import Inquiry, Station
from cli_multi_rapid.core.ladder import odds_of
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import Acquit, Eject, Probe, QueueLimits, RunChecks
from cli_multi_rapid.core.queue_judgement import may_rerun, record_of
from cli_multi_rapid.core.queue_records import EntryState, TreeRecord
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import key_of

Step = Probe | RunChecks | Eject | Acquit
"""What an inquiry needs next."""

_OWN = 0
_FEW = 4
"""So many steps are halved at once. Before a longer search, it is made sure that the failure was no flake."""


class _Answer(Struct, frozen=True, kw_only=True):
    """Who the partners are, and the place whose failure shows it."""

    place: int
    partners: tuple[EntryId, ...] = ()


def inquiries(state: QueueState) -> Iterator[EntryState]:
    """The entries whose partner is being looked for."""
    for entry_id in state.open:
        known = state.entries[entry_id]
        if known.inquiry is not None and known.inquiry.active:
            yield known


def asked_of(state: QueueState) -> Iterator[tuple[CheckSpec, Station]]:
    """Every tree that a running inquiry may want a verdict on."""
    for known in inquiries(state):
        if known.inquiry is not None:
            for station in known.inquiry.stations:
                yield known.inquiry.check, station


def next_step(state: QueueState, known: EntryState, inquiry: Inquiry, limits: QueueLimits) -> Step:
    """What to do next to find the partner; at the end the entry is out, or back in line."""
    return _Search(state=state, known=known, inquiry=inquiry, limits=limits).next_step()


class _Search(Struct, frozen=True, kw_only=True):
    """One look at an inquiry."""

    state: QueueState
    known: EntryState
    inquiry: Inquiry
    limits: QueueLimits

    def next_step(self) -> Step:
        """The answer, if the verdicts so far give one, else what is missing for it."""
        if self._passes(self.inquiry.top):
            return Acquit(entry_id=self.known.entry.id)
        found = self._answer()
        return self._sentence(found) if isinstance(found, _Answer) else found

    def _answer(self) -> _Answer | Probe | RunChecks | Acquit:
        """Who it is, or what to look at next; its own tree first, because most are at fault themselves."""
        last = self._last_pass()
        if last < _OWN:
            step = self._ask(_OWN)
            if step is not None:
                return step
            if not self._passes(_OWN):
                return _Answer(place=_OWN)
            last = _OWN
        if self.inquiry.failed_on is None:
            return Acquit(entry_id=self.known.entry.id)
        first = self._first_failure(last)
        if first - last > _FEW and self._failures() < self._needed:
            return self._run(self.inquiry.failed_on)
        if first - last > 1:
            return self._ask((last + first) // 2) or self._answer()
        return _Answer(place=first, partners=(EntryId(self.inquiry.since[first - 1]),))

    def _last_pass(self) -> int:
        """The last place where it is known to pass; -1: there is none."""
        return max((self.inquiry.passed, *(place for place in self.inquiry.places if self._passes(place))))

    def _first_failure(self, after: int) -> int:
        """The first place behind that one where it fails, or does not merge."""
        return min(place for place in self.inquiry.places if place > after and self._fails(place))

    def _sentence(self, found: _Answer) -> Step:
        """The entry is out when it has failed often enough on what passes without it, else it fails again."""
        place = found.place
        if not self._fails_check(place) and self.inquiry.failed_on is not None:
            place = self.inquiry.top
        record = self._outcome(place)
        # A failure beside others who have landed since counts when its own tree confirms it. To name a
        # partner it does not: those whose own tree passes would often be sent away by flakes.
        failures = self._failures() + (self.inquiry.in_company and place == _OWN)
        if record is not None and (
            failures >= self._needed or not may_rerun(record, self.limits, again=True)
        ):
            return Eject(
                entry_id=self.known.entry.id,
                outcome=record.last,
                partners=found.partners,
                foreign=any(name not in self.state.entries for name in found.partners),
            )
        again = None if place == _OWN and self._base_fails() else self.inquiry.station(place)
        station = again or self.inquiry.failed_on
        return Acquit(entry_id=self.known.entry.id) if station is None else self._run(station)

    @property
    def _needed(self) -> int:
        return odds_of(self.state.settled).failures_needed(self.limits.retry_flaky)

    def _failures(self) -> int:
        """How often the entry was the only one that could be at fault."""
        own = self._outcome(_OWN) if self._base_fails() else None
        ignored = 0 if own is None else own.count(Verdict.FAILED)
        return self.known.failures + self.known.alone.get(self.inquiry.check.id, 0) - ignored

    def _base_fails(self) -> bool:
        """Whether the base is known to fail without the entry: then its own tree says nothing of it.

        Nobody runs a check to learn that: an innocent entry is out only if that coincides with a flake.
        """
        record = self._record(self.inquiry.base)
        return record is not None and record.last.verdict is not Verdict.PASSED

    # --- one place ----------------------------------------------------------------------------------------

    def _ask(self, place: int) -> Probe | RunChecks | None:
        """What is missing for a verdict at a place; None: there is one, or the entry does not merge there."""
        if place not in self.inquiry.places:
            return Probe(entry_id=self.known.entry.id, place=place)
        station = self.inquiry.station(place)
        if station is None:
            return None
        record = self._record(station)
        if record is None or may_rerun(record, self.limits, again=False):
            return self._run(station)
        return None

    def _passes(self, place: int) -> bool:
        record = self._outcome(place)
        return record is not None and record.last.verdict is Verdict.PASSED

    def _fails(self, place: int) -> bool:
        record = self._outcome(place)
        unmerged = self.inquiry.station(place) is None  # only asked of places that were looked at
        return unmerged or (record is not None and record.last.verdict is not Verdict.PASSED)

    def _fails_check(self, place: int) -> bool:
        record = self._outcome(place)
        return record is not None and record.last.verdict is Verdict.FAILED

    def _outcome(self, place: int) -> TreeRecord | None:
        station = self.inquiry.station(place)
        return None if station is None else self._record(station)

    def _record(self, station: Station) -> TreeRecord | None:
        return record_of(self.state, key_of(self.inquiry.check, station, self.limits.fingerprint))

    def _run(self, station: Station) -> RunChecks:
        return RunChecks(
            tree=station.tree,
            commit=station.commit,
            checks=(self.inquiry.check,),
            entries=(self.known.entry.id,),
            contents=station.contents,
        )
