"""Which tools may do a node's work: the plan's with what stands in for it, or all that can do it."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.core.capabilities import capability
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.plan import Node, Prompt

AUTO: Final = ToolName("auto")
"""The tool of a node that leaves the choice open: by its `capabilities`, then price, then speed."""

ANSWERERS: Final = (ToolName("claude"), ToolName("codex"))
"""Agents whose own adapters can be asked for an answer by a schema: no work, nothing written."""

NAMED: Final = "named by the plan"
"""The reason of a choice that the plan has made."""


class ToolFacts(Struct, frozen=True, kw_only=True):
    """What decisions need to know of a tool."""

    price: Price
    fallback: tuple[ToolName, ...] = ()
    limit: int | None = None
    """How many attempts may use it at once."""
    agent: bool = False
    """It does prompts: others can stand in for it, and a breaker guards it."""
    described: bool = False
    """It stands in `config/tools.yaml`: it may be taken by a node that leaves the choice open."""
    capabilities: frozenset[str] = frozenset()
    """As `core.capabilities` spells them."""
    answers: bool = False
    """It can be asked for an answer by a schema, instead of work."""
    cost_hint: float | None = None
    """Relative price, for the choice between tools: less is cheaper."""


def is_agents_work(node: Node, tools: Mapping[ToolName, ToolFacts]) -> bool:
    """Whether a node is work for an agent, for which another can stand in."""
    facts = tools.get(node.tool)
    return isinstance(node.work, Prompt) and (node.tool == AUTO or facts is None or facts.agent)


def pool(node: Node, tools: Mapping[ToolName, ToolFacts]) -> tuple[ToolName, ...]:
    """Every tool that may do a node's work, in no order of merit when the choice is open."""
    if not is_agents_work(node, tools):
        return (node.tool,)
    if node.form is not None:
        return tuple(name for name in _done_by_agents(node, tools) if _answers(name, tools))
    return _done_by_agents(node, tools)


def _answers(tool: ToolName, tools: Mapping[ToolName, ToolFacts]) -> bool:
    facts = tools.get(tool)
    return facts is not None and facts.answers


def _done_by_agents(node: Node, tools: Mapping[ToolName, ToolFacts]) -> tuple[ToolName, ...]:
    if node.tool != AUTO:
        return chain(node.tool, tools)
    wanted = offered(node, tools)
    if node.capabilities and not wanted:
        return ()
    return tuple(name for name, facts in tools.items() if _is_open(facts) and wanted <= facts.capabilities)


def chain(tool: ToolName, tools: Mapping[ToolName, ToolFacts]) -> tuple[ToolName, ...]:
    """A tool and what stands in for it, followed through every fallback, each tool once."""
    found: dict[ToolName, None] = {tool: None}
    queue = [tool]
    while queue:
        facts = tools.get(queue.pop(0))
        for name in facts.fallback if facts else ():
            if name not in found:
                found[name] = None
                queue.append(name)
    return tuple(found)


def done_by(node: Node, tool: ToolName) -> Node:
    """The node as this tool does it. The node's model is one of its own tool's: another uses what it has."""
    return node if tool == node.tool else replace(node, tool=tool, model=None)


def offered(node: Node, tools: Mapping[ToolName, ToolFacts]) -> frozenset[str]:
    """The capabilities that a node asks for and any agent has; nobody waits for one that none has."""
    wanted = frozenset(map(capability, node.capabilities))
    return wanted & frozenset().union(*(facts.capabilities for facts in tools.values() if _is_open(facts)))


def _is_open(facts: ToolFacts) -> bool:
    return facts.agent and facts.described


def nobody_can(node: Node) -> str:
    """What is said of a node with an empty pool."""
    if node.form is not None:
        return f"{node.tool} cannot answer by a schema: a {node.form} needs claude or codex"
    names = ", ".join(f"`{name}`" for name in node.capabilities)
    return f"config/tools.yaml describes no agent{f' with {names}' if names else ''}"
