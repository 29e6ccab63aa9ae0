"""The eight promises of a merge queue, held against what really happened: the log and the target's history.

They do not ask the policy or the fold what is true, but where they say so. `QueueWorld` looks at all of them
after every step of a processor; `queue_machine.py` looks at them one by one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.core.merge_events import MergeChecking
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.core.queue_line import line_up
from cli_multi_rapid.core.verdicts import Checkable
from tests.fakes.queue_evidence import Ejection
from tests.fakes.queue_rest import held_up
from tests.fakes.set_repository import Swap, tree_of

if TYPE_CHECKING:
    from tests.fakes.queue_world import QueueWorld


class Broken(AssertionError):
    """A promise does not hold."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


def _demand(holds: bool, promise: str, what: str) -> None:
    if not holds:
        raise Broken(promise, what)


def verified_tips(world: "QueueWorld") -> None:
    """I1: every tip that we set has a passing verdict for its exact tree and for every check it must pass."""
    for swap in world.evidence.fresh("I1", "swaps", world.swaps):
        held = world.contents[swap.landing.commit]
        tree = tree_of(held)
        _demand(tree == swap.landing.tree, "I1", "another tree landed than the one that was announced")
        place = Tip(commit=swap.landing.commit, tree=tree, contents=world.weather.seen(held))
        checks = _checks(world, swap)
        for check in checks:
            found = world.evidence.found(world.key(check, place), swap.at)
            passed = bool(found) and found[-1] is Verdict.PASSED
            _demand(passed, "I1", f"{swap.landing.entries} landed and {check.id} had not passed")
        _demand(not (checks and world.weather.is_red(held)), "I1", "what landed is red")


def _checks(world: "QueueWorld", swap: Swap) -> list[CheckSpec]:
    seals = (world.evidence.seal(name, swap.at) for name in swap.landing.entries)
    return list({check.id: check for entry in seals for check in entry.checks}.values())


def landed_once(world: "QueueWorld") -> None:
    """I2: each entry lands at most once: one move of the target, one fact in the log."""
    moved = Counter(name for swap in world.swaps for name in swap.landing.entries)
    told = Counter(name for _, fact in world.evidence.landed for name in fact.entries)
    for _, fact in world.evidence.fresh("I2", "landed", world.evidence.landed):
        for name in fact.entries:
            _demand(
                told[name] == moved[name] == 1, "I2", f"{name} landed {moved[name]} times, told {told[name]}"
            )
    _demand(max(moved.values(), default=1) == 1, "I2", f"landed twice: {moved}")


def compared_and_swapped(world: "QueueWorld") -> None:
    """I3: nothing is landed, in the log or by the fold, without a swap from the tip that it was built on."""
    log = world.evidence
    for swap in log.fresh("I3", "swaps", world.swaps):
        commit, expected = swap.landing.commit, swap.landing.expected
        known = [(one.commit, one.expected) for one in log.announced(swap.at)]
        _demand((commit, expected) in known, "I3", "the target moved without an announcement")
        from_tip = swap.before == expected == world.parents[commit][0]
        _demand(from_tip, "I3", "a commit landed on another tip than the one it was built on")
    by_commit = {swap.landing.commit: swap for swap in world.swaps}
    for at, fact in log.fresh("I3", "landed", log.landed):
        done = by_commit.get(fact.commit)
        true = done is not None and done.at <= at and {*fact.entries} <= {*done.landing.entries}
        _demand(true, "I3", f"{fact.entries} are said to have landed and the target did not move")
    moved = {name for swap in world.swaps for name in swap.landing.entries}
    claimed = {n for n, entry in world.state.entries.items() if entry.status is MergeStatus.MERGED}
    _demand(claimed <= moved, "I3", f"{claimed - moved} count as landed and the target did not move")


