"""`prices:` of a tool in `config/tools.yaml`: what its models cost here."""

from datetime import date
from typing import Final

from cli_multi_rapid.core.prices import ModelPrice
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.nodes import name_of
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.source import quoted

PRICE_KEYS: Final = keys("model input cached_input output as_of source")


def read_prices(fields: Fields) -> tuple[ModelPrice, ...]:
    """The prices of a tool, in dollars for a million tokens; a cache gives no discount unless it says so."""
    found: dict[str, ModelPrice] = {}
    for position, value in enumerate(fields.items("prices", "a list of prices"), 1):
        what = f"{name_of('price', value, position, key='model')} of {fields.what}"
        price = open_table(fields.reading, value, PRICE_KEYS, what)
        if price is None:
            continue
        for key in ("model", "input", "output"):
            if not price.has(key):
                price.missing(key, "write {model: my-model, input: 1.25, cached_input: 0.125, output: 10}")
        model, fresh, answer = price.string("model"), price.amount("input"), price.amount("output")
        cached = price.amount("cached_input")
        if not model or fresh is None or answer is None:
            continue
        found[model] = ModelPrice(
            model=model,
            input=fresh,
            cached_input=fresh if cached is None else cached,
            output=answer,
            as_of=_read_date(price),
            source=price.string("source"),
        )
    return tuple(found.values())


def _read_date(price: Fields) -> date | None:
    text = price.text("as_of")
    if text is None:
        return None
    try:
        return date.fromisoformat(text.text)
    except ValueError:
        message = f"{price.name_of('as_of')} is no date: {quoted(text.text)}"
        price.reading.report(Code.BAD_VALUE, text.at, message, suggestion="write it as 2026-11-28")
        return None
