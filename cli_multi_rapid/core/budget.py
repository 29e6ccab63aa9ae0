"""Whether a node may start, given the money: reserved before, settled after, never overrun by a start."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.ledger import Ledger
from cli_multi_rapid.core.money import ZERO, MicroUsd, Price, format_usd
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.run_events import UNPRICED

DEFAULT_NODE_LIMIT = MicroUsd(2_000_000)
"""What a node may cost when it names no `max_cost` of its own."""


class BudgetRules(Struct, frozen=True, kw_only=True):
    """Limits beside the run's own. Percentages are of the run's limit."""

    warn_pct: float = 80.0
    halt_pct: float = 95.0
    node_limit: MicroUsd = DEFAULT_NODE_LIMIT
    day_limit: MicroUsd | None = None
    day_spent: MicroUsd = ZERO
    """What other runs of today have spent."""
    allow_unpriced: bool = False


class Fits(Struct, frozen=True, kw_only=True):
    """The node may start once this amount is set aside."""

    amount: MicroUsd
    source: str


class NotNow(Struct, frozen=True, kw_only=True):
    """It would fit if what running nodes may still spend is not needed after all."""


class CannotFit(Struct, frozen=True, kw_only=True):
    """The node must not start."""

    needed: MicroUsd
    available: MicroUsd
    limit_name: str
    reason: str


def cap_of(node: Node, rules: BudgetRules, node_spent: MicroUsd = ZERO) -> MicroUsd:
    """The most that one attempt may cost.

    What the attempts before it have left of `max_cost`; without one, the larger of the estimate and the
    default, for each attempt anew.
    """
    if node.max_cost is not None:
        return MicroUsd(max(0, node.max_cost - node_spent))
    return MicroUsd(max(node.est_cost or ZERO, rules.node_limit))


def room_for(ledger: Ledger, rules: BudgetRules) -> MicroUsd | None:
    """What no running attempt may spend of what the run and the day have left; None without such a limit."""
    left = [limit - spent for _, limit, spent in _shared_limits(ledger, rules)]
    return MicroUsd(max(0, min(left) - ledger.reserved - ledger.lent)) if left else None


def reservation(node: Node, price: Price, rules: BudgetRules) -> Fits:
    """What is set aside for an attempt, and where the figure comes from."""
    if node.est_cost is not None:
        return Fits(amount=node.est_cost, source="est_cost")
    if node.max_cost is not None:
        return Fits(amount=node.max_cost, source="max_cost")
    if price.free:
        return Fits(amount=ZERO, source="free")
    if price.typical is not None:
        return Fits(amount=price.typical, source="typical")
    return Fits(amount=rules.node_limit, source="config")


def fit(
    node: Node, price: Price, ledger: Ledger, rules: BudgetRules, node_spent: MicroUsd = ZERO
) -> Fits | NotNow | CannotFit:
    """Hold a node against every limit: its own, the run's and the day's.

    `node_spent`: by its attempts so far. A further one goes on where they ended: what they left of `max_cost`
    is enough to start it.
    """
    want = reservation(node, price, rules)
    if not price.known_for(node.model) and not rules.allow_unpriced and _is_capped(node, ledger, rules):
        return CannotFit(
            needed=want.amount,
            available=ledger.available or ZERO,
            limit_name=UNPRICED,
            reason=_unpriced(node, price),
        )
    if node.max_cost is not None and want.amount > node.max_cost:
        return _refusal(want.amount, node.max_cost, node.max_cost, "node")
    if want.amount == ZERO:
        return want
    if node.max_cost is not None and node_spent:
        own = cap_of(node, rules, node_spent)
        if own == ZERO:
            return _refusal(want.amount, own, node.max_cost, "node")
        want = replace(want, amount=min(want.amount, own))
    for name, limit, spent in _shared_limits(ledger, rules):
        left = MicroUsd(max(0, limit - spent))
        if want.amount > left:
            return _refusal(want.amount, left, limit, name)
        if name == "run" and has_spent(ledger, rules.halt_pct):
            used = f"{format_usd(spent)} of the run's {format_usd(limit)} is spent"
            reason = f"{used}: beyond {rules.halt_pct:g} % no paid node starts"
            return CannotFit(needed=want.amount, available=left, limit_name=name, reason=reason)
        if want.amount + ledger.reserved + ledger.lent > left:
            return NotNow()
    return want


def _unpriced(node: Node, price: Price) -> str:
    """Why no limit can be kept, and the ways out."""
    anyway = "--allow-unpriced runs it anyway"
    if price.models is None:
        return f"its price is unknown, so no limit can be kept; {anyway}"
    model = node.model or price.model
    if model is None:
        return (
            f"no model is named for {node.tool}, so its price is unknown and no limit can be kept: "
            f"set `model:` in config/tools.yaml, or in the node that names the tool; {anyway}"
        )
    return (
        f"the price of its model {model} is unknown, so no limit can be kept: "
        f"add it to `prices:` of {node.tool} in config/tools.yaml; {anyway}"
    )


def _is_capped(node: Node, ledger: Ledger, rules: BudgetRules) -> bool:
    return ledger.limit is not None or rules.day_limit is not None or node.max_cost is not None


def _shared_limits(ledger: Ledger, rules: BudgetRules) -> Iterator[tuple[str, MicroUsd, MicroUsd]]:
    """Name, limit and what is spent of it, for each limit that nodes share."""
    if ledger.limit is not None:
        yield "run", ledger.limit, ledger.spent
    if rules.day_limit is not None:
        yield "day", rules.day_limit, MicroUsd(rules.day_spent + ledger.spent)


def has_spent(ledger: Ledger, percent: float) -> bool:
    """Whether more than this part of the run's limit is spent. False without a limit."""
    return bool(ledger.limit) and ledger.spent * 100 > (ledger.limit or 0) * percent


def percent_spent(ledger: Ledger) -> int:
    """How much of the limit is spent, in whole per cent; 0 without a limit."""
    if not ledger.limit:
        return 0
    return ledger.spent * 100 // ledger.limit


def _refusal(needed: MicroUsd, available: MicroUsd, limit: MicroUsd, name: str) -> CannotFit:
    left = f"{format_usd(available)} of the {name}'s {format_usd(limit)} is left"
    return CannotFit(
        needed=needed,
        available=available,
        limit_name=name,
        reason=f"needs {format_usd(needed)}; {left}",
    )
