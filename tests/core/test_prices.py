"""What tokens cost: list prices, names of models, and rounding."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.money import MicroUsd, Price, parse_usd
from cli_multi_rapid.core.price_list import LIST_PRICES
from cli_multi_rapid.core.prices import ModelPrice, PriceTable

TABLE = PriceTable(LIST_PRICES)


def test_every_list_price_is_dated_has_a_source_and_makes_sense() -> None:
    assert len({price.model for price in LIST_PRICES}) == len(LIST_PRICES)
    for price in LIST_PRICES:
        assert price.as_of is not None
        assert price.as_of > date(2026, 1, 1)
        assert price.source.startswith("https://")
        assert 0 < price.cached_input < price.input < price.output


def test_a_model_is_found_without_its_provider_its_date_and_its_variant() -> None:
    for name in ("gpt-5-codex", "openai/gpt-5-codex", "GPT-5-Codex", "claude-opus-4-8[1m]", "o3-2025-04-16"):
        assert name in TABLE, name
    assert TABLE.find("openrouter/openai/gpt-4o-mini-2024-07-18") == TABLE.find("gpt-4o-mini")
    assert TABLE.find("claude-haiku-4-5-20251001") == TABLE.find("claude-haiku-4-5")


def test_a_model_that_only_begins_like_a_known_one_has_no_price() -> None:
    for name in ("gpt-5-codex-ultra", "gpt", "", None, "fake", "my/gpt-5-codex/variant"):
        assert TABLE.find(name) is None, name


def test_a_later_layer_replaces_a_price() -> None:
    mine = ModelPrice(model="GPT-5", input=MicroUsd(1), cached_input=MicroUsd(1), output=MicroUsd(1))
    assert PriceTable(LIST_PRICES, [mine]).find("gpt-5") == mine


def test_cached_input_costs_its_own_price_and_what_is_left_of_a_micro_dollar_is_charged() -> None:
    price = TABLE.find("gpt-5-codex")
    assert price is not None
    assert price.cost(input_tokens=2000, cached_tokens=400, output_tokens=200) == 4050
    assert price.cost(input_tokens=1, cached_tokens=1, output_tokens=0) == 1
    assert price.cost(input_tokens=0, cached_tokens=0, output_tokens=0) == 0
    assert price.cost(input_tokens=8, cached_tokens=80, output_tokens=0) == 1, "only input can be cached"


@given(fresh=st.integers(0, 10**9), cached=st.integers(0, 10**9), answered=st.integers(0, 10**9))
def test_a_cost_is_never_understated_and_never_a_micro_dollar_too_high(
    fresh: int, cached: int, answered: int
) -> None:
    price = ModelPrice(
        model="m", input=parse_usd("1.25"), cached_input=parse_usd("0.125"), output=parse_usd("10")
    )
    cost = price.cost(input_tokens=fresh + cached, cached_tokens=cached, output_tokens=answered)
    exact = fresh * 1_250_000 + cached * 125_000 + answered * 10_000_000
    assert exact <= cost * 1_000_000 < exact + 1_000_000


def test_a_metered_tool_has_a_known_price_for_known_models_only() -> None:
    price = Price(models=TABLE)
    assert price.known_for("gpt-5")
    assert not price.known_for("house-model")
    assert not price.known_for(None)
    assert Price(models=TABLE, model="gpt-5").known_for(None)
    assert not Price(models=TABLE, model="gpt-5").known_for("house-model")
    assert Price(known=True).known_for("anything")
    assert not Price(known=False).known_for("gpt-5")
