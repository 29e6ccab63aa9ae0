"""How long a node waits that could start: from the end of its last dependency to its own start, by the
events."""

from collections.abc import Sequence
from datetime import datetime

from benchmarks.queue_sim.results import percentile
from benchmarks.suite.ground import fresh_repository, layers, shell_node, write_plan
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import own_price
from benchmarks.suite.rows import Row, Scale, Table
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_events import NodeStarted, NodeSucceeded
from cli_multi_rapid.wiring import find_home, open_records

_GOAL_MS = 50.0
_WIDTH = 4


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """Several runs with more workers than nodes of a layer: only the loop is between end and start."""
    graph = layers(20 if scale.quick else 60, _WIDTH)
    delays_ms: list[float] = []
    for _ in range(scale.rounds):
        with fresh_repository() as made:
            # Unequal durations: with equal ones a barrier between the layers would not show.
            nodes = [
                shell_node(name, f"sleep 0.{1 + place % _WIDTH}", deps=deps)
                for place, (name, deps) in enumerate(graph.items())
            ]
            plan = write_plan(made.path.parent / "plan.json", nodes, check=None)
            own_price(made.path, "execute", str(plan), "--yes", "--workers", str(2 * _WIDTH))
            with open_records(find_home(made.path)) as records:
                delays_ms += waits_ms(records.log.read(records.latest_run()), graph)
    p95 = percentile(delays_ms, 95)
    return [
        Row(
            what=f"{len(graph)} nodes in layers of {_WIDTH}, {2 * _WIDTH} workers",
            figure=f"p50 {percentile(delays_ms, 50):.1f} ms, p95 {p95:.1f} ms, most {max(delays_ms):.0f} ms",
            goal=f"p95 <= {_GOAL_MS:g} ms",
            reached=p95 <= _GOAL_MS,
            rounds=scale.rounds,
        )
    ]


def waits_ms(events: Sequence[Event], graph: dict[str, tuple[str, ...]]) -> list[float]:
    """For each node with dependencies: its start after the last of their ends."""
    started: dict[NodeId, datetime] = {}
    ended: dict[NodeId, datetime] = {}
    for event in events:
        if isinstance(event.data, NodeStarted):
            started.setdefault(event.data.node_id, event.time)
        elif isinstance(event.data, NodeSucceeded):
            ended[event.data.node_id] = event.time
    return [
        1000 * (started[NodeId(name)] - max(ended[NodeId(dep)] for dep in deps)).total_seconds()
        for name, deps in graph.items()
        if deps
    ]


TABLE = Table(
    name="ready",
    title="From ready to started",
    about="Layers of four, each node after two of the layer before, with unequal durations. The time from "
    "the event that ended the last dependency to the event that started the node.",
    growth="Constant: the end of an attempt wakes the loop, which appends, decides and appends.",
    measure=measure,
)
