"""A merge queue's life as hypothesis makes it up: one rule after the other, with faults at their appends.

After each rule a processor works as far as it can, and is struck at chosen appends. `make worlds` lives at
least 10,000 such lives; `tests/core/test_queue_machine.py` a few, and shows that each promise can break.
"""

from collections import Counter
from collections.abc import Collection
from itertools import product
from random import Random
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct, field

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.node_state import MERGE_DEAD
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.queue_state import QueueState
from tests.fakes.fragile_log import MAIN
from tests.fakes.pictures import picture
from tests.fakes.queue_faults import Fault, FaultKind, When
from tests.fakes.queue_promises import PROMISES, live_to_the_end
from tests.fakes.queue_world import TESTS, QueueWorld
from tests.fakes.random_queues import LINT, add
from tests.fakes.weather import SEES_PART, Weather

MOST_ENTRIES = 9
_OTHERWISE = {"flake": Verdict.FAILED, "died": Verdict.ERROR, "timed out": Verdict.TIMED_OUT}
Strikes = tuple[Fault, ...]


class Tally(Struct):
    """What many lives had in them."""

    queues: int = 0
    steps: int = 0
    """Rules that were carried out, each with the work of a processor after it."""
    struck: int = 0
    """Steps in which a fault came true."""
    events: int = 0
    entries: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examined: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    """Status -> how many entries ended so."""
    longest: int = 0
    """The most events of one queue."""
    patience: int = 0
    """The most turns of `live_to_the_end`."""


class Storm:
    """How often a step is struck, decided once for a queue."""

    NEVER, SOMETIMES, ALWAYS = range(3)


_FAULTS = [Fault(kind=kind, when=when, at=at) for at in (1, 2, 4) for kind in FaultKind for when in When]
strikes = st.sampled_from([*((one,) for one in _FAULTS), *product(_FAULTS, _FAULTS)])
"""What strikes one step, if it is struck: one fault, or one and then another."""
picks = st.integers(0, MOST_ENTRIES)
"""Chooses one of several, wherever there are any."""


class Newcomer(Struct, frozen=True, kw_only=True):
    """An entry that somebody adds."""

    nature: str
    """`culprit`: it fails every check. `quarrel`, `clash`: it fails, or does not merge, with a rival."""
    rival: int
    needs: tuple[int, ...]
    after: bool
    """Whether it was merely built on what it needs and can land without."""
    priority: int
    checks: tuple[CheckSpec, ...]
    unread: bool
    """Whether checks with inputs do not see it."""
    manner: str
    """`asks`: for an approval. `urgent`, `solo`."""


newcomers = st.builds(
    Newcomer,
    nature=st.sampled_from(["good", "good", "good", "culprit", "quarrel", "clash"]),
    rival=picks,
    needs=st.sampled_from([(), (), (0,), (1,), (2, 0), (1, 5)]),
    after=st.booleans(),
    priority=st.integers(0, 2),
    checks=st.sampled_from([(TESTS,), (TESTS,), (SEES_PART,), (TESTS, LINT), (LINT, SEES_PART), ()]),
    unread=st.booleans(),
    manner=st.sampled_from(["", "", "", "", "", "asks", "urgent", "solo"]),
)


