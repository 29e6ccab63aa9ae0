"""The money of a round of starts: no two attempts may spend the same of what the run or the day has left.

An attempt may cost more than what is set aside for it, up to its cap. What it is allowed beyond its
reservation is lent to it out of what nobody needs: while a plan fits its limits, a loan delays no other node.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core import budget
from cli_multi_rapid.core.affordability import Means
from cli_multi_rapid.core.budget import BudgetRules
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.intents import StartAttempt
from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.node_state import NodeState, NodeStatus
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.state import RunState


class Allowance(Struct, frozen=True, kw_only=True):
    """What an attempt may cost. `lent`: the part of it beyond the reservation that others must do without."""

    cap: MicroUsd
    lent: MicroUsd = ZERO


class Purse:
    """What is left as one node after the other starts."""

    def __init__(
        self, state: RunState, rules: BudgetRules, tools: Mapping[ToolName, ToolFacts], workers: int
    ) -> None:
        self.ledger: Ledger = replace(state.ledger)
        self.means = Means(tools=tools, ledger=self.ledger, rules=rules)
        self._state, self._rules = state, rules
        self._free_workers = workers - len(state.frontier.running)
        self._begun: set[NodeId] = set()
        self._needs: dict[NodeId, MicroUsd] = {}
        """The reservations of all nodes that are to start, found when they are first asked for."""
        self._needed = 0

    def allow(self, node_state: NodeState, reserve: MicroUsd) -> Allowance:
        """What an attempt that starts now may cost.

        Its reservation and its share of what is spare, but not more than its own cap. Spare is what no
        waiting node needs; when there is not enough for all of them, what none needs that can start now and
        for which there is enough.
        """
        node_id = node_state.node.id
        own = budget.cap_of(node_state.node, self._rules, node_state.spent)
        room = budget.room_for(self.ledger, self._rules)
        if room is None or own <= reserve:
            return Allowance(cap=own)
        needs = self._needs_of_waiting()
        ready = self._state.frontier.ready() if self._free_workers > 1 else ()
        able = (needs[each.node.id] for each in ready if each.node.id in needs and each is not node_state)
        spare = room - reserve
        rivals = list(islice(_fitting(able, spare), max(0, self._free_workers - 1)))
        needed = self._needed - needs.get(node_id, ZERO)
        spare -= needed if needed <= spare else sum(rivals)
        cap = MicroUsd(min(own, reserve + spare // (1 + len(rivals))))
        return Allowance(cap=cap, lent=MicroUsd(cap - reserve))

    def take(self, start: StartAttempt) -> None:
        """This attempt starts."""
        self.ledger.reserved = MicroUsd(self.ledger.reserved + start.reserve)
        self.ledger.lent = MicroUsd(self.ledger.lent + start.lent)
        self._begun.add(start.node_id)
        self._free_workers -= 1
        self._needed -= self._needs.pop(start.node_id, ZERO)

    def _needs_of_waiting(self) -> Mapping[NodeId, MicroUsd]:
        if not self._needs:
            for node_id in self._state.frontier.unsettled - self._begun:
                state = self._state.nodes[node_id]
                if state.status in (NodeStatus.PENDING, NodeStatus.WAITING) and (need := self._need(state)):
                    self._needs[node_id] = need
            self._needed = sum(self._needs.values())
        return self._needs

    def _need(self, state: NodeState) -> MicroUsd:
        price = self.means.price_of(state.next_tool or state.node.tool)
        return budget.reservation(state.node, price, self._rules).amount


def _fitting(needs: Iterable[MicroUsd], room: int) -> Iterator[MicroUsd]:
    """Those that fit into the room together, in their order; one that does not is passed over."""
    for need in needs:
        if need <= room:
            room -= need
            yield need
