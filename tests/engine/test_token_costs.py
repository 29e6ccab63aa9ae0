"""What tokens cost when an agent uses several models: each at its own price, unknown when one has none."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.adapters.registry import adapters
from cli_multi_rapid.adapters.token_costs import priced, priced_in_session
from cli_multi_rapid.core.facts import UNKNOWN, Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd, parse_usd
from cli_multi_rapid.core.prices import ModelPrice, PriceTable
from cli_multi_rapid.ports import Brief
from cli_multi_rapid.schema.tools import ToolConfig
from tests.contract.adapter_world import AdapterWorld, with_model


def price(model: str, dollars: str) -> ModelPrice:
    """The same for a million tokens of any kind."""
    each = parse_usd(dollars)
    return ModelPrice(model=model, input=each, cached_input=each, output=each)


PRICES = (price("small", "1"), price("large", "100"))


def used(model: str, sent: int, answered: int = 0) -> Usage:
    return Usage(input_tokens=sent, output_tokens=answered, model=model)


def test_each_model_is_paid_at_its_own_price_and_the_sum_bears_the_name_of_the_busiest() -> None:
    found = priced([used("large", 100), used("small", 1000, 10), used("large", 1)], PriceTable(PRICES))
    told = Usage(
        cost=MicroUsd(10_100 + 1010), input_tokens=1101, output_tokens=10, model="small", source="prices"
    )
    assert found == told


def test_tokens_of_a_model_without_a_price_make_the_cost_unknown_and_a_silent_model_does_not() -> None:
    table = PriceTable(PRICES)
    found = priced([used("small", 1000), used("house", 1)], table)
    assert (found.tokens, found.cost, found.source) == (1001, 0, UNKNOWN)
    assert priced([used("small", 1000), used("house", 0)], table).source == "prices"
    assert priced([], table) == Usage()


def test_a_figure_of_the_tool_itself_stays() -> None:
    own = Usage(cost=MicroUsd(7), input_tokens=1000, model="large", source="tool")
    assert priced([own], PriceTable(PRICES)) == own


@pytest.fixture
def brief(tmp_path: Path) -> Brief:
    # The model that was asked for has a price; what was used beside it is paid at its own.
    return with_model(AdapterWorld(tmp_path, tmp_path).brief(), "small")


def test_what_a_session_had_cost_before_is_not_paid_again(brief: Brief) -> None:
    table = PriceTable(PRICES)
    first, both = [used("small", 1000)], [used("small", 1000), used("large", 10)]
    resumed = replace(brief, session_id="s", session_usage=priced(first, table))
    left = priced_in_session(both, resumed, "s", table)
    assert (left.tokens, left.cost, left.source) == (10, 1000, "prices")
    nothing = priced_in_session(first, resumed, None, table)
    assert (nothing.tokens, nothing.cost, nothing.source) == (0, 0, "none")
    assert priced_in_session(both, resumed, "another", table) == priced(both, table)


def usage_of(tool: str, models: dict[str, int], brief: Brief) -> Usage:
    """As the tool tells so many tokens of each model."""
    adapter = adapters([ToolConfig(name=ToolName(tool), prices=PRICES)])[ToolName(tool)]
    if tool == "gemini":
        stats = {"models": {name: {"tokens": {"prompt": count}} for name, count in models.items()}}
        document: object = {"session_id": "s", "response": "done", "stats": stats}
    elif tool == "copilot":
        metrics = {name: {"usage": {"inputTokens": count}} for name, count in models.items()}
        (brief.temp / "copilot-usage.json").write_text(json.dumps({"modelMetrics": metrics}))
        document = {"type": "result", "sessionId": "s", "exitCode": 0}
    else:
        answers = [
            {
                "type": "assistant",
                "message": {"id": name, "model": name, "usage": {"input_tokens": count}},
            }
            for name, count in models.items()
        ]
        init = {"type": "system", "subtype": "init", "model": "small", "session_id": "s"}
        return adapter.read("\n".join(map(json.dumps, (init, *answers))).encode(), None, brief).usage
    return adapter.read(json.dumps(document).encode(), 0, brief).usage


@pytest.mark.parametrize("tool", ["gemini", "copilot", "claude"])
def test_an_agent_that_uses_several_models_is_charged_for_each(tool: str, brief: Brief) -> None:
    found = usage_of(tool, {"small": 1000, "large": 10}, brief)
    assert (found.cost, found.source, found.model, found.tokens) == (2000, "prices", "small", 1010)
    assert usage_of(tool, {"small": 1000, "house": 10}, brief).unknown
