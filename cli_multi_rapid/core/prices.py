"""What models cost, by their tokens: a dated table, and the cost that follows from it."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.money import MicroUsd

_PER: Final = 1_000_000
"""Prices are for so many tokens."""
_DATED: Final = r"-(?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})$"
_VARIANT: Final = r"\[[^\]]*\]$"
"""Such as `[1m]`, which claude puts behind a model with a long context."""


class ModelPrice(Struct, frozen=True, kw_only=True):
    """The list price of a model: micro-dollars for a million tokens."""

    model: str
    input: MicroUsd
    cached_input: MicroUsd
    """For input that the provider had in its cache."""
    output: MicroUsd
    """Reasoning is output."""
    as_of: date | None = None
    """When the price was looked up; None: its owner did not say."""
    source: str = ""

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> MicroUsd:
        """What so many tokens cost, rounded up to the micro-dollar: a ledger must not understate.

        `cached_tokens` are a part of `input_tokens`.
        """
        cached = min(cached_tokens, input_tokens)
        total = (
            (input_tokens - cached) * self.input + cached * self.cached_input + output_tokens * self.output
        )
        return MicroUsd(-(-total // _PER))


class PriceTable:
    """The prices that are known, by model. `model in table` says whether one is."""

    __slots__ = ("_prices",)

    def __init__(self, *layers: Iterable[ModelPrice]) -> None:
        """A price of a later layer takes the place of an earlier one's."""
        self._prices = {price.model.lower(): price for layer in layers for price in layer}

    def find(self, model: str | None) -> ModelPrice | None:
        """The price of a model, by its exact name or else by the name without provider, date or variant."""
        if not model:
            return None
        exact = model.strip().lower()
        bare = re.sub(_VARIANT, "", exact)
        last = bare.rpartition("/")[2]
        names = (exact, bare, last, re.sub(_DATED, "", bare), re.sub(_DATED, "", last))
        return next((self._prices[name] for name in names if name in self._prices), None)

    def __contains__(self, model: object) -> bool:
        return isinstance(model, str) and self.find(model) is not None
