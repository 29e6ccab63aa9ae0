"""What the scheduler must know of every tool, from its adapter and its description."""

from collections.abc import Mapping
from functools import partial

from cli_multi_rapid.adapters.registry import adapters
from cli_multi_rapid.core.built_in_tools import BUILT_IN_TOOLS, VERIFY
from cli_multi_rapid.core.capabilities import capabilities
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.price_list import LIST_PRICES
from cli_multi_rapid.core.prices import PriceTable
from cli_multi_rapid.core.routing import ANSWERERS, ToolFacts
from cli_multi_rapid.on_demand import OnDemand
from cli_multi_rapid.ports import Adapter, CostClass
from cli_multi_rapid.schema.settings import Settings
from cli_multi_rapid.schema.tools import ToolConfig


def tool_facts(settings: Settings, tools: tuple[ToolConfig, ...]) -> Mapping[ToolName, ToolFacts]:
    """What the scheduler must know of every tool; of each when it is first asked for."""
    available = adapters(tools)
    described = {tool.name: tool for tool in tools}

    def facts_of(name: ToolName) -> ToolFacts:
        return _facts_of(name, available.get(name), described.get(name), settings.tool_limits.get(name))

    makers = {name: partial(facts_of, name) for name in (*available, *described)}
    return OnDemand({VERIFY: lambda: ToolFacts(price=Price(free=True)), **makers})


def _facts_of(
    name: ToolName, adapter: Adapter | None, config: ToolConfig | None, limit: int | None
) -> ToolFacts:
    """`adapter` is None for a tool that is described but cannot be driven."""
    price = Price()
    if adapter is not None:
        price = Price(
            free=adapter.cost is CostClass.FREE,
            known=adapter.cost is not CostClass.UNPRICED,
            typical=config.typical_cost if config else None,
            models=_priced_models(config) if adapter.cost is CostClass.METERED else None,
            model=config.model if config else None,
        )
    return ToolFacts(
        price=price,
        fallback=config.fallback if config else (),
        limit=limit if adapter is not None else None,
        agent=name not in BUILT_IN_TOOLS,
        described=config is not None,
        capabilities=capabilities(config.capabilities if config else ()),
        answers=name in ANSWERERS and not (config and config.argv),
        cost_hint=config.cost_hint if config else None,
    )


def _priced_models(config: ToolConfig | None) -> PriceTable:
    """The models of a tool whose cost can be told from its tokens."""
    return PriceTable(LIST_PRICES, config.prices if config else ())
