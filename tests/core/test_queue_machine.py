"""The eight promises of the merge queue in queues that hypothesis makes up, with faults at their appends.

A few here; `make worlds` lives through 10,000. The second half breaks the policy or the fold, once for each
promise, and sees that this very promise notices.
"""

from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from cli_multi_rapid.core import queue_line, queue_state
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.merge_events import MergeLanded, MergeMissed, MergeResealed
from cli_multi_rapid.core.merge_policy import decide
from cli_multi_rapid.core.queue_intents import (
    Eject,
    Land,
    QueueIntent,
    QueueLimits,
    RunChecks,
    Split,
    Tip,
    Vouch,
)
from cli_multi_rapid.core.queue_judgement import required_checks
from cli_multi_rapid.core.queue_records import EntryState, Trial
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.verdicts import key_of
from tests.examples import examples
from tests.fakes import queue_world
from tests.fakes.queue_machine import QueueMachine, Tally
from tests.fakes.queue_promises import PROMISES, Broken

Decide = Callable[[QueueState, Tip, QueueLimits, datetime], list[QueueIntent]]

TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=examples(20), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


# --- each promise can break ---------------------------------------------------------------------------------


def deciding(change: Callable[[QueueIntent, QueueState, Tip], QueueIntent | None]) -> Decide:
    """The policy, with something else in place of some intents; None: nothing."""

    def decide_otherwise(
        state: QueueState, tip: Tip, limits: QueueLimits, now: datetime
    ) -> list[QueueIntent]:
        changed = (change(intent, state, tip) for intent in decide(state, tip, limits, now))
        return [intent for intent in changed if intent is not None]

    return decide_otherwise


def landing_of(state: QueueState, trial: Trial) -> Land:
    checks = required_checks(state, trial.entries)
    return Land(trial=trial, verdicts=tuple(key_of(check, trial, "") for check in checks))


def land_what_is_under_check(intent: QueueIntent, state: QueueState, tip: Tip) -> QueueIntent:
    trial = state.trials.get(intent.entries) if isinstance(intent, RunChecks) else None
    return intent if trial is None or trial.tip != tip.commit else landing_of(state, trial)


def eject_one_of_several(intent: QueueIntent, state: QueueState, tip: Tip) -> QueueIntent:
    guess = isinstance(intent, Split) and len(intent.entries) > 1
    return Eject(entry_id=intent.entries[-1], outcome=intent.outcome) if guess else intent  # type: ignore[union-attr]


def land_what_passed_on_an_older_tip(intent: QueueIntent, state: QueueState, tip: Tip) -> QueueIntent:
    trial = state.trials[intent.entries] if isinstance(intent, Vouch) else None
    return intent if trial is None else landing_of(state, replace(trial, tip=tip.commit))


def believe_in_dead_checkers() -> Callable[[QueueIntent, QueueState, Tip], QueueIntent | None]:
    """Never start a check twice on one tree, though the checker died with its processor."""
    started: set[object] = set()

    def change(intent: QueueIntent, state: QueueState, tip: Tip) -> QueueIntent | None:
        if not isinstance(intent, RunChecks):
            return intent
        known = (intent.commit, intent.checks) in started
        started.add((intent.commit, intent.checks))
        return None if known else intent

    return change


def forget_one_that_landed(state: QueueState, event: Event, data: MergeLanded) -> None:
    known = data.entries if data.recovered else data.entries[:-1]
    queue_state.QueueState._landed(state, event, replace(data, entries=known))


def take_a_missed_landing_for_a_landed_one(state: QueueState, event: Event, data: MergeMissed) -> None:
    if state.landing is None:
        queue_state.QueueState._missed(state, event, data)
    else:
        told = MergeLanded(entries=data.entries, commit=state.landing.commit, tree=state.landing.tree)
        queue_state.QueueState._landed(state, event, told)


def take_the_base_for_the_head(state: QueueState, event: Event, data: MergeResealed) -> None:
    queue_state.QueueState._resealed(state, event, replace(data, head=data.base))


def never_age(entry: EntryState, aging_s: float, now: datetime) -> int:
    return entry.entry.priority


MUTANTS: dict[str, tuple[str, object]] = {
    "I1": ("policy", deciding(land_what_is_under_check)),
    "I2": ("merge.landed", forget_one_that_landed),
    "I3": ("merge.missed", take_a_missed_landing_for_a_landed_one),
    "I4": ("merge.resealed", take_the_base_for_the_head),
    "I5": ("policy", deciding(eject_one_of_several)),
    "I6": ("policy", None),
    "I7": ("policy", deciding(land_what_passed_on_an_older_tip)),
    "I8": ("aging", never_age),
}
"""Promise -> what is broken, and how."""


@pytest.mark.parametrize("promise", PROMISES)
def test_a_broken_policy_or_fold_is_noticed_by_the_promise_that_it_breaks(
    promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, mutant = MUTANTS[promise]
    handlers = {kind.type: kind for kind in queue_state._HANDLERS}
    if where == "policy":
        # The one that remembers is made anew for each queue: hypothesis tries a failure a second time.
        monkeypatch.setattr(queue_world, "decide", mutant)
    elif where == "aging":
        monkeypatch.setattr(queue_line, "_aged_priority", mutant)
    else:
        monkeypatch.setitem(queue_state._HANDLERS, handlers[where], mutant)

    class Watching(QueueMachine):
        watched = (promise,)
        tally = Tally()

        def __init__(self) -> None:
            super().__init__()
            if promise == "I6":
                monkeypatch.setattr(queue_world, "decide", deciding(believe_in_dead_checkers()))

    with pytest.raises(Broken) as found:
        run_state_machine_as_test(
            seed(11)(Watching),
            settings=settings(
                max_examples=1500,
                stateful_step_count=20,
                phases=[Phase.generate],
                database=None,
                deadline=None,
                derandomize=False,
                print_blob=False,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert found.value.promise == promise
