"""Who is suspected, with whom, since candidates failed; who is trusted, and for how long."""

from msgspec import Struct, field

from cli_multi_rapid.core.ids import EntryId
from cli_multi_rapid.core.queue_records import EntryState, Group, Prefix, Settled


class Suspicion(Struct, kw_only=True):
    """The groups of one queue. It changes what is known of the `entries`, and what is `settled`."""

    entries: dict[EntryId, EntryState]
    settled: Settled
    groups: list[Group] = field(default_factory=list)
    """What failed together, oldest first; nobody is in two of them."""

    @property
    def suspects(self) -> set[EntryId]:
        """Everybody who is in a group."""
        return {entry_id for group in self.groups for entry_id in group.entries}

    def group_of(self, entry_id: EntryId) -> Group | None:
        """The group that an entry is in."""
        return next((group for group in self.groups if entry_id in group.entries), None)

    def fail(self, entries: Prefix) -> dict[EntryId, Prefix]:
        """These fail together: suspect who is not trusted. If all are: who is to wait, and for whom."""
        # Trust spares an entry once: who fails again before it has passed is suspected like everybody else.
        doubted = {name for group in self.groups for name in group.trusted}
        suspects = tuple(name for name in entries if self.entries[name].vouched_at is None or name in doubted)
        if suspects or len(entries) == 1:
            suspects = suspects or entries
            if len(suspects) == 1 and not self.entries[suspects[0]].alone:
                self.entries[suspects[0]].failures += 1
            self.suspect(suspects, tuple(name for name in entries if name not in suspects))
            return {}
        # Each of them passed without some of the others. Who is later waits for who is earlier, and those are
        # trusted no more: it may be what landed since that they do not go with, and then nobody is to wait.
        earlier = entries[: (len(entries) + 1) // 2]
        for name in earlier:
            self.entries[name].vouched_at = None
        return dict.fromkeys(entries[len(earlier) :], earlier)

    def suspect(self, entries: Prefix, trusted: Prefix = ()) -> None:
        """These failed together, in company that passed before: who was suspected with them is free again."""
        overtaken = 0
        for group in [group for group in self.groups if not set(entries).isdisjoint(group.entries)]:
            overtaken = max(overtaken, group.overtaken)
            self.groups.remove(group)
        for entry_id in entries:
            self.entries[entry_id].vouched_at = None
        self.groups.append(Group(entries=entries, trusted=trusted, overtaken=overtaken))

    def clear(self, entries: Prefix) -> None:
        """These are not at fault: who is left of their groups must be; if nobody is, it was a flake."""
        for group in list(self.groups):
            rest = tuple(entry_id for entry_id in group.entries if entry_id not in entries)
            group.trusted = tuple(entry_id for entry_id in group.trusted if entry_id not in entries)
            if len(rest) == len(group.entries):
                continue
            if len(rest) == 1 < len(group.entries):
                self.entries[rest[0]].failures += 1
            group.entries = rest
            if not rest:
                self.groups.remove(group)
                self._distrust(group)

    def _distrust(self, group: Group) -> None:
        """Nobody of the group was at fault: it was one of those who were trusted, having passed before."""
        left = tuple(entry_id for entry_id in group.trusted if self.entries[entry_id].open)
        if left:
            if len(left) == 1:
                self.entries[left[0]].failures += 1
            self.suspect(left)
        elif not group.trusted:
            self.settled.flakes += 1

    def dismiss(self, entry_id: EntryId) -> None:
        """One that leaves, or is another one now, may have been the one at fault: the others may not be."""
        group = self.group_of(entry_id)
        if group is not None:
            self.groups.remove(group)

    def overtake(self, count: int) -> None:
        """So many entries have landed meanwhile."""
        for group in self.groups:
            group.overtaken += count
