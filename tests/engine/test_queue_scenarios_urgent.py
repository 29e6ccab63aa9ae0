"""Entries with a right of their own: an urgent one goes ahead of what waits, a solo one lands by itself."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.merge_events import MergeFailed
from cli_multi_rapid.core.node_state import MergeStatus
from tests.fakes.meanwhile import shell_wait
from tests.fakes.moments import Moment, interrupted
from tests.fakes.queues import QueueBench, check

A_CHECK_BEGINS = Moment(type="check.started")
SOMETHING_LANDED = Moment(type="merge.landed")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_urgent_entry_that_comes_while_others_are_checked_lands_before_them_and_they_land_too(
    bench: QueueBench, tmp_path: Path, workers: int
) -> None:
    go = tmp_path / "go"
    slow_without_it = check(f"[ -e src/urgent.txt ] || {{ {shell_wait(go)}; }}")
    bench.branch("urgent", {"src/urgent.txt": "urgent\n"})
    for name in ("p", "q", "r"):
        bench.add(name, checks=[slow_without_it])
    meanwhile = interrupted(
        bench, A_CHECK_BEGINS, lambda: bench.add("urgent", checks=[slow_without_it], urgent=True)
    )
    outcome = interrupted(meanwhile, SOMETHING_LANDED, go.touch).process(workers=workers)
    assert outcome.trains[0] == ["urgent"]
    assert sorted(outcome.merged) == ["p", "q", "r", "urgent"]
    bench.assert_sound(outcome)


def test_an_entry_that_is_promoted_while_it_waits_lands_first_and_once(
    bench: QueueBench,
) -> None:
    for name in ("p", "q", "late"):
        bench.add(name, priority=2)
    bench.ask("withdraw", "late")
    bench.heads["promoted"] = bench.heads["late"]
    bench.repository.branch("work/promoted", "work/late")
    bench.add("promoted", urgent=True)
    outcome = bench.process(batch=1)
    assert outcome.trains[0] == ["promoted"]
    assert outcome.status("late") is MergeStatus.CANCELLED
    assert sorted(outcome.merged) == ["p", "promoted", "q"]
    bench.assert_sound(outcome)


def test_an_urgent_entry_that_fails_leaves_and_holds_nobody_up(bench: QueueBench) -> None:
    for name in ("p", "q"):
        bench.add(name)
    bench.add("urgent", {"src/urgent.txt": "BAD\n"}, urgent=True)
    outcome = bench.process()
    assert outcome.status("urgent") is MergeStatus.FAILED
    assert sorted(outcome.merged) == ["p", "q"]
    bench.assert_sound(outcome)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_an_entry_marked_solo_lands_by_itself_and_the_others_land_around_it(
    bench: QueueBench, place: int
) -> None:
    names = ["p", "q", "r"]
    names.insert(place, "solo")
    for name in names:
        bench.add(name, solo=name == "solo")
    outcome = bench.process()
    assert ["solo"] in outcome.trains
    assert sorted(name for train in outcome.trains for name in train) == ["p", "q", "r", "solo"]
    bench.assert_sound(outcome)


def test_when_one_marked_solo_fails_nobody_else_is_blamed(bench: QueueBench) -> None:
    for name in ("p", "solo", "q"):
        bench.add(name, {f"src/{name}.txt": "BAD\n" if name == "solo" else "fine\n"}, solo=name == "solo")
    outcome = bench.process()
    failed = [fact.entry_id for fact in outcome.all_of(MergeFailed) if isinstance(fact, MergeFailed)]
    assert failed == ["solo"]
    assert sorted(outcome.merged) == ["p", "q"]
    bench.assert_sound(outcome)
