"""Money of a run as its events tell it: what is set aside and what is spent."""

from msgspec import Struct, field

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.money import ZERO, MicroUsd


class Ledger(Struct, kw_only=True):
    """Sums in micro-dollars. `limit` None: no limit."""

    limit: MicroUsd | None = None
    spent: MicroUsd = ZERO
    reserved: MicroUsd = ZERO
    lent: MicroUsd = ZERO
    """What running attempts may cost beyond their reservations, within the limits that nodes share."""
    open: dict[tuple[NodeId, int], MicroUsd] = field(default_factory=dict)
    """The reservation of each running attempt."""
    loans: dict[tuple[NodeId, int], MicroUsd] = field(default_factory=dict)
    """What is lent to each running attempt, if anything is."""
    warned: bool = False
    halted: bool = False

    def reserve(self, node_id: NodeId, attempt: int, amount: MicroUsd, lent: MicroUsd = ZERO) -> None:
        """Set money aside for an attempt, in place of what was set aside for it before."""
        self.release(node_id, attempt)
        self.open[node_id, attempt] = amount
        self.reserved = MicroUsd(self.reserved + amount)
        if lent:
            self.loans[node_id, attempt] = lent
            self.lent = MicroUsd(self.lent + lent)

    def settle(self, node_id: NodeId, attempt: int, cost: MicroUsd) -> None:
        """Book what an attempt cost and free what was set aside for it."""
        self.release(node_id, attempt)
        self.spent = MicroUsd(self.spent + cost)

    def release(self, node_id: NodeId, attempt: int) -> None:
        """Free what was set aside for an attempt, if anything still is."""
        self.reserved = MicroUsd(self.reserved - self.open.pop((node_id, attempt), ZERO))
        self.lent = MicroUsd(self.lent - self.loans.pop((node_id, attempt), ZERO))

    @property
    def available(self) -> MicroUsd | None:
        """What could still be reserved; None without a limit."""
        if self.limit is None:
            return None
        return MicroUsd(max(0, self.limit - self.spent - self.reserved - self.lent))

    def change_limit(self, limit: MicroUsd) -> None:
        """Another limit; the notices about the old one no longer count."""
        self.limit = limit
        self.warned = self.halted = False
