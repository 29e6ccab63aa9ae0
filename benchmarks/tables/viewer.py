"""From an event in the log to those who watch."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.own_command import ROOT
from benchmarks.queue_sim.results import percentile
from benchmarks.suite import watchers
from benchmarks.suite.ground import fresh_folder
from benchmarks.suite.peers import Peers
from benchmarks.suite.price import DidNotRun, Price, environment, price_of
from benchmarks.suite.rows import Row, Scale, Table
from cli_multi_rapid.core.events import NewEvent
from cli_multi_rapid.core.facts import Payload, RunStatus
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.node_events import NodeSkipped
from cli_multi_rapid.core.run_events import RunFinished
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.wiring import Records, open_records

_GOAL_MS = 50.0
_PROCESSES = 5
_PAUSE_S = 0.05
_PATIENCE_S = 60.0
_RUN = RunId("watched")


def measure(scale: Scale, _peers: Peers) -> list[Row]:
    """One viewer, ten, and fifty."""
    return [_with(count, 20 if scale.quick else 100) for count in (1, 10, 50)]


def _with(viewers: int, events: int) -> Row:
    processes = min(viewers, _PROCESSES)
    with fresh_folder() as folder, open_records(Home(root=folder), create=True) as records:
        lease = records.leases.acquire(_RUN)  # viewers leave a run that nobody drives
        with ThreadPoolExecutor(processes) as pool:
            started = [pool.submit(_watch, folder, viewers // processes) for _ in range(processes)]
            _await_listeners(folder, viewers)
            began = time.process_time()
            for number in range(events):
                _say(records, NodeSkipped(node_id=NodeId(f"n{number}"), reason="bench"))
                time.sleep(_PAUSE_S)  # a pace, not a synchronisation: viewers are to meet single events
            writing_s = time.process_time() - began
            _say(records, RunFinished(status=RunStatus.SUCCESS, exit_code=0, reason="done"))
            delays = [delay for one in started for delay in json.loads(one.result().out)]
        if lease is not None:
            lease.release()
    p95 = percentile(delays, 95)
    return Row(
        what=f"{viewers} {'viewer' if viewers == 1 else 'viewers'}, an event every {1000 * _PAUSE_S:g} ms",
        cpu_s=writing_s / events,
        figure=f"p50 {percentile(delays, 50):.1f} ms, p95 {p95:.1f} ms; {len(delays)} arrivals",
        goal=f"p95 <= {_GOAL_MS:g} ms" if viewers == 50 else "",
        reached=p95 <= _GOAL_MS if viewers == 50 else None,
        note="CPU: of the writer for each event",
        rounds=1,
        curve="the writer's CPU for an event",
        at=float(viewers),
    )


def _watch(home: Path, count: int) -> Price:
    argv = [sys.executable, "-m", watchers.__name__, str(home), _RUN, str(count)]
    return price_of(argv, cwd=home, env=environment(home, PYTHONPATH=str(ROOT)))


def _await_listeners(home: Path, count: int) -> None:
    """Every viewer has bound its socket. Raises `DidNotRun` when they do not come."""
    deadline = time.monotonic() + _PATIENCE_S
    while len(list((Home(root=home).state / "bus").glob("*.sock"))) < count:
        if time.monotonic() > deadline:
            raise DidNotRun(f"not all of {count} viewers came within {_PATIENCE_S:g} s")
        time.sleep(0.01)


def _say(records: Records, fact: Payload) -> None:
    event = NewEvent(id=records.ids.event_id(), time=datetime.now(UTC), source="bench", data=fact)
    records.log.append(_RUN, [event], expected_seq=None)
    records.bus.hint(_RUN)


TABLE = Table(
    name="viewer",
    title="From an event to its viewers",
    about="A writer appends single events; viewers in five processes follow the log as `events -f` does, "
    "each woken by a datagram. Milliseconds from the event's own time to its arrival, all viewers "
    "together.",
    growth="Linear in the viewers: one datagram for each, sent by the writer, and one read of the log by "
    "each.",
    across="viewers",
    measure=measure,
)
