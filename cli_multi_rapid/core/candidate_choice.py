"""Which candidates the free checkers take. Pure.

Three kinds compete, and the one with the most expected landings wins: a beginning of the line, a screen of
entries that nobody holds, a search in a group that failed together (`ladder` has the odds). Entries that
failed together are set aside: the others go on without them, as if they were out.
"""

from collections.abc import Iterator, Sequence, Set

from msgspec import Struct

from cli_multi_rapid.core.ids import Commit, EntryId
from cli_multi_rapid.core.ladder import Odds, beginning, screen, search
from cli_multi_rapid.core.queue_intents import Probe
from cli_multi_rapid.core.queue_line import fill
from cli_multi_rapid.core.queue_records import Group, Prefix
from cli_multi_rapid.core.queue_state import QueueState

_FIRST_OF_ALL = float("inf")


class Proposal(Struct, frozen=True, kw_only=True):
    """A candidate that a checker could take, and how many landings it promises.

    Or, with `probe`, a tree that the search for the partner of its only entry asks about.
    """

    entries: Prefix
    value: float
    probe: Probe | None = None


class Floor(Struct, kw_only=True):
    """The checkers' floor: what is under check on which tip, and what waits."""

    state: QueueState
    order: Prefix
    """The line: everybody who can land now, suspects too."""
    odds: Odds
    batch: int
    current: list[Prefix]
    """Under check on the present tip."""
    stale: Sequence[Prefix]
    """Under check on a tip that has been left behind."""
    probes: list[Proposal]
    """What the searches for a partner would look at next."""
    _suspects: Set[EntryId] = frozenset()

    def __post_init__(self) -> None:
        self._suspects = self.state.suspects

    def choose(self, free: int, min_gain: float) -> Iterator[Proposal]:
        """The candidates for the free checkers, the most useful first.

        `min_gain`: what a candidate must promise to be worth a checker. However little it is, something is
        always under check while anything can be.
        """
        for _ in range(free):
            best = max(self._proposals(), key=lambda proposal: proposal.value, default=None)
            if best is None or best.value <= 0.0:
                return
            if best.value < min_gain and (self.current or self.stale):
                return
            if best.probe is None:
                self.current.append(best.entries)
            else:
                self.probes.remove(best)
            yield best

    def _proposals(self) -> Iterator[Proposal]:
        held = {entry_id for entries in (*self.current, *self.stale) for entry_id in entries}
        urgent = self.urgent()
        if urgent:
            yield Proposal(entries=urgent, value=_FIRST_OF_ALL)
        yield from self._train(held)
        yield from self._screen(held)
        for group in self.state.groups:
            yield from self._search(group, held)
        yield from self.probes

    def urgent(self) -> Prefix:
        """The urgent entries that can be checked now and that no candidate holds."""
        barred = {entry_id for entries in (*self.current, *self.stale) for entry_id in entries}
        barred |= self._suspects
        return fill(
            self.state,
            self.order,
            self.batch,
            wanted=lambda name: self.state.entries[name].entry.urgent and name not in barred,
        )

    def _train(self, held: set[EntryId]) -> Iterator[Proposal]:
        """A beginning of the line: longer or shorter than those under check on this tip, which it holds."""
        trunk = self._trunk()
        now = {entry_id for entries in self.current for entry_id in entries}
        room = self.batch - len(trunk)
        behind = fill(
            self.state, self._vouched_first(), max(0, room), behind=trunk,
            wanted=lambda name: self._may_join(name, now, held),
        )  # fmt: skip
        whole = (*trunk, *behind)
        running = [len(entries) for entries in self.current if entries == whole[: len(entries)]]
        chances = self.odds.beginnings([self._is_vouched(name) for name in whole])
        best = beginning(chances, running)
        if best.length:
            yield Proposal(entries=whole[: best.length], value=best.value)

    def _trunk(self) -> Prefix:
        """The longest candidate on this tip that begins as the first in line among them does."""
        places = {entry_id: place for place, entry_id in enumerate(self.order)}
        trusted = [entries for entries in self.current if self._suspects.isdisjoint(entries)]
        first = min(trusted, key=lambda entries: places.get(entries[0], 0), default=())
        nested = [entries for entries in trusted if entries[0] == first[0]]
        return max(nested, key=len, default=())

    def _vouched_first(self) -> list[EntryId]:
        return sorted(self.order, key=lambda name: not self._is_vouched(name))

    def _may_join(self, entry_id: EntryId, now: set[EntryId], held: set[EntryId]) -> bool:
        if entry_id in self._suspects or entry_id in now:
            return False
        return self._is_vouched(entry_id) or entry_id not in held

    def _screen(self, held: set[EntryId]) -> Iterator[Proposal]:
        """Entries of which nothing is known and that nobody holds."""
        fresh = fill(
            self.state,
            self.order,
            self.batch,
            wanted=lambda name: not (name in held or name in self._suspects or self._is_vouched(name)),
        )
        best = screen(len(fresh), self.odds)
        if best.length:
            yield Proposal(entries=fresh[: best.length], value=best.value)

    def _search(self, group: Group, held: set[EntryId]) -> Iterator[Proposal]:
        """A part of what failed together, with what that part was built on; one search in a group at once."""
        if not held.isdisjoint(group.entries):
            return
        best = search(len(group.entries), group.overtaken, self.odds)
        members = [name for name in self.order if name in group.entries]
        # A single one is to fail alone: what it was built on lands first, if it is not there yet.
        whole = members if len(group.entries) == 1 else self._with_footing(members)
        fitting = fill(self.state, whole, self.batch)
        places = [place for place, name in enumerate(fitting) if name in group.entries][: best.length]
        if places:
            yield Proposal(entries=fitting[: places[-1] + 1], value=best.value)

    def _with_footing(self, members: Sequence[EntryId]) -> Iterator[EntryId]:
        """These and, before each, the vouched ones that it was built on."""
        for name in members:
            needs = [need for need in self.state.entries[name].needs if need in self.state.open]
            yield from self._with_footing([need for need in needs if self._is_vouched(need)])
            yield name

    def _is_vouched(self, entry_id: EntryId) -> bool:
        return self.state.entries[entry_id].vouched_at is not None


def on_tip(state: QueueState, tip: Commit) -> tuple[list[Prefix], list[Prefix]]:
    """The candidates under check: those on this tip, and the others."""
    current = [trial.entries for trial in state.trials.values() if trial.tip == tip]
    stale = [trial.entries for trial in state.trials.values() if trial.tip != tip]
    return current, stale
