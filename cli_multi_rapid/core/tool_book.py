"""What a run's events say of its tools: how they answered last, and their breakers."""

from msgspec import Struct, field

from cli_multi_rapid.core.breaker import Breaker
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeReset, NodeStarted, NodeSucceeded
from cli_multi_rapid.core.tool_events import BreakerClosed, BreakerOpened, ToolPinged


class ToolBook(Struct):
    """A part of the fold of a run. Read it, and change it only through `apply`."""

    pings: dict[ToolName, ToolPinged] = field(default_factory=dict)
    breakers: dict[ToolName, Breaker] = field(default_factory=dict)
    _busy: dict[NodeId, ToolName] = field(default_factory=dict)

    def breaker(self, tool: ToolName) -> Breaker:
        """The breaker of a tool; one that nothing is known of is closed."""
        return self.breakers.get(tool) or Breaker()

    def apply(self, event: Event) -> None:
        """Fold one event; most say nothing of tools."""
        data = event.data
        match data:
            case NodeStarted():
                self._busy[data.node_id] = data.tool
                self.breakers.setdefault(data.tool, Breaker()).begin(data.node_id)
            case NodeSucceeded():
                self.breakers[self._busy.pop(data.node_id)].end(data.node_id, None, "")
            case NodeAttemptFailed():
                tool = self._busy.pop(data.node_id)
                self.breakers[tool].end(data.node_id, data.failure, data.reason)
            case NodeReset():
                # A person who asks again has mended something: they need not wait for the trial.
                for breaker in self.breakers.values():
                    if breaker.ready_at is not None:
                        breaker.ready_at = min(breaker.ready_at, event.time)
            case ToolPinged():
                self.pings[data.tool] = data
            case BreakerOpened():
                self.breakers.setdefault(data.tool, Breaker()).open(data)
            case BreakerClosed():
                self.breakers.setdefault(data.tool, Breaker()).close()
            case _:
                pass
