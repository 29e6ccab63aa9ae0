"""A whole run made of sets and chance, around the real decisions: scheduler, merge policy and commands.

`RunWorld` does what `engine/loop.py`, `engine/attempt.py` and `engine/recovery.py` do with an intent, in the
same order, on the repository of `queue_world`. At every step it looks whether a rule of the run broke.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, cast

from msgspec.structs import replace

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import FailureClass, Payload, Usage
from cli_multi_rapid.core.ids import Branch, Commit, EventId, NodeId
from cli_multi_rapid.core.intents import (
    Enqueue,
    FinishRun,
    Intent,
    OpenBreaker,
    RefuseForBudget,
    RetryNode,
    StartAttempt,
    StopAttempt,
    WakeAt,
    WarnBudget,
    Withdraw,
)
from cli_multi_rapid.core.merge_events import MergeConflicted
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import (
    NodeAttemptFailed,
    NodeBased,
    NodeReset,
    NodeStarted,
    NodeSucceeded,
)
from cli_multi_rapid.core.node_state import MergeStatus, NodeState
from cli_multi_rapid.core.plan import Plan, Role
from cli_multi_rapid.core.run_events import (
    BudgetReserved,
    BudgetSettled,
    CommandGiven,
    PlanAccepted,
    RunFinished,
    RunStarted,
)
from cli_multi_rapid.core.run_facts import Told, facts_of
from cli_multi_rapid.core.scheduler import Limits, decide, prepare
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.commands import answer_commands
from cli_multi_rapid.engine.lanes import Lanes
from tests.fakes.queue_world import TESTS, QueueWorld
from tests.fakes.run_rules import RunRules
from tests.fakes.sample_plans import RUN
from tests.fakes.weather import RunWeather, rivals_of

_MOST_TURNS = 3000
"""Of a small plan; for a large one `_TURNS_A_NODE` each."""
_TURNS_A_NODE = 200


@dataclass(slots=True, kw_only=True)
class RunWorld:
    """One run, its workers, its merge queue and its people."""

    plan: Plan
    weather: RunWeather
    random: Random
    limits: Limits = field(default_factory=Limits)
    queue: QueueWorld = field(init=False)
    rules: RunRules = field(init=False)
    lanes: Lanes = field(init=False)
    state: RunState = field(default_factory=lambda: RunState(RUN))
    events: list[Event] = field(default_factory=list)
    observers: list[Callable[[RunState, Event], None]] = field(default_factory=list)
    bases: dict[NodeId, Commit] = field(default_factory=dict)
    finishes: list[FinishRun] = field(default_factory=list)
    touched: bool = False
    """Whether a person had a say in what is done, and not only agreed."""
    _told: int = 0

    def __post_init__(self) -> None:
        self.weather.rivals = rivals_of(self.plan)
        self.queue = QueueWorld(weather=self.weather, random=self.random)
        self.rules = RunRules(
            state=self.state, queue=self.queue, limits=self.limits, rivals=self.weather.rivals
        )
        self.lanes = Lanes(
            cast(Any, None),  # only names and entries are asked for, never the repository
            template="lane/{run}/{node}",
            checks=(TESTS,),
            update_checkout=True,
        )
        order, implied = prepare(self.plan)
        self.record(PlanAccepted(plan=self.plan, order=order, implied=implied, digest="d", source="test"))
        self._take_up(resumed=False)

    @property
    def now(self) -> datetime:
        """The world's time."""
        return self.queue.now

    # --- the log ------------------------------------------------------------------------------------------

    def record(self, *facts: Payload, cause: EventId | None = None) -> None:
        """Append and fold."""
        for fact in facts:
            event = Event(
                id=EventId(f"e{len(self.events) + 1}"),
                seq=len(self.events) + 1,
                run_id=RUN,
                time=self.now,
                source="test",
                data=fact,
                causation_id=cause,
            )
            self.state.apply(event)
            self.events.append(event)
            for observe in self.observers:
                observe(self.state, event)

    def _take_up(self, *, resumed: bool) -> None:
        self.record(
            RunStarted(
                repository="/r",
                target=self.plan.merge_policy.target,
                base=self.queue.tip,
                pid=1,
                host="h",
                workers=self.limits.workers,
                budget=self.state.ledger.limit,
                resumed=resumed,
            )
        )

    # --- the life of a run --------------------------------------------------------------------------------

    def live(self, finishes: int = 4) -> None:
        """Until nothing is left to do, or the run has come to rest this many times."""
        for _ in range(max(_MOST_TURNS, _TURNS_A_NODE * len(self.plan.nodes))):
            if self._turn() and not self._goes_on(finishes):
                return
        raise AssertionError("the run never comes to an end")

    def _goes_on(self, finishes: int) -> bool:
        """Whether somebody takes the finished run up again, after doing something about it."""
        if self.finishes[-1].exit_code == 0 or len(self.finishes) >= finishes:
            return False
        if self.weather.people:
            for _ in range(self.random.randint(0, 3)):
                self._ask_something()
        self._resume()
        return True

    def _resume(self) -> None:
        self.queue.flying.clear()
        self._take_up(resumed=True)
        for node_id in list(self.state.frontier.running):
            attempt = self.state.nodes[node_id].attempts[-1]
            reserved = self.state.ledger.open.get((node_id, attempt.number))
            if reserved:
                self._settle(self.state.nodes[node_id], reserved)
            self._fail(node_id, FailureClass.INTERRUPTED)
        if self.queue.state.halted or self.queue.state.misses or self.queue.state.open:
            self.queue.resume()

    def _turn(self) -> bool:
        """One round of the loop, and one thing that happens outside; whether the run came to rest."""
        self.queue.step()
        self._mirror()
        if self.state.unanswered():
            answer_commands(cast(Any, self), cast(Any, self.queue))
            return False
        intents = decide(self.state, self._limits_now(), self.now)
        self.rules.check_order(intents)
        wake: datetime | None = None
        acted = False
        for intent in intents:
            if isinstance(intent, FinishRun):
                self.record(
                    RunFinished(
                        status=intent.status,
                        exit_code=intent.exit_code,
                        reason=intent.reason,
                        limit_name=intent.limit_name,
                        needed=intent.needed,
                    )
                )
                self.finishes.append(intent)
                self.rules.check_finish(intent, touched=self.touched)
                return True
            if isinstance(intent, WakeAt):
                assert intent.time > self.now
                wake = intent.time
            else:
                acted = self._act(intent) or acted
        self._happen(acted, wake)
        return False

    def _limits_now(self) -> Limits:
        return replace(self.limits, queue_halted=self.queue.state.halted)

    def _happen(self, acted: bool, wake: datetime | None) -> None:
        """Something outside: a tool ends, a checker ends, time passes, a person speaks, the machine stops."""
        random = self.random
        if random.random() < self.weather.people:
            self._ask_something()
        if random.random() < self.weather.crashes:
            self._resume()
            return
        running = sorted(self.state.frontier.running)
        if running and random.random() < 0.6:
            self._end_attempt(random.choice(running))
        elif self.queue.flying and random.random() < 0.7:
            self.queue.deliver(random.choice(sorted(self.queue.flying)))
        elif wake is not None and not running:
            self.queue.now = wake
        elif not (acted or running or self.queue.flying or wake):
            self._unblock()
        self.queue.pass_time(random.choice([0, 0, 1]))

    def _unblock(self) -> None:
        """Nothing can happen any more by itself: only a pause may be the reason."""
        if self._mirror() or self.state.unanswered():
            return
        assert self.state.paused, "the run hangs"
        self._give("unpause")

    def _mirror(self) -> bool:
        news = self.queue.events[self._told :]
        self._told = len(self.queue.events)
        for event in news:
            if event.id not in self.state.mirrored and self.lanes.concerns(self.state, event.data):
                self.record(event.data, cause=event.id)
        return bool(news)

    # --- people -------------------------------------------------------------------------------------------

    def _give(self, command: str, node_id: NodeId | None = None, amount: MicroUsd | None = None) -> None:
        self.touched = self.touched or command not in ("approve", "unpause", "pause")
        deep = self.random.random() < 0.5
        self.record(
            CommandGiven(
                command=command,
                by="ada",
                node_id=node_id,
                amount=amount,
                with_dependents=deep,
                text="because",
            )
        )

    def _ask_something(self) -> None:
        one = self.random.choice([*self.state.nodes, None])
        limit = MicroUsd(self.random.randint(0, 20_000_000))
        commands = "approve approve approve reject retry retry cancel pause unpause budget inject nonsense"
        command = self.random.choice(commands.split())
        if command == "cancel" and one is None and self.random.random() < 0.7:
            return
        unknown = command in ("inject", "retry") and self.random.random() < 0.1
        self._give(command, NodeId("nobody") if unknown else one, limit if command == "budget" else None)

    # --- attempts -----------------------------------------------------------------------------------------

    def _start(self, intent: StartAttempt) -> None:
        self.rules.check_start(intent, self.now)
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
        started = NodeStarted(
            node_id=intent.node_id,
            attempt=intent.attempt,
            tool=intent.tool,
            reason=intent.reason,
            slot="slot",
            log="log",
        )
        self.bases[intent.node_id] = self._base_of(intent.node_id)
        if not self.touched:
            self.rules.check_base(intent.node_id, self.bases[intent.node_id])
        self.record(*facts, started)

    def _base_of(self, node_id: NodeId) -> Commit:
        """The target with the sealed work that comes before: `engine/orders.py` and `engine/bases.py`."""
        changes = self.queue.contents[self.queue.tip]
        for footing in self.state.frontier.foundation(node_id):
            below = self.state.nodes[footing.node_id]
            if below.head is not None and below.merge_status is not MergeStatus.MERGED:
                changes |= self.queue.contents[below.head]
        return self.queue.commit(changes)

    def _end_attempt(self, node_id: NodeId, *, stopped: bool = False) -> None:
        """A worker reports."""
        node, random = self.state.nodes[node_id], self.random
        number, base = node.attempts[-1].number, self.bases[node_id]
        self.record(NodeBased(node_id=node_id, attempt=number, base=base, tip=self.queue.tip))
        verifier = node.attempts[-1].tool == "verify"
        reserved = self.state.ledger.open.get((node_id, number), MicroUsd(0))
        if not verifier:
            cost = reserved * random.randint(0, 100) // 100
            cost += random.randint(1, 5_000_000) if random.random() < self.weather.dear else 0
            if reserved or cost:
                self._settle(node, MicroUsd(cost))
        if stopped:
            self._fail(node_id, FailureClass.INTERRUPTED)
        elif random.random() < self.weather.fails:
            self._fail(node_id, random.choice(self.weather.failures))
        else:
            self._succeed(node, base)

    def _settle(self, node: NodeState, cost: MicroUsd) -> None:
        attempt = node.attempts[-1]
        usage = Usage(cost=cost, source="tool")
        self.record(
            BudgetSettled(
                node_id=node.node.id, attempt=attempt.number, tool=attempt.tool, action="do", usage=usage
            )
        )

    def _fail(self, node_id: NodeId, failure: FailureClass) -> None:
        number = self.state.nodes[node_id].attempts[-1].number
        self.record(NodeAttemptFailed(node_id=node_id, attempt=number, failure=failure, reason=failure))

    def _succeed(self, node: NodeState, base: Commit) -> None:
        node_id, number = node.node.id, node.attempts[-1].number
        head: Commit | None = None
        if node.node.role is Role.WT and self.random.random() >= self.weather.idle:
            head = self.queue.commit(self.queue.contents[base] | {f"{node_id}#{number}"})
        self.record(
            NodeSucceeded(
                node_id=node_id,
                attempt=number,
                summary="done",
                branch=Branch(f"lane/{node_id}.{number}") if head else None,
                base=base,
                commit=head,
            )
        )

    # --- intents ------------------------------------------------------------------------------------------

    def _act(self, intent: Intent) -> bool:
        match intent:
            case StartAttempt():
                self._start(intent)
            case StopAttempt():
                if self.random.random() < 0.5:
                    return False  # it takes its time, or ends by itself
                self._end_attempt(intent.node_id, stopped=True)
            case Enqueue():
                self.queue.enqueue(self.lanes.entry_of(self.state, intent.node_id))
            case Withdraw():
                entry_id = self.state.nodes[intent.node_id].entry_id
                return entry_id is not None and self.queue.withdraw(entry_id, intent.reason)
            case WakeAt() | FinishRun():
                raise AssertionError(f"nobody acts on {intent}")
            case _:
                self._tell(intent)
        return True

    def _tell(self, intent: Told) -> None:
        """Record what is done with that, and look whether it was right."""
        match intent:
            case RetryNode(not_before=then):
                assert then >= self.now
            case OpenBreaker(until=until):
                assert until > self.now
            case RefuseForBudget():
                self.rules.check_refusal(intent)
            case WarnBudget(halt=halt):
                ledger = self.state.ledger
                assert not (ledger.halted if halt else ledger.warned), "said twice"
            case _:
                pass
        self.record(*facts_of(intent, self.state.ledger))

    def conflicts(self) -> list[MergeConflicted]:
        """The entries that did not merge."""
        return [event.data for event in self.events if isinstance(event.data, MergeConflicted)]

    def resets(self) -> int:
        """How often a node was done again by order."""
        return sum(1 for event in self.events if isinstance(event.data, NodeReset))
