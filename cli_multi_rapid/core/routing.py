"""Which tool does a node's work."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Prompt


class ToolFacts(Struct, frozen=True, kw_only=True):
    """What decisions need to know of a tool."""

    price: Price
    fallback: tuple[ToolName, ...] = ()
    limit: int | None = None
    """How many attempts may use it at once."""


class Choice(Struct, frozen=True, kw_only=True):
    """A tool and why it was taken."""

    tool: ToolName
    reason: str


def choose(state: NodeState) -> Choice:
    """The tool for the next attempt: the plan's, unless the fallback chain has moved on."""
    if state.next_tool is not None and state.next_tool != state.node.tool:
        return Choice(tool=state.next_tool, reason=f"fallback of {state.node.tool}")
    return Choice(tool=state.node.tool, reason="named by the plan")


def next_fallback(state: NodeState, tools: Mapping[ToolName, ToolFacts]) -> ToolName | None:
    """The first tool of the chain that this node has not tried; only agents can stand in for each other."""
    if not isinstance(state.node.work, Prompt):
        return None
    tried = {attempt.tool for attempt in state.attempts[len(state.attempts) - state.tries :]}
    return _first_untried(chain(state.node.tool, tools), tried)


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


def _first_untried(names: Sequence[ToolName], tried: Collection[ToolName]) -> ToolName | None:
    return next((name for name in names if name not in tried), None)
