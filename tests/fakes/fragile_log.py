"""The log of one queue in a repository made of sets, and the faults that come at an append."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, EventId, RunId
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.core.queue_state import QueueState
from tests.fakes.queue_evidence import Evidence
from tests.fakes.queue_faults import Fault, FaultKind, Faults, Killed, Ousted, When
from tests.fakes.sample_plans import START
from tests.fakes.set_repository import SetRepository, tree_of

MAIN = Branch("main")


@dataclass(slots=True, kw_only=True)
class FragileLog(SetRepository):
    """What is written down, what the processor at work makes of it, and what becomes of the processor."""

    now: datetime = START
    state: QueueState = field(default_factory=lambda: QueueState(MAIN))
    """What the processor has folded."""
    events: list[Event] = field(default_factory=list)
    """The log."""
    observers: list[Callable[[Event], None]] = field(default_factory=list)
    cached: Tip | None = None
    evidence: Evidence = field(default_factory=Evidence)
    faults: Faults = field(default_factory=Faults)

    @property
    def results(self) -> dict[str, list[Verdict]]:
        """Verdict key -> what the checkers really found."""
        return self.evidence.results

    def record(self, *facts: Payload, cause: EventId | None = None) -> None:
        """Append as the processor, and fold. Raises `Gone` when a fault takes the processor away."""
        for fact in facts:
            due = self.faults.due()
            if due is not None and due.when is When.BEFORE:
                self._strike(due)
            event = self._append(fact, cause)
            if due is not None and due.when is When.AFTER:
                self._strike(due)
            self._fold(event)

    def submit(self, fact: Payload) -> None:
        """Append as any other process, and let the processor read it."""
        self._fold(self._append(fact, None))

    def _append(self, fact: Payload, cause: EventId | None) -> Event:
        event = Event(
            id=EventId(f"q{len(self.events) + 1}"),
            seq=len(self.events) + 1,
            run_id=RunId("queue:main"),
            time=self.now,
            source="test",
            data=fact,
            causation_id=cause,
        )
        self.events.append(event)
        self.evidence.learn(event, self.cached or self._look_at_tip())
        return event

    def _fold(self, event: Event) -> None:
        self.state.apply(event)
        for observe in self.observers:
            observe(event)

    def _strike(self, fault: Fault) -> None:
        """A fault happens."""
        match fault.kind:
            case FaultKind.MOVE:
                self.move(f"foreign{len(self.history)}")
            case FaultKind.CRASH:
                raise Killed
            case FaultKind.LEASE:
                self._survive(self._take_up)
                raise Ousted(fault.when is When.AFTER)

    def _survive(self, work: Callable[[], None]) -> None:
        """Let the processor work; when it is lost, another one goes on."""
        while True:
            try:
                work()
            except Killed:
                work = self._take_up
            except Ousted:
                return
            else:
                return

    @abstractmethod
    def _take_up(self) -> None:
        """What a new processor does first, and all that it can do then without waiting."""

    def _look_at_tip(self) -> Tip:
        held = self.contents[self.tip]
        return Tip(commit=self.tip, tree=tree_of(held), contents=self.weather.seen(held))
