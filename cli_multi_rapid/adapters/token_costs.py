"""What the tokens of an agent cost: each model's by its own price, and only those of this attempt."""

from collections.abc import Iterable

from msgspec.structs import replace

from cli_multi_rapid.core.facts import UNKNOWN, Usage
from cli_multi_rapid.core.money import ZERO, MicroUsd
from cli_multi_rapid.core.prices import PriceTable
from cli_multi_rapid.ports import Brief


def priced(used: Iterable[Usage], prices: PriceTable) -> Usage:
    """The sum of what was used, of any number of models; it bears the name of the one with most tokens.

    A tool's own figure stays. Tokens of a model whose price is not known make the whole cost unknown.
    """
    by_model: dict[str | None, Usage] = {}
    for usage in used:
        before = by_model.get(usage.model)
        by_model[usage.model] = usage if before is None else _sum(before, usage)
    found = [_at_its_price(usage, prices) for usage in by_model.values()]
    main = max(found, key=lambda usage: usage.tokens, default=Usage())
    for usage in found:
        main = main if usage.model == main.model else _sum(main, usage)
    unknown = any(usage.unknown for usage in found)
    return replace(main, cost=ZERO, source=UNKNOWN) if unknown else main


def priced_in_session(
    used: Iterable[Usage], brief: Brief, session_id: str | None, prices: PriceTable
) -> Usage:
    """What this attempt used, of a tool that counts all turns of its session.

    `session_id`: the session that the tool says it had. What was booked for earlier attempts in it, told or
    assumed, is paid already.
    """
    told = priced(used, prices)
    goes_on = brief.session_id and (session_id or brief.session_id) == brief.session_id
    return _without(told, brief.session_usage) if goes_on else told


def _without(usage: Usage, earlier: Usage) -> Usage:
    left = replace(
        usage,
        cost=MicroUsd(max(0, usage.cost - earlier.cost)),
        input_tokens=max(0, usage.input_tokens - earlier.input_tokens),
        output_tokens=max(0, usage.output_tokens - earlier.output_tokens),
        cached_tokens=max(0, usage.cached_tokens - earlier.cached_tokens),
    )
    return left if left.tokens else replace(left, cost=ZERO, source="none")


def _at_its_price(usage: Usage, prices: PriceTable) -> Usage:
    if usage.source == "tool" or not usage.tokens:
        return usage
    price = prices.find(usage.model)
    if price is None:
        return replace(usage, source=UNKNOWN)
    cost = price.cost(
        input_tokens=usage.input_tokens, cached_tokens=usage.cached_tokens, output_tokens=usage.output_tokens
    )
    return replace(usage, cost=cost, source="prices")


def _sum(one: Usage, other: Usage) -> Usage:
    """Both, under the name and the source of the first."""
    return replace(
        one,
        cost=MicroUsd(one.cost + other.cost),
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
    )
