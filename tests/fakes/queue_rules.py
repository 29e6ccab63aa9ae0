"""What every decision of a queue must keep to, whatever happens around it."""

from collections import Counter
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
        case Eject():
            _check_ejection(world, intent)
        case Halt():
            _check_halt(world, intent)
        case CancelEntry() | Acquit():
            pass


def check_landing(world: "QueueWorld", intent: Land) -> None:
    """I1, I2, I4, I7: verdicts for this very tree, each entry once, its sealed head, its whole diff."""
    trial = intent.trial
    assert len(set(trial.entries)) == len(trial.entries) > 0
    assert not set(trial.entries) & set(world.landed_order), "landed twice"
    checks = required_checks(world.state, trial.entries)
    keys = [world.key(check, trial) for check in checks]
    assert list(intent.verdicts) == keys
    assert all(world.results[key][-1] is Verdict.PASSED for key in keys), "landed without a passing verdict"
    if checks and not world.weather.flake:
        assert not world.weather.is_red(world.contents[trial.tree])
    done = set(world.landed_order)
    for entry_id in trial.entries:
        entry = world.state.entries[entry_id]
        assert world.contents[entry.entry.head] <= world.contents[trial.tree], "a part of it is missing"
        assert entry.approved or not entry.entry.needs_approval
        done.add(entry_id)
        assert set(entry.entry.deps) <= done, "landed before what it depends on"
        assert {n for n in entry.entry.after if n in world.state.open} <= set(trial.entries)
    assert world.contents[trial.tip] <= world.contents[trial.tree]


def _check_ejection(world: "QueueWorld", intent: Eject) -> None:
    """I5: the only unverified member of a tree that failed as often as is allowed; the tip passes."""
    if world.state.entries[intent.entry_id].questioned:
        _check_inquiry(world, intent)
        return
    tip = world.read_tip()
    trial = world.state.trials[(intent.entry_id,)]
    check = next(c for c in required_checks(world.state, trial.entries) if c.id == intent.outcome.check)
    found = Counter(world.results[world.key(check, trial)])
    broken = found[Verdict.ERROR] + found[Verdict.TIMED_OUT]
    known = world.state.entries[intent.entry_id]
    failed = known.failures + known.alone.get(check.id, 0)
    assert found[Verdict.FAILED] >= 1 or broken > world.limits.retry_broken
    assert trial.tip == tip.commit or trial.built_on in world.history
    assert trial.tip != trial.built_on or trial.built_with == trial.entries
    assert failed > world.limits.retry_flaky or broken > world.limits.retry_broken
    assert world.results[world.key(check, tip)][-1] is Verdict.PASSED
    if not (world.weather.flake or world.weather.broken):
        assert world.weather.is_red(world.contents[trial.tree]), "an innocent was ejected"
        assert not world.weather.is_red(world.contents[tip.commit])
        assert not world.weather.is_red(world.contents[trial.built_on])


def _check_inquiry(world: "QueueWorld", intent: Eject) -> None:
    """I5 as well, and the partner is one that makes the difference."""
    known = world.state.entries[intent.entry_id]
    inquiry = known.inquiry
    assert inquiry is not None
    failed = known.failures + known.alone.get(inquiry.check.id, 0)
    decisive = inquiry.failed_on or inquiry.station(0)
    assert decisive is not None
    top = world.results[world.key(inquiry.check, decisive)]
    broken = sum(verdict in (Verdict.ERROR, Verdict.TIMED_OUT) for verdict in top)
    assert Verdict.FAILED in top or broken > world.limits.retry_broken
    assert failed > world.limits.retry_flaky or broken > world.limits.retry_broken
    if world.weather.flake or world.weather.broken:
        return
    head = world.contents[known.entry.head]
    assert world.weather.is_red(world.contents[decisive.tree]), "an innocent was ejected"
    assert not world.weather.is_red(world.contents[inquiry.tip])
    base_is_red = world.weather.is_red(world.contents[inquiry.base.tree])
    assert bool(intent.partners) == (not world.weather.is_red(head)) or base_is_red
    foreign = world.contents[inquiry.tip].difference(world.state.entries)
    for partner in intent.partners:
        whose = {partner} if partner in world.state.entries else set(foreign)
        assert any(known.entry.id in quarrel and whose & quarrel for quarrel in world.weather.quarrels)


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
    honest = not (world.weather.flake or world.weather.broken)
    if "moved by somebody else" in intent.reason:
        assert world.state.misses > 0
    elif honest:
        assert world.weather.is_red(world.contents[world.read_tip().commit]), "halted on a green target"
    assert intent.hint
