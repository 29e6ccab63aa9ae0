"""The session of a tool that a node's next attempt goes on with, and what is booked for it already."""

from collections.abc import Sequence

from msgspec import Struct, field

from cli_multi_rapid.core.facts import Usage
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_state import Attempt, NodeState


class ToolSession(Struct, frozen=True, kw_only=True):
    """What an attempt goes on with. Without an id it begins anew."""

    id: str | None = None
    booked: Usage = field(default_factory=Usage)
    """As in `Brief.session_usage`."""


def next_session(node_state: NodeState, tool: ToolName) -> ToolSession:
    """The session for the attempt of a tool that is about to start.

    It is the one that the last attempt left, if the same tool tries again and the node was not reset. Work
    that is done again begins a new one: what was said before is about another base.
    """
    return _session_after(node_state.attempts, node_state.tries, tool)


def running_session(node_state: NodeState) -> ToolSession:
    """The session that the node's last attempt went on with when it started."""
    *earlier, last = node_state.attempts
    return _session_after(earlier, node_state.tries - 1, last.tool)


def _session_after(attempts: Sequence[Attempt], tries: int, tool: ToolName) -> ToolSession:
    last = attempts[-1] if tries > 0 else None
    if last is None or last.tool != tool or not last.session_id:
        return ToolSession()
    used = [attempt.usage for attempt in attempts if attempt.session_id == last.session_id]
    return ToolSession(id=last.session_id, booked=_booked(used))


def _booked(used: Sequence[Usage]) -> Usage:
    """What all attempts in a session have told and paid together, also what was assumed for them."""
    return Usage(
        cost=MicroUsd(sum(usage.cost for usage in used)),
        input_tokens=sum(usage.input_tokens for usage in used),
        output_tokens=sum(usage.output_tokens for usage in used),
        cached_tokens=sum(usage.cached_tokens for usage in used),
    )
