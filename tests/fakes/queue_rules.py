"""What every decision of a queue must keep to, beside the promises of `queue_promises.py`."""

from typing import TYPE_CHECKING

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.queue_facts import Told
from cli_multi_rapid.core.queue_intents import Acquit, CancelEntry, Eject, Halt, Land, Preempt, Split, Vouch
from cli_multi_rapid.core.queue_judgement import required_checks

if TYPE_CHECKING:
    from tests.fakes.queue_world import QueueWorld


def check_told(world: "QueueWorld", intent: Told) -> None:
    """The rules of decisions that are done when they are recorded."""
    match intent:
        case Split():
            _check_split(world, intent)
        case Vouch():
            _check_vouched(world, intent)
        case Preempt():
            assert world.state.entries[intent.by].entry.urgent
        case Halt():
            _check_halt(world, intent)
        case Eject() | CancelEntry() | Acquit():
            pass


def check_landing(world: "QueueWorld", intent: Land) -> None:
    """With people's consent, after what it depends on, and with the verdicts that the policy names."""
    trial = intent.trial
    assert len(set(trial.entries)) == len(trial.entries) > 0
    checks = required_checks(world.state, trial.entries)
    assert list(intent.verdicts) == [world.key(check, trial) for check in checks]
    done = set(world.landed_order)
    for entry_id in trial.entries:
        entry = world.state.entries[entry_id]
        assert entry.approved or not entry.entry.needs_approval
        done.add(entry_id)
        assert set(entry.entry.deps) <= done, "landed before what it depends on"
        assert {n for n in entry.entry.after if n in world.state.open} <= set(trial.entries)


def _check_vouched(world: "QueueWorld", intent: Vouch) -> None:
    """Only what passed its checks, on a tip that was ours."""
    trial = world.state.trials[intent.entries]
    assert trial.tip != world.read_tip().commit
    for check in required_checks(world.state, trial.entries):
        key = world.key(check, trial)
        assert world.results[key][-1] is Verdict.PASSED


def _check_split(world: "QueueWorld", intent: Split) -> None:
    assert intent.entries in world.state.trials
    assert intent.outcome.verdict is not Verdict.PASSED
    if len(intent.entries) > 1:
        return
    group = world.state.group_of(intent.entries[0])
    present = world.state.trials[intent.entries].tip == world.read_tip().commit
    if present and group is not None and group.entries == intent.entries:  # the target itself fails
        check = next(c for c in required_checks(world.state, intent.entries) if c.id == intent.outcome.check)
        on_tip = world.results[world.key(check, world.read_tip())]
        assert on_tip[-1] is not Verdict.PASSED


def _check_halt(world: "QueueWorld", intent: Halt) -> None:
    if "moved by somebody else" in intent.reason:
        assert world.state.misses > 0
    elif world.honest:
        assert world.weather.is_red(world.contents[world.read_tip().commit]), "halted on a green target"
    assert intent.hint
