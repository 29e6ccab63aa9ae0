"""The loop of one run: read, decide, act, wait. The only thread that appends to the run's stream."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from cli_multi_rapid.core import scheduler
from cli_multi_rapid.core.confinement import Confinement
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.facts import Payload, RunStatus
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.intents import (
    AmendPlan,
    Enqueue,
    FinishRun,
    Intent,
    StartAttempt,
    StopAttempt,
    WakeAt,
    Withdraw,
)
from cli_multi_rapid.core.merge_events import MergeLanded
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.core.run_events import BudgetReserved, RunFinished
from cli_multi_rapid.core.run_facts import facts_of
from cli_multi_rapid.core.scheduler import Limits
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.commands import answer_commands
from cli_multi_rapid.engine.dispatcher import Dispatcher
from cli_multi_rapid.engine.inbox import AttemptEnded, CheckEnded, Hint, Inbox, Interrupted, Message
from cli_multi_rapid.engine.journal import Journal
from cli_multi_rapid.engine.lanes import Lanes
from cli_multi_rapid.engine.merge_queue import MergeQueue
from cli_multi_rapid.engine.orders import OrderBook
from cli_multi_rapid.ports import Clock

_NET_S = 2.0
"""How long the loop sleeps at most: hints are lossy, and a lease may become free."""


class Hands(Struct, frozen=True, kw_only=True):
    """What the loop acts with."""

    queue: MergeQueue
    dispatcher: Dispatcher
    orders: OrderBook
    lanes: Lanes
    inbox: Inbox
    clock: Clock


class RunLoop:
    """Drives a run from where its events stand until it comes to rest."""

    def __init__(self, journal: Journal[RunState], hands: Hands, limits: Callable[[], Limits]) -> None:
        self._journal = journal
        self._hands = hands
        self._limits = limits
        self._signal: str | None = None
        self._fault: EnvironmentFault | None = None
        self._wake: datetime | None = None

    @property
    def state(self) -> RunState:
        """The folded stream of the run."""
        return self._journal.state

    def run(self) -> RunFinished:
        """Work until the run is finished, waits for a person, or is interrupted.

        Raises `EnvironmentFault` for a fault of the machine, when all that was under way has ended.
        """
        while True:
            self._journal.catch_up()
            if self._fault is None:
                self._hands.queue.step()
            self._mirror()
            if self.state.unanswered():
                # Only now: what is said about a landing must find the entry that it is about.
                answer_commands(self._journal, self._hands.queue)
                continue
            finished = self._advance()
            if finished is not None:
                return finished

    def _advance(self) -> RunFinished | None:
        """Act on what follows from the state; wait when nothing does."""
        stopping = self._signal is not None or self._fault is not None
        if stopping and not self._hands.dispatcher.busy:
            if self._fault is not None:
                raise self._fault
            reason = f"interrupted by {self._signal}"
            return self._finish(FinishRun(status=RunStatus.CANCELLED, exit_code=130, reason=reason))
        intents = [] if stopping else scheduler.decide(self.state, self._limits(), self._now())
        self._wake = None
        acted = False
        for intent in intents:
            if isinstance(intent, FinishRun | AmendPlan) and self._hands.queue.owes_answers:
                break  # what the queue does then may concern this run
            if isinstance(intent, FinishRun):
                return self._finish(intent)
            acted = self._act(intent) or acted
        for message in self._hands.inbox.wait(0.0 if acted else self._patience()):
            self._receive(message)
        return None

    def _now(self) -> datetime:
        return self._hands.clock.now()

    def _patience(self) -> float:
        if self._wake is None:
            return _NET_S
        return max(0.0, min(_NET_S, (self._wake - self._now()).total_seconds()))

    def _finish(self, end: FinishRun) -> RunFinished:
        finished = RunFinished(
            status=end.status,
            exit_code=end.exit_code,
            reason=end.reason,
            limit_name=end.limit_name,
            needed=end.needed,
        )
        self._journal.record(finished)
        return finished

    # --- hearing ------------------------------------------------------------------------------------------

    def _receive(self, message: Message) -> None:
        match message:
            case AttemptEnded():
                self._hands.dispatcher.done(message.node_id)
                self._journal.record(*message.facts)
                self._stop_for(message.fault)
            case CheckEnded():
                self._hands.queue.deliver(message)
                self._stop_for(message.fault)
            case Interrupted():
                self._signal = message.signal_name
                self._hands.dispatcher.stop_all(f"interrupted by {message.signal_name}")
            case Hint():
                pass  # waking up was the point: the log has the news

    def _stop_for(self, fault: EnvironmentFault | None) -> None:
        """A fault of the machine stops all work in order: what is recorded now need not be paid for again."""
        if fault is not None and self._fault is None:
            self._fault = fault
            self._hands.dispatcher.stop_all(fault.message)

    def _mirror(self) -> None:
        """Tell in the run's own stream what the queue did with its work."""
        since = self.state.started.queue_seq if self.state.started else 0
        news = [event for event in self._hands.queue.take_news() if event.seq > since]
        for event in news:
            if event.id not in self.state.mirrored and self._hands.lanes.concerns(self.state, event.data):
                self._journal.record(event.data, cause=event.id)
        if any(isinstance(event.data, MergeLanded) for event in news):
            self._hands.lanes.tidy(self.state)

    # --- acting -------------------------------------------------------------------------------------------

    def _act(self, intent: Intent) -> bool:
        """Carry out one intent; whether the state may have moved."""
        match intent:
            case StartAttempt():
                self._start(intent)
            case StopAttempt():
                self._hands.dispatcher.stop(intent.node_id, intent.reason)
                return False
            case Enqueue():
                self._hands.queue.enqueue(self._hands.lanes.entry_of(self.state, intent.node_id))
            case Withdraw():
                return self._withdraw(intent.node_id, intent.reason)
            case WakeAt():
                self._wake = intent.time
                return False
            case FinishRun():
                return False  # `_advance` ends the run
            case _:
                self._journal.record(*facts_of(intent, self.state.ledger))
        return True

    def _start(self, intent: StartAttempt) -> None:
        """Record the attempt, with its money, before anything of it exists; then give it to a worker."""
        order = self._hands.orders.order_for(self.state, intent)
        facts: list[Payload] = []
        if intent.reserve or intent.lent:
            facts.append(
                BudgetReserved(
                    node_id=intent.node_id,
                    attempt=intent.attempt,
                    amount=intent.reserve,
                    source=intent.reserve_source,
                    lent=intent.lent,
                )
            )
        facts.append(
            NodeStarted(
                node_id=intent.node_id,
                attempt=intent.attempt,
                tool=intent.tool,
                reason=intent.reason,
                slot=order.slot_name,
                log=str(order.log),
                sandbox=order.confinement.words if isinstance(order.confinement, Confinement) else "",
            )
        )
        self._journal.record(*facts)
        self._hands.dispatcher.start(order)

    def _withdraw(self, node_id: NodeId, reason: str) -> bool:
        entry_id = self.state.nodes[node_id].entry_id
        return entry_id is not None and self._hands.queue.withdraw(entry_id, reason)