def sealed_heads(world: "QueueWorld") -> None:
    """I4: the commit that landed joins the tip with the very heads that were sealed."""
    for swap in world.evidence.fresh("I4", "swaps", world.swaps):
        heads = tuple(world.evidence.seal(name, swap.at).head for name in swap.landing.entries)
        joined = world.parents[swap.landing.commit][1:]
        _demand(joined == heads, "I4", f"{swap.landing.entries} landed at other heads than were sealed")


def just_ejections(world: "QueueWorld") -> None:
    """I5: an ejected entry failed a tree where nobody else was unverified, and the target passes.

    It is the tree of a candidate, its own, or one in which its partner was looked for. A partner is named
    exactly when its own tree passes, and does not go together with it.
    """
    for ejection in world.evidence.fresh("I5", "ejections", world.evidence.ejections):
        _judge_ejection(world, ejection)


def _judge_ejection(world: "QueueWorld", ejection: Ejection) -> None:
    name, at, log = ejection.fact.entry_id, ejection.at, world.evidence
    check = next((c for c in log.seal(name, at).checks if c.id == ejection.fact.check), None)
    if check is None:
        raise Broken("I5", f"{name} was ejected for a check that it does not need")

    def fails(place: Checkable) -> bool:
        found = log.found(world.key(check, place), at)
        return bool(found) and found[-1] is not Verdict.PASSED

    landed, candidates = log.landed_by(at), log.candidates_of(name, at)
    alone = [place for place in candidates if {*place.entries} - landed <= {name} and fails(place)]
    probes = [probe for probe in log.probes_of(name, at) if fails(probe.fact)]
    _demand(bool(alone or probes), "I5", f"{name} was ejected and failed nowhere alone")
    probed = {world.key(check, probe.fact) for probe in log.probes_of(name, at)}
    keys = _keys(world, candidates, at) | probed
    every = Counter(verdict for key in keys for verdict in log.found(key, at))
    often = every[Verdict.FAILED] > world.limits.retry_flaky
    broken = every[Verdict.ERROR] + every[Verdict.TIMED_OUT] > world.limits.retry_broken
    _demand(often or broken, "I5", f"{name} was ejected without another try")
    below = [(place.tree, _below(world, ejection, place)) for place in alone]
    below += [(probe.fact.tree, [probe.tip]) for probe in probes]
    trees = [tree for tree, tips in below if _is_green(world, ejection, check, tips)]
    _demand(bool(trees), "I5", f"{name} was ejected and what it stood on had not passed")
    if world.honest:
        red = any(world.weather.is_red(world.contents[tree]) for tree in trees)
        _demand(red, "I5", f"{name} is innocent")
        _judge_partners(world, ejection)


def _judge_partners(world: "QueueWorld", ejection: Ejection) -> None:
    name, partners = ejection.fact.entry_id, ejection.fact.partners
    own = world.weather.is_red(world.contents[world.evidence.seal(name, ejection.at).head])
    _demand(bool(partners) is not own, "I5", f"{name} is told {partners} though its own tree says otherwise")
    entries, landed = world.state.entries, world.evidence.landed_by(ejection.at)
    for partner in partners:
        theirs = {partner} & landed or world.contents[ejection.tip.tree].difference(entries)
        true = any(name in quarrel and quarrel & theirs for quarrel in world.weather.quarrels)
        _demand(true, "I5", f"{name} goes together with {partner}")


def _below(world: "QueueWorld", ejection: Ejection, place: MergeChecking) -> list[Commit]:
    """The tips that a candidate's tree is, without the ejected entry; the present one says as much."""
    entry = world.evidence.seal(ejection.fact.entry_id, ejection.at)
    rest = world.contents[place.tree] - (world.contents[entry.head] - world.contents[entry.base])
    former = (tip for tip in world.history if world.contents[place.tip] <= world.contents[tip] <= rest)
    return [ejection.tip.commit, *former]


