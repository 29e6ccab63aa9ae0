"""Appending events, beside SQLite alone."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.fold.figures import Cost, cost_of, median_of
from benchmarks.suite.ground import fresh_folder
from benchmarks.suite.peers import Peers
from benchmarks.suite.rows import Row, Scale, Table
from cli_multi_rapid.core.events import NewEvent
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Commit, NodeId, RunId, ToolName
from cli_multi_rapid.core.node_events import NodeBased, NodeStarted, NodeSucceeded
from cli_multi_rapid.store.database import Database
from cli_multi_rapid.store.sqlite import SqliteEventLog
from cli_multi_rapid.system import RandomIds

_NODES = 1000
_GOAL_TIMES = 2.0
_GOAL_NODE_MS = 0.2
_BASE = Commit("0" * 40)
_RUN = RunId("bench")


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """The three events of a node in one append, and one by one; raw SQLite writes the same columns."""
    nodes = 200 if scale.quick else _NODES
    events = [_events(number) for number in range(nodes)]
    ways: dict[str, Callable[[Path], None]] = {
        "raw sqlite3, 3 rows in a transaction": lambda path: _raw(path, events),
        "the log, 3 events in one append": lambda path: _ours(path, events),
        "raw sqlite3, a row in a transaction": lambda path: _raw(path, _singly(events)),
        "the log, an event in one append": lambda path: _ours(path, _singly(events)),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for _ in range(scale.rounds):
        for name, way in ways.items():
            costs[name].append(_once(way))
    found = {name: median_of(each) for name, each in costs.items()}
    rows = []
    beside = 0.0
    for name, cost in found.items():
        per_node = 1000 * cost.cpu_s / nodes
        if name.startswith("raw"):
            beside = cost.cpu_s
            rows.append(_row(name, cost, f"{per_node:.3f} ms a node", floor=True))
            continue
        times = cost.cpu_s / beside
        goal = f"CPU <= {_GOAL_TIMES:g} x raw, {_GOAL_NODE_MS:g} ms a node" if "3 events" in name else ""
        reached = (times <= _GOAL_TIMES and per_node <= _GOAL_NODE_MS * scale.pace) if goal else None
        figure = f"{per_node:.3f} ms a node, {times:.1f} x raw"
        rows.append(_row(name, cost, figure, goal=goal, reached=reached))
    return rows


def _row(
    what: str,
    cost: Cost,
    figure: str,
    *,
    goal: str = "",
    reached: bool | None = None,
    floor: bool = False,
) -> Row:
    return Row(
        what=what,
        cpu_s=cost.cpu_s,
        wall_s=cost.wall_s,
        figure=figure,
        goal=goal,
        reached=reached,
        floor=floor,
    )


def _once(way: Callable[[Path], None]) -> Cost:
    with fresh_folder() as folder:
        return cost_of(lambda: way(folder / "events.db"))


def _events(number: int) -> list[NewEvent]:
    """What a node that changes nothing leaves in the log."""
    node = NodeId(f"n{number}")
    facts: Sequence[Payload] = (
        NodeStarted(
            node_id=node, attempt=1, tool=ToolName("shell"), reason="its turn", slot=node, log=f"{node}.log"
        ),
        NodeBased(node_id=node, attempt=1, base=_BASE, tip=_BASE),
        NodeSucceeded(node_id=node, attempt=1, base=_BASE, duration_s=0.1),
    )
    ids, now = RandomIds(), datetime.now(UTC)
    return [NewEvent(id=ids.event_id(), time=now, source="bench", data=fact) for fact in facts]


def _singly(events: list[list[NewEvent]]) -> list[list[NewEvent]]:
    return [[event] for group in events for event in group]


def _ours(path: Path, groups: list[list[NewEvent]]) -> None:
    log, seq = SqliteEventLog(Database(path)), 0
    for group in groups:
        seq = log.append(_RUN, group, expected_seq=seq)[-1].seq
    log.close()


def _raw(path: Path, groups: list[list[NewEvent]]) -> None:
    """Ready columns of the same size; nothing is encoded, looked up or checked."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    columns = "run_id, seq, id UNIQUE, type, time, data, PRIMARY KEY (run_id, seq)"
    connection.execute(f"CREATE TABLE events ({columns}) WITHOUT ROWID")
    seq, data = 0, "x" * 150
    for group in groups:
        rows = [
            (_RUN, seq + place, event.id, "node.started", "now", data) for place, event in enumerate(group)
        ]
        seq += len(rows)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
    connection.close()


TABLE = Table(
    name="append",
    title="Appending events",
    about="The three events of a node that changes nothing (started, based, succeeded), in a file in "
    "memory, with the settings of the log. Raw SQLite writes ready columns of the same size.",
    growth="Constant per event: one B-tree insert, and one look at the stream's last place.",
    measure=measure,
)
