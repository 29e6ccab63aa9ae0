"""Money in reports: what is known, what is assumed, and what nobody can tell."""

from collections.abc import Iterable, Iterator
from typing import Final

from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.money import MicroUsd, to_usd
from cli_multi_rapid.reports.document import ASSUMED_WORDS, CostSummary

UNKNOWN_WORDS: Final = "a cost that is not known, which is not in this sum"


def known_usd(usages: Iterable[Usage]) -> float | None:
    """What the usages cost in dollars, as far as it is known; None when it is not known at all."""
    seen = list(usages)
    total = MicroUsd(sum(usage.cost for usage in seen))
    if not total and any(usage.unknown for usage in seen):
        return None
    return round(to_usd(total), 6)


def dollars(amount: float | None, digits: int = 2) -> str:
    """An amount for people."""
    return "cost unknown" if amount is None else f"${amount:.{digits}f}"


def cost_notes(cost: CostSummary) -> Iterator[str]:
    """What has to be said beside the sum."""
    if cost["assumed_usd"]:
        yield f"${cost['assumed_usd']:.2f} of it {ASSUMED_WORDS}"
    if cost["unknown_attempts"]:
        yield f"{attempts_with_unknown(cost['unknown_attempts'])} {UNKNOWN_WORDS}"


def attempts_with_unknown(count: int) -> str:
    """`2 attempts have`, to be followed by what they have."""
    return "1 attempt has" if count == 1 else f"{count} attempts have"