def _is_green(world: "QueueWorld", ejection: Ejection, check: CheckSpec, tips: Iterable[Commit]) -> bool:
    """Whether the first of these tips that has a passing verdict deserves it; none has: False."""
    for commit in tips:
        held = world.contents[commit]
        tip = Tip(commit=commit, tree=tree_of(held))
        for ground in (tip, replace(tip, contents=world.weather.seen(held))):
            verdicts = world.evidence.found(world.key(check, ground), ejection.at)
            if verdicts and verdicts[-1] is Verdict.PASSED:
                return not world.honest or not world.weather.is_red(held)
    return False


def _keys(world: "QueueWorld", candidates: Iterable[MergeChecking], at: int) -> set[str]:
    """The keys of all checks of these candidates."""
    return {
        world.key(check, place)
        for place in candidates
        for member in place.entries
        for check in world.evidence.seal(member, at).checks
    }


def progress(world: "QueueWorld") -> None:
    """I6: while work waits that nobody holds up, something is under check."""
    world.evidence.examined["I6"] += 1
    if world.state.halted is not None:
        return
    _demand(world.state.landing is None, "I6", "a landing was left open")
    idle = not world.flying and set(world.state.open) != held_up(world)
    _demand(not idle, "I6", f"{set(world.state.open) - held_up(world)} wait and nothing is under check")


def whole_diffs(world: "QueueWorld") -> None:
    """I7: the landed tree is what was on the target and every member's diff, and nothing else."""
    for swap in world.evidence.fresh("I7", "swaps", world.swaps):
        due = world.contents[swap.before]
        for name in swap.landing.entries:
            entry = world.evidence.seal(name, swap.at)
            due |= world.contents[entry.head] - world.contents[entry.base]
        held = world.contents[swap.landing.commit]
        _demand(due <= held, "I7", f"{due - held} is missing from what landed")
        _demand(held <= due, "I7", f"{held - due} landed inside other work")


def no_starvation(world: "QueueWorld") -> None:
    """I8: whoever is open stands in line, is asked about, or waits for a person or somebody else who is open.

    That its turn really comes is shown by `live_to_the_end`.
    """
    world.evidence.examined["I8"] += len(world.state.open)
    if world.state.halted is not None:
        return
    in_line = set(line_up(world.state, world.limits.aging_s, world.now))
    asked = {name for name in world.state.open if world.state.entries[name].questioned}
    for name in set(world.state.open) - in_line - asked - held_up(world):
        waits_for = [need for need in world.state.entries[name].needs if need in world.state.open]
        _demand(bool(waits_for), "I8", f"{name} is in no line and waits for nobody")


def live_to_the_end(world: "QueueWorld") -> int:
    """I8: when faults cease, all who wait come to an end, though more important work comes all the time.

    Each turn the checkers end, somebody adds work of the highest priority and one step of aging goes by. The
    number of turns it took.
    """
    from tests.fakes.random_queues import add  # it knows the world, which knows us

    old = set(world.state.open)
    world.evidence.examined["I8"] += len(old)
    world.calm_down()
    for turn in range(int(_LONGEST_WAIT * max(1.0, world.limits.min_gain))):
        if not old & set(world.state.open):
            return turn
        if world.state.halted is not None or world.weather.is_red(world.contents[world.tip]):
            world.calm_down()  # what landed without any check was red: somebody repairs the target
        add(world, f"late{turn}", priority=0)
        world.pass_time(world.limits.aging_s)
        world.step()
        for key in sorted(world.flying):
            if key in world.flying:
                world.answer(key, world.truth(key))
        world.step()
    raise Broken("I8", f"{old & set(world.state.open)} starve")


_LONGEST_WAIT = 60
"""Turns of `live_to_the_end`; so many times more for who asks that a candidate promise several landings.

A group that failed gains one landing's weight for every eight that overtake it, until it is worth a checker.
"""

PROMISES: Mapping[str, Callable[["QueueWorld"], None]] = {
    "I1": verified_tips,
    "I2": landed_once,
    "I3": compared_and_swapped,
    "I4": sealed_heads,
    "I5": just_ejections,
    "I6": progress,
    "I7": whole_diffs,
    "I8": no_starvation,
}
