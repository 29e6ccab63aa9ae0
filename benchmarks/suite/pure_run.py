"""The core alone: `python -m benchmarks.suite.pure_run PLAN WORKERS`, decide and fold without any I/O.

Every attempt succeeds at once. Prints the CPU seconds of the preparation, of the decisions and of the fold as
JSON.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.ids import Branch, Commit, EventId, NodeId, RunId
from cli_multi_rapid.core.intents import FinishRun, StartAttempt
from cli_multi_rapid.core.node_events import NodeStarted, NodeSucceeded
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.run_events import PlanAccepted, RunStarted
from cli_multi_rapid.core.run_facts import facts_of
from cli_multi_rapid.core.scheduler import Limits, decide, prepare
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.planner.load import load_plan

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_RUN = RunId("pure")


class PureRun:
    """One run, whose workers need no time."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self._state = RunState(_RUN)
        self._limits = Limits(workers=workers)
        self._running: deque[NodeId] = deque()
        self.spent = {"prepare": 0.0, "decide": 0.0, "fold": 0.0}
        began = time.process_time()
        order, implied = prepare(plan)
        self.spent["prepare"] = time.process_time() - began
        self._fold([PlanAccepted(plan=plan, order=order, implied=implied, digest="", source="")])
        started = RunStarted(
            repository="",
            target=Branch("main"),
            base=Commit(""),
            pid=1,
            host="",
            workers=workers,
            budget=None,
        )
        self._fold([started])

    def run(self) -> None:
        """To the end."""
        while not self._step():
            if self._running:
                node = self._running.popleft()
                self._fold([NodeSucceeded(node_id=node, attempt=1)])

    def _step(self) -> bool:
        """Whether it is over."""
        began = time.process_time()
        intents = decide(self._state, self._limits, _NOW)
        self.spent["decide"] += time.process_time() - began
        for intent in intents:
            if isinstance(intent, FinishRun):
                return True
            if isinstance(intent, StartAttempt):
                self._running.append(intent.node_id)
                tool, reason = intent.tool, intent.reason
                start = NodeStarted(
                    node_id=intent.node_id, attempt=1, tool=tool, reason=reason, slot="", log=""
                )
                self._fold([start])
            else:
                self._fold(facts_of(intent, self._state.ledger))  # type: ignore[arg-type]  # nothing else comes here
        return False

    def _fold(self, facts: Iterable[Payload]) -> None:
        for fact in facts:
            seq = self._state.seq + 1
            event = Event(id=EventId(str(seq)), seq=seq, run_id=_RUN, time=_NOW, source="", data=fact)
            began = time.process_time()
            self._state.apply(event)
            self.spent["fold"] += time.process_time() - began


def main(plan: str, workers: str) -> None:
    """Run a plan file."""
    run = PureRun(load_plan(Path(plan)).plan, int(workers))
    run.run()
    sys.stdout.write(json.dumps(run.spent))


if __name__ == "__main__":
    main(*sys.argv[1:])
