"""The merge queue's promises, kept in many small worlds: see `tests/fakes/queue_world.py` for the rules."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, EntryId
from cli_multi_rapid.core.merge_events import CheckFinished, MergeEntry
from cli_multi_rapid.core.merge_policy import (
    MAX_MISSES,
    QueueLimits,
    choose_prefix,
    line,
    may_rerun,
    verdict_key,
)
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_state import Prefix, TreeRecord
from tests.fakes.queue_world import MAIN, TESTS, Changes, QueueWorld, Weather, tree_of

LINT = CheckSpec(id=CheckId("lint"), run="ruff check .")
seeds = st.integers(0, 2**32)


def world(
    seed: int = 0,
    *,
    limits: QueueLimits | None = None,
    culprits: str = "",
    held: float = 0.0,
    moves: float = 0.0,
) -> QueueWorld:
    return QueueWorld(
        weather=Weather(culprits=frozenset(culprits.split()), held=held, moves=moves),
        random=Random(seed),
        limits=limits or QueueLimits(),
    )


def add(
    queue: QueueWorld,
    name: str,
    *,
    deps: str = "",
    after: str = "",
    priority: int = 1,
    checks: tuple[CheckSpec, ...] = (TESTS,),
    asks: bool = False,
) -> EntryId:
    """An entry of one change, built on what it depends on and what it comes after."""
    before = [EntryId(other) for other in (*deps.split(), *after.split())]
    base: Changes = queue.contents[queue.tip]
    for other in before:
        base |= queue.contents[queue.state.entries[other].entry.head]
    entry = MergeEntry(
        id=EntryId(name),
        branch=Branch(f"lane/{name}"),
        head=queue.commit(base | {name}),
        base=queue.commit(base),
        target=MAIN,
        priority=priority,
        deps=tuple(map(EntryId, deps.split())),
        after=tuple(map(EntryId, after.split())),
        checks=checks,
        needs_approval=asks,
    )
    queue.enqueue(entry)
    return entry.id


def statuses(queue: QueueWorld) -> dict[str, MergeStatus]:
    return {str(name): entry.status for name, entry in queue.state.entries.items()}


def names(queue: QueueWorld, *status: MergeStatus) -> set[str]:
    return {name for name, found in statuses(queue).items() if found in status}


def random_world(seed: int, *, honest: bool) -> QueueWorld:
    random = Random(seed)
    size = random.randint(1, 9)
    words = [f"e{number}" for number in range(size)]
    chance = random.choice
    weather = Weather(
        culprits=frozenset(word for word in words if random.random() < chance([0, 0.1, 0.4, 1])),
        quarrels=tuple(
            frozenset(random.sample(words, chance([2, 2, 3])))
            for _ in range(chance([0, 0, 1, 3]))
            if size >= 3
        ),
        clashes=tuple((random.choice(words), random.choice(words)) for _ in range(chance([0, 0, 1, 2]))),
        flake=0.0 if honest else chance([0, 0.1, 0.5]),
        broken=0.0 if honest else chance([0, 0.1, 0.5]),
        held=chance([0, 0, 0.2]),
        moves=chance([0, 0, 0.1, 0.5]),
    )
    if random.random() < 0.1:
        weather.culprits |= {"base"}
    limits = QueueLimits(
        batch=chance([1, 2, 64]), retry_flaky=chance([0, 1, 2]), retry_broken=chance([0, 1]), aging_s=60
    )
    queue = QueueWorld(weather=weather, random=random, limits=limits)
    while words or queue.flying or random.random() < 0.5:
        live(queue, words)
    return queue


def live(queue: QueueWorld, words: list[str]) -> None:
    """One thing happens."""
    random = queue.random
    happening = random.random()
    if words and happening < 0.5:
        add_random(queue, words.pop(0))
    elif happening < 0.55 and queue.state.entries:
        queue.withdraw(random.choice(list(queue.state.entries)), "withdrawn")
    elif happening < 0.6 and queue.state.open:
        queue.approve(random.choice(list(queue.state.open)), "ada")
    elif happening < 0.63:
        queue.resume()
    elif happening < 0.7:
        queue.pass_time(random.choice([1, 50, 500]))
    elif queue.flying:
        queue.deliver(random.choice(sorted(queue.flying)))
    if random.random() < 0.8:
        queue.step()


def add_random(queue: QueueWorld, name: str) -> None:
    random = queue.random
    usable = [str(n) for n, e in queue.state.entries.items() if e.status not in MERGE_DEAD]
    random.shuffle(usable)
    deps, after = usable[: random.choice([0, 0, 1, 2])], usable[2 : 2 + random.choice([0, 0, 1])]
    add(
        queue,
        name,
        deps=" ".join(deps),
        after=" ".join(after),
        priority=random.randint(0, 2),
        checks=random.choice([(TESTS,), (TESTS,), (TESTS, LINT), (LINT,), ()]),
        asks=random.random() < 0.1,
    )


# --- any world ----------------------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=300)
def test_a_queue_keeps_its_promises_while_checks_flake_and_break(seed: int) -> None:
    queue = random_world(seed, honest=False)
    queue.finish()
    queue.check_end()


@given(seeds)
@settings(max_examples=300)
def test_with_honest_checks_no_innocent_is_ejected_and_nothing_red_lands(seed: int) -> None:
    queue = random_world(seed, honest=True)
    queue.finish()
    queue.check_end()
    if queue.state.halted is None and all(e.entry.checks for e in queue.state.entries.values()):
        tips = [queue.weather.is_red(queue.contents[commit]) for commit in queue.history]
        assert not any(tips[1:]) or tips[0]


@given(seeds)
@settings(max_examples=60)
def test_a_halted_queue_goes_on_when_the_cause_is_gone(seed: int) -> None:
    queue = random_world(seed, honest=False)
    queue.finish()
    queue.weather = Weather()
    queue.resume()
    for entry_id in list(queue.state.open):
        queue.approve(entry_id, "ada")
    queue.finish()
    queue.check_end()
    assert not queue.state.open
    assert queue.state.halted is None


@given(seeds, st.sets(st.integers(0, 11)), st.sampled_from([1, 3, 64]))
@settings(max_examples=60)
def test_exactly_the_culprits_are_ejected_and_all_others_land(seed: int, bad: set[int], batch: int) -> None:
    culprits = {f"e{number}" for number in bad}
    queue = world(seed, culprits=" ".join(culprits), limits=QueueLimits(batch=batch))
    everybody = {str(add(queue, f"e{number}")) for number in range(12)}
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == culprits
    assert names(queue, MergeStatus.MERGED) == everybody - culprits
    assert queue.contents[queue.tip] == {"base"} | (everybody - culprits)


@given(seeds)
@settings(max_examples=60)
def test_what_needs_a_culprit_is_called_off_and_what_merely_came_after_it_lands_without(seed: int) -> None:
    queue = world(seed, culprits="bad")
    add(queue, "bad")
    add(queue, "needs", deps="bad")
    add(queue, "needs-too", deps="needs")
    add(queue, "after", after="bad")
    add(queue, "after-that", after="after")
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"bad"}
    assert names(queue, MergeStatus.CANCELLED) == {"needs", "needs-too"}
    assert queue.contents[queue.tip] == {"base", "after", "after-that"}
    assert queue.state.entries[EntryId("needs-too")].reason == "needs, which it depends on, did not land"


@given(seeds)
@settings(max_examples=30)
def test_of_two_that_are_only_red_together_the_first_in_line_lands(seed: int) -> None:
    queue = world(seed)
    queue.weather.quarrels = (frozenset({"late", "early"}),)
    for name, priority in (("late", 2), ("bystander", 2), ("early", 0)):
        add(queue, name, priority=priority)
    queue.finish()
    assert names(queue, MergeStatus.MERGED) == {"early", "bystander"}
    assert names(queue, MergeStatus.FAILED) == {"late"}


# --- the number of check runs -------------------------------------------------------------------------------


def runs(queue: QueueWorld) -> int:
    return sum(map(len, queue.results.values()))


def test_a_green_burst_lands_as_one_train_with_one_run_of_each_check() -> None:
    queue = world()
    for number in range(60):
        add(queue, f"e{number}", checks=(TESTS, LINT))
    queue.finish()
    assert len(queue.history) == 2
    assert runs(queue) == 2


def test_one_culprit_among_64_is_found_by_halving() -> None:
    queue = world(culprits="e37")
    for number in range(64):
        add(queue, f"e{number}")
    queue.finish()
    assert names(queue, MergeStatus.FAILED) == {"e37"}
    assert len(queue.landed_order) == 63
    assert runs(queue) <= 12  # one for all, six halvings, the flake's second chance, the tip, what is left


def test_an_equal_tree_lands_without_a_check_run() -> None:
    queue = world()
    add(queue, "e")
    queue.finish()
    before = runs(queue)
    queue.tip = queue.history[0]  # somebody put the target back
    queue.cached = None
    again = replace(queue.state.entries[EntryId("e")].entry, id=EntryId("again"))
    queue.enqueue(again)
    queue.finish()
    assert statuses(queue)["again"] is MergeStatus.MERGED
    assert runs(queue) == before


def test_nothing_that_passed_is_run_again_when_a_later_one_fails() -> None:
    queue = world(culprits="b")
    add(queue, "a")
    add(queue, "b")
    queue.finish()
    assert queue.landed_order == ["a"]
    assert Verdict.PASSED not in [v for found in queue.results.values() for v in found[1:]]


# --- flakes, broken checks, a red or restless target --------------------------------------------------------


def scripted(queue: QueueWorld, *verdicts: Verdict) -> list[Verdict]:
    """Deliver these outcomes for whatever is checked next; returns those that nobody asked for."""
    rest = list(verdicts)
    queue.step()
    while queue.flying and rest:
        key = next(iter(queue.flying))
        check, order = queue.flying.pop(key)
        verdict = rest.pop(0)
        queue.results.setdefault(key, []).append(verdict)
        queue.record(
            CheckFinished(check=check.id, tree=order.tree, key=key, verdict=verdict, reason="scripted")
        )
        queue.step()
    return rest


P, F, E, T = Verdict.PASSED, Verdict.FAILED, Verdict.ERROR, Verdict.TIMED_OUT


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        ([P], MergeStatus.MERGED),
        ([F, P], MergeStatus.MERGED),
        ([F, F, P], MergeStatus.FAILED),
        ([E, E, P], MergeStatus.MERGED),
        ([E, T, E, P], MergeStatus.FAILED),
        ([F, E, F, P], MergeStatus.FAILED),
        ([F, F, F, P], MergeStatus.FAILED),
        ([F, F, E, E, P], MergeStatus.FAILED),
        ([F, F, F, F], MergeStatus.QUEUED),
        ([E, E, E, E, E, E], MergeStatus.QUEUED),
    ],
)
def test_a_lone_entry_and_the_target_each_get_a_second_chance(
    found: list[Verdict], ends: MergeStatus
) -> None:
    queue = world()
    queue.weather.flake = queue.weather.broken = 0.5  # so that the world expects surprises
    add(queue, "e")
    assert scripted(queue, *found) == []
    assert not queue.flying
    assert statuses(queue) == {"e": ends}
    assert (queue.state.halted is not None) is (ends is MergeStatus.QUEUED)


def test_a_red_target_halts_the_queue_before_anybody_is_blamed_and_a_repair_sets_it_going() -> None:
    queue = world(culprits="base")
    for name in ("a", "b", "c"):
        add(queue, name)
    queue.finish()
    assert queue.state.halted is not None
    assert queue.state.halted.startswith("main itself fails tests")
    assert names(queue, MergeStatus.QUEUED) == {"a", "b", "c"}
    queue.weather.culprits = frozenset()  # the machine was repaired: the target is as it was
    queue.resume()
    queue.finish()
    assert queue.landed_order == ["a", "b", "c"]


def test_a_target_that_never_rests_stops_the_queue_with_a_clear_word() -> None:
    queue = world(moves=1.0)
    add(queue, "a")
    queue.finish()
    assert queue.state.halted == f"main was moved by somebody else {MAX_MISSES + 1} times in a row"
    queue.weather.moves = 0.0
    queue.resume()
    queue.finish()
    assert queue.landed_order == ["a"]


def test_an_entry_that_adds_nothing_to_a_red_target_is_not_blamed() -> None:
    queue = world(culprits="base")
    empty = MergeEntry(
        id=EntryId("empty"), branch=Branch("b"), head=queue.tip, base=queue.tip, target=MAIN, checks=(TESTS,)
    )
    queue.enqueue(empty)
    queue.finish()
    assert queue.state.halted is not None
    assert statuses(queue) == {"empty": MergeStatus.QUEUED}


def test_a_check_that_was_stopped_with_its_candidate_is_not_waited_for() -> None:
    queue = world()
    add(queue, "a")
    queue.step()
    assert queue.flying
    queue.withdraw(EntryId("a"), "changed my mind")
    assert not queue.flying
    assert not queue.state.open


# --- order --------------------------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=150)
def test_the_line_always_takes_the_first_of_those_that_can_go(seed: int) -> None:
    random = Random(seed)
    queue = QueueWorld(weather=Weather(), random=random, limits=QueueLimits(aging_s=100))
    for number in range(random.randint(0, 12)):
        add_random(queue, f"e{number}")
        queue.pass_time(random.choice([0, 10, 250]))
    expected: list[EntryId] = []
    left = {n for n in queue.state.open if not queue.state.entries[n].entry.needs_approval}

    def free(name: EntryId) -> bool:
        entry = queue.state.entries[name].entry
        return all(need in expected for need in (*entry.deps, *entry.after))

    def rank(name: EntryId) -> tuple[int, int]:
        entry = queue.state.entries[name]
        waited = int((queue.now - entry.enqueued_at).total_seconds())
        return entry.entry.priority - waited // 100, entry.place

    while able := [name for name in left if free(name)]:
        chosen = min(able, key=rank)
        expected.append(chosen)
        left.discard(chosen)
    assert line(queue.state, queue.limits, queue.now) == tuple(expected)


def test_priorities_decide_who_lands_first_when_batches_are_small() -> None:
    queue = world(limits=QueueLimits(batch=1))
    for name, priority in (("low", 2), ("mid", 1), ("high", 0), ("high-too", 0)):
        add(queue, name, priority=priority)
    queue.finish()
    assert queue.landed_order == ["high", "high-too", "mid", "low"]


def test_who_waits_long_enough_overtakes_the_newcomers() -> None:
    queue = world(limits=QueueLimits(batch=1, aging_s=60))
    add(queue, "old", priority=2)
    queue.pass_time(121)
    add(queue, "new", priority=1)
    assert line(queue.state, queue.limits, queue.now) == ("old", "new")


def test_a_clock_that_went_back_makes_nobody_younger_than_new() -> None:
    queue = world()
    add(queue, "a", priority=1)
    queue.pass_time(-100_000)
    add(queue, "b", priority=1)
    assert line(queue.state, queue.limits, queue.now) == ("a", "b")


def test_who_waits_for_consent_or_for_a_person_holds_up_only_what_needs_it() -> None:
    queue = world()
    add(queue, "asks", asks=True)
    add(queue, "needs", deps="asks")
    add(queue, "free")
    queue.finish()
    assert queue.landed_order == ["free"]
    queue.check_end()
    queue.approve(EntryId("asks"), "ada")
    queue.finish()
    assert queue.landed_order == ["free", "asks", "needs"]


def test_a_held_entry_is_tried_again_when_the_queue_is_set_going() -> None:
    queue = world(held=1.0)
    add(queue, "a")
    queue.finish()
    assert statuses(queue) == {"a": MergeStatus.BLOCKED}
    assert queue.state.entries[EntryId("a")].command == "git"
    queue.weather.held = 0.0
    queue.resume()
    queue.finish()
    assert queue.landed_order == ["a"]


# --- small parts --------------------------------------------------------------------------------------------

ids = st.lists(st.integers(0, 9).map(lambda n: EntryId(f"e{n}")), unique=True).map(tuple)


@given(ids, st.integers(0, 10), st.integers(1, 5))
def test_a_failing_prefix_is_halved_and_anything_else_is_tried_whole(
    order: Prefix, failing: int, batch: int
) -> None:
    limits = QueueLimits(batch=batch)
    known = order[:failing]
    chosen = choose_prefix(order, known, limits)
    assert chosen == order[: len(chosen)]
    assert bool(chosen) is bool(order)
    if known:
        assert len(chosen) == max(1, len(known) // 2)
    else:
        assert len(chosen) == min(batch, len(order))


def test_a_failing_prefix_that_is_no_longer_first_in_line_says_nothing() -> None:
    a, b, c = EntryId("a"), EntryId("b"), EntryId("c")
    assert choose_prefix((c, a, b), (a, b), QueueLimits()) == (c, a, b)


def outcome(verdict: Verdict, *, reused: bool = False) -> CheckFinished:
    tree = tree_of(frozenset())
    return CheckFinished(check=CheckId("tests"), tree=tree, key="k", verdict=verdict, reused=reused)


@given(st.lists(st.sampled_from(Verdict), min_size=1), st.booleans(), st.integers(0, 3), st.integers(0, 3))
def test_a_check_is_run_again_a_bounded_number_of_times(
    found: list[Verdict], alone: bool, flaky: int, broken: int
) -> None:
    record = TreeRecord(outcomes=[outcome(verdict) for verdict in found])
    limits = QueueLimits(retry_flaky=flaky, retry_broken=broken)
    expected = {
        Verdict.PASSED: False,
        Verdict.FAILED: alone and found.count(F) <= flaky,
        Verdict.ERROR: found.count(E) + found.count(T) <= broken,
        Verdict.TIMED_OUT: found.count(E) + found.count(T) <= broken,
    }[found[-1]]
    assert may_rerun(record, limits, alone=alone) is expected


@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_verdicts_are_shared_only_by_what_would_run_the_same(one: str, other: str, more: str) -> None:
    tree = tree_of(frozenset({"x"}))
    base = CheckSpec(id=CheckId("c"), argv=(one, other))
    same = replace(base, timeout_s=5.0)
    assert verdict_key(base, tree, more) == verdict_key(same, tree, more)
    different = [
        replace(base, argv=(one, other, more)),
        replace(base, argv=(), run=one),
        replace(base, env={"A": one}),
        replace(base, min_time_s=1.5),
        replace(base, id=CheckId("d")),
    ]
    keys = [verdict_key(check, tree, more) for check in different]
    assert verdict_key(base, tree, more) not in keys
    assert verdict_key(base, tree_of(frozenset({"y"})), more) != verdict_key(base, tree, more)
    assert verdict_key(base, tree, more + "!") != verdict_key(base, tree, more)
