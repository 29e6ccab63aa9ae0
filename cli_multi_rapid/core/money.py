"""Money as integer micro-dollars: sums are exact, so that a ledger adds up to the last digit."""

from collections.abc import Container, Sequence
from decimal import Decimal, InvalidOperation
from typing import NewType

from msgspec import Struct

MicroUsd = NewType("MicroUsd", int)
"""A millionth of a US dollar."""

ZERO = MicroUsd(0)
_MICROS = Decimal(1_000_000)
_LARGEST_USD = Decimal(1_000_000_000)


class Price(Struct, frozen=True, kw_only=True):
    """What is known of a tool's price before it runs."""

    free: bool = False
    known: bool = True
    """False: the tool's cost cannot be told, not even afterwards."""
    typical: MicroUsd | None = None
    """From history or configuration."""
    models: Container[str] | None = None
    """The models whose price is known, for a tool that tells only its tokens; None: `known` says it all."""
    model: str | None = None
    """What the tool uses when a node names no model."""

    def known_for(self, model: str | None) -> bool:
        """Whether it will be known what an attempt with this model cost. None: the tool's own choice."""
        if self.models is None:
            return self.known
        name = model or self.model
        return name is not None and name in self.models


def dearest(prices: Sequence[Price]) -> Price:
    """What is known of a price that may be any of these: as little as of the least known."""
    amounts = [ZERO if price.free else price.typical for price in prices]
    known = [amount for amount in amounts if amount is not None]
    return Price(
        free=bool(prices) and all(price.free for price in prices),
        known=all(price.known for price in prices),
        typical=max(known) if known and len(known) == len(amounts) else None,
    )


def parse_usd(value: int | float | str | Decimal) -> MicroUsd:
    """Turn dollars as people write them into micro-dollars, rounded half-even to the micro.

    Raises `ValueError` for what is no finite amount between 0 and a billion dollars.
    """
    try:
        amount = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount in dollars") from None
    if not amount.is_finite() or amount < 0 or amount > _LARGEST_USD:
        raise ValueError(f"{value!r} is not an amount between 0 and 1,000,000,000 dollars")
    return MicroUsd(int((amount * _MICROS).to_integral_value()))


def to_usd(amount: MicroUsd) -> float:
    """Dollars as a number for JSON documents; exact for every sum a report can hold."""
    return amount / 1_000_000


def format_usd(amount: MicroUsd) -> str:
    """`$1.50`, and up to six digits when cents do not tell the whole amount."""
    sign, micros = ("-", -amount) if amount < 0 else ("", amount)
    dollars, rest = divmod(micros, 1_000_000)
    digits = f"{rest:06d}"
    return f"{sign}${dollars}.{digits[:2]}{digits[2:].rstrip('0')}"