class QueueMachine(RuleBasedStateMachine):
    """One queue. `watched`: the promises that it is held to."""

    watched: ClassVar[Collection[str]] = tuple(PROMISES)
    tally: ClassVar[Tally] = Tally()

    @initialize(
        workers=st.sampled_from([1, 2, 2, 4, 8]),
        batch=st.sampled_from([1, 2, 64]),
        flaky=st.sampled_from([0, 1, 2]),
        broken=st.sampled_from([0, 1]),
        gain=st.sampled_from([0.0, 0.1, 0.1, 5.0]),
        red=st.sampled_from([False] * 9 + [True]),
        storm=st.sampled_from([Storm.NEVER, Storm.SOMETIMES, Storm.ALWAYS, Storm.ALWAYS]),
    )
    def begin(
        self, *, workers: int, batch: int, flaky: int, broken: int, gain: float, red: bool, storm: int
    ) -> None:
        """An empty queue with these limits; `red`: its target fails every check."""
        self.storm = storm
        self.queue = QueueWorld(
            weather=Weather(culprits=frozenset({"base"} if red else ())),
            random=Random(0),
            limits=QueueLimits(
                workers=workers,
                batch=batch,
                retry_flaky=flaky,
                retry_broken=broken,
                min_gain=gain,
                aging_s=60,
            ),
            keeps=(),
        )

    # --- what happens -------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Let the processor work, and be struck."""
        self.queue.step()
        self.queue.faults.arm(())
        self.tally.steps += 1
        self.tally.struck += self.queue.faults.injected.total() > self.struck_before

    def _arm(self, strikes: Strikes) -> None:
        struck = self.storm == Storm.ALWAYS or (self.storm == Storm.SOMETIMES and len(strikes) == 1)
        self.queue.faults.arm(strikes if struck else ())
        self.struck_before = self.queue.faults.injected.total()

    @precondition(lambda self: len(self.queue.state.entries) < MOST_ENTRIES)
    @rule(several=st.lists(newcomers, min_size=1, max_size=3), strikes=strikes)
    def enqueue(self, *, several: list[Newcomer], strikes: Strikes) -> None:
        """Somebody adds entries, which may fail, alone or with another one, or not merge behind another."""
        self._arm(strikes)
        for newcomer in several:
            self._add(newcomer)
        self._work()

    def _add(self, newcomer: Newcomer) -> None:
        entries, name = self.queue.state.entries, f"e{len(self.queue.state.entries)}"
        known = [str(one) for one in entries]
        self._give_nature(name, known[newcomer.rival % len(known)] if known else "", newcomer)
        usable = [str(one) for one, entry in entries.items() if entry.status not in MERGE_DEAD]
        before = " ".join({usable[pick % len(usable)]: None for pick in newcomer.needs if usable})
        add(
            self.queue,
            name,
            deps="" if newcomer.after else before,
            after=before if newcomer.after else "",
            priority=newcomer.priority,
            checks=newcomer.checks,
            asks=newcomer.manner == "asks",
            urgent=newcomer.manner == "urgent",
            solo=newcomer.manner == "solo",
        )

    def _give_nature(self, name: str, rival: str, newcomer: Newcomer) -> None:
        weather = self.queue.weather
        if newcomer.nature == "culprit":
            weather.culprits |= {name}
        elif newcomer.nature == "quarrel" and rival and rival not in weather.unread:
            weather.quarrels += (frozenset({name, rival}),)
        elif newcomer.nature == "clash" and rival:
            weather.clashes += ((name, rival),)
        elif newcomer.unread:
            weather.unread |= {name}

    @precondition(lambda self: bool(self.queue.flying))
    @rule(
        which=picks,
        how=st.sampled_from(["true", "true", "true", "true", "flake", "died", "timed out"]),
        strikes=strikes,
    )
    def answer(self, *, which: int, how: str, strikes: Strikes) -> None:
        """A checker ends: as it should, with a failure that is none, or without a verdict."""
        self._arm(strikes)
        keys = sorted(self.queue.flying)
        key = keys[which % len(keys)]
        if how in ("died", "timed out"):
            self.queue.faults.injected[f"a check {how}"] += 1
        self.queue.answer(key, _OTHERWISE.get(how) or self.queue.truth(key))
        self._work()

    @precondition(lambda self: bool(self.queue.flying))
    @rule(strikes=strikes)
    def answer_all(self, *, strikes: Strikes) -> None:
        """All checkers end as they should, with one fault meanwhile."""
        self._arm(strikes)
        for key in sorted(self.queue.flying):
            if key in self.queue.flying:  # a fault may have ended it
                self.queue.answer(key, self.queue.truth(key))
        self._work()

    @precondition(lambda self: bool(self.queue.state.entries))
    @rule(which=picks, command=st.sampled_from(["withdraw", "approve", "approve", "retry"]), strikes=strikes)
    def command(self, *, which: int, command: str, strikes: Strikes) -> None:
        """A person asks the processor for something, whether that makes sense or not."""
        self._arm(strikes)
        names = list(self.queue.state.entries)
        self.queue.ask(command, None if command == "retry" else names[which % len(names)])
        self._work()

    @rule(
        what=st.sampled_from(["move", "move", "break", "block", "free", "by hand", "kill", "wait"]),
        strikes=strikes,
    )
    def meddle(self, *, what: str, strikes: Strikes) -> None:
        """Something happens outside: to the target, to landings, to the processor; or only time passes."""
        self._arm(strikes)
        match what:
            case "move" | "break":
                self._move_target(red=what == "break")
            case "block" | "free":  # something of the person's is in the way of landings, or is no more
                self.queue.weather.held = 1.0 if what == "block" else 0.0
            case "by hand":
                self._land_by_hand()
            case "kill":
                self.queue.faults.injected[f"{FaultKind.CRASH}, between two steps"] += 1
                self.queue.restart()
            case _:
                self.queue.pass_time(100)
        self._work()

    def _move_target(self, *, red: bool) -> None:
        change = f"foreign{len(self.queue.history)}"
        if red:
            self.queue.weather.culprits |= {change}
        self.queue.move(change)
        self.queue.faults.injected[f"{FaultKind.MOVE}, between two steps"] += 1

    def _land_by_hand(self) -> None:
        """A person types the command that a held landing waits for."""
        held = self.queue.state.held[-1] if self.queue.state.held else None
        if held is not None and self.queue.tip == held.expected:
            self.queue.swap(held, len(self.queue.events), by_hand=True)

    # --- what must hold -----------------------------------------------------------------------------------

    def _hold(self, promise: str) -> None:
        if promise in self.watched:
            PROMISES[promise](self.queue)

    @invariant()
    def i1_every_tip_is_verified(self) -> None:
        """I1."""
        self._hold("I1")

    @invariant()
    def i2_each_entry_lands_at_most_once(self) -> None:
        """I2."""
        self._hold("I2")

    @invariant()
    def i3_nothing_lands_without_its_swap(self) -> None:
        """I3."""
        self._hold("I3")

    @invariant()
    def i4_the_sealed_heads_land(self) -> None:
        """I4."""
        self._hold("I4")

    @invariant()
    def i5_only_the_guilty_are_ejected(self) -> None:
        """I5."""
        self._hold("I5")

    @invariant()
    def i6_work_goes_on(self) -> None:
        """I6."""
        self._hold("I6")

    @invariant()
    def i7_whole_diffs_land(self) -> None:
        """I7."""
        self._hold("I7")

    @invariant()
    def i8_nobody_starves(self) -> None:
        """I8."""
        self._hold("I8")

    def teardown(self) -> None:
        """Faults cease: everybody comes to an end, and the log alone tells the same story."""
        if not hasattr(self, "queue"):
            return  # it never began
        lived = len(self.queue.events)
        patience = live_to_the_end(self.queue) if "I8" in self.watched else 0
        for promise in self.watched:
            PROMISES[promise](self.queue)
        if set(self.watched) == set(PROMISES):
            self.queue.finish()
            self.queue.check_end()
            if lived % 8 == 0:  # it costs as much as the rest of the end
                self._tell_again()
        self._count(lived, patience)

    def _tell_again(self) -> None:
        again = QueueState(MAIN)
        for event in self.queue.events:
            again.apply(event)
        assert picture(again) == picture(self.queue.state), "the log tells another story"

    def _count(self, lived: int, patience: int) -> None:
        tally, queue = self.tally, self.queue
        tally.queues += 1
        tally.events += lived
        tally.faults.update(queue.faults.injected)
        tally.examined.update(queue.evidence.examined)
        own = [entry for name, entry in queue.state.entries.items() if not name.startswith("late")]
        tally.entries += len(own)
        tally.ends.update(str(entry.status) for entry in own)
        tally.longest = max(tally.longest, lived)
        tally.patience = max(tally.patience, patience)
