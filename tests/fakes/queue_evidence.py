"""What the log of a queue's world proves, and when: kept beside the fold, which must not vouch for itself."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Commit, EntryId
from cli_multi_rapid.core.inquiry_events import MergeProbed, MergeQuestioned
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    MergeChecking,
    MergeEnqueued,
    MergeEntry,
    MergeFailed,
    MergeLanded,
    MergeLanding,
    MergeResealed,
)
from cli_multi_rapid.core.queue_intents import Tip

T = TypeVar("T")


class Ejection(Struct, frozen=True, kw_only=True):
    """An entry left because of a check, at event `at`, while the target was at `tip`."""

    fact: MergeFailed
    at: int
    tip: Tip


class Probed(Struct, frozen=True, kw_only=True):
    """A tree in which an entry's partner was looked for, because it failed, or might fail, on `tip`."""

    fact: MergeProbed
    tip: Commit


class Evidence(Struct):
    """Facts with the number of the event that told them."""

    results: dict[str, list[Verdict]] = field(default_factory=dict)
    """Verdict key -> what the checkers found, in order."""
    landed: list[tuple[int, MergeLanded]] = field(default_factory=list)
    ejections: list[Ejection] = field(default_factory=list)
    examined: Counter[str] = field(default_factory=Counter)
    """Promise -> how many facts were judged by it."""
    _found_at: dict[str, list[int]] = field(default_factory=dict)
    _seals: dict[EntryId, list[tuple[int, MergeEntry]]] = field(default_factory=dict)
    _landings: list[tuple[int, MergeLanding]] = field(default_factory=list)
    _candidates: list[tuple[int, MergeChecking]] = field(default_factory=list)
    _questions: dict[EntryId, MergeQuestioned] = field(default_factory=dict)
    _probes: list[tuple[int, Probed]] = field(default_factory=list)
    _read: dict[tuple[str, str], int] = field(default_factory=dict)

    def learn(self, event: Event, tip: Tip) -> None:
        """Take note of an event; `tip` is the target as the processor knows it."""
        match event.data:
            case MergeEnqueued(entry=entry):
                self._seals.setdefault(entry.id, [(event.seq, entry)])
            case MergeResealed(entry_id=name, head=head, base=base) if name in self._seals:
                entry = replace(self.seal(name, event.seq), head=head, base=base)
                self._seals[name].append((event.seq, entry))
            case CheckFinished(key=key, verdict=verdict):
                self.results.setdefault(key, []).append(verdict)
                self._found_at.setdefault(key, []).append(event.seq)
            case MergeChecking() as candidate:
                self._candidates.append((event.seq, candidate))
            case MergeQuestioned(entry_id=name) as question:
                self._questions[name] = question
            case MergeProbed(entry_id=name) as probe:
                self._probes.append((event.seq, Probed(fact=probe, tip=self._questions[name].tip)))
            case MergeLanding() as landing:
                self._landings.append((event.seq, landing))
            case MergeLanded() as landed:
                self.landed.append((event.seq, landed))
            case MergeFailed() as fact:
                self.ejections.append(Ejection(fact=fact, at=event.seq, tip=tip))
            case _:
                pass

    def seal(self, name: EntryId, at: int) -> MergeEntry:
        """An entry as it was sealed at an event."""
        return [entry for since, entry in self._seals[name] if since <= at][-1]

    def found(self, key: str, at: int) -> list[Verdict]:
        """What the checkers had found by then."""
        known = zip(self._found_at.get(key, ()), self.results.get(key, ()), strict=True)
        return [verdict for since, verdict in known if since <= at]

    def landed_by(self, at: int) -> set[EntryId]:
        """What had landed by then."""
        return {name for since, fact in self.landed if since <= at for name in fact.entries}

    def announced(self, at: int) -> list[MergeLanding]:
        """The landings that the log had announced by then."""
        return [landing for since, landing in self._landings if since <= at]

    def candidates_of(self, name: EntryId, at: int) -> list[MergeChecking]:
        """The candidates that held an entry."""
        return [fact for since, fact in self._candidates if since <= at and name in fact.entries]

    def probes_of(self, name: EntryId, at: int) -> list[Probed]:
        """The trees in which its partner was looked for."""
        known = (probe for since, probe in self._probes if since <= at and probe.fact.entry_id == name)
        return [probe for probe in known if probe.fact.commit is not None]

    def fresh(self, promise: str, what: str, facts: Sequence[T]) -> Iterator[T]:
        """The facts that this promise has not been held against, counted."""
        read = self._read.get((promise, what), 0)
        self._read[promise, what] = len(facts)
        self.examined[promise] += len(facts) - read
        yield from facts[read:]
