"""Who waits for whom: checkers, priority, dependencies that are still merging, and what changes meanwhile."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.engine.queue_entries import Queueable, QueueWish, entry_for
from cli_multi_rapid.engine.workshop import Workshop
from tests.fakes.landings import run_by_hand
from tests.fakes.meanwhile import shell_wait
from tests.fakes.moments import Moment, interrupted
from tests.fakes.queues import MAIN, Outcome, QueueBench, check

A_CHECK_BEGINS = Moment(type="check.started")
A_LANDING_BEGINS = Moment(type="merge.landing")


def landed_in_order(outcome: Outcome) -> list[str]:
    """Every entry that landed, in the order of the target's history."""
    return [name for train in outcome.trains for name in train]


# --- checkers ---------------------------------------------------------------------------------------------


def test_checks_run_side_by_side_and_the_work_lands_by_priority_then_arrival(
    bench: QueueBench, tmp_path: Path
) -> None:
    lint, tests = tmp_path / "lint", tmp_path / "tests"
    checks = [
        check(f"touch {lint}; {shell_wait(tests)}", name="lint"),
        check(f"touch {tests}; {shell_wait(lint)}", name="tests"),
    ]
    for name, priority in (("low", 2), ("first", 1), ("second", 1), ("high", 0)):
        bench.add(name, checks=checks, priority=priority)
    outcome = bench.process(workers=2)
    assert landed_in_order(outcome) == ["high", "first", "second", "low"]
    bench.assert_sound(outcome)


@pytest.mark.parametrize("workers", [1, 2])
def test_never_more_checks_run_at_once_than_there_are_checkers(
    bench: QueueBench, tmp_path: Path, workers: int
) -> None:
    pids, seen = tmp_path / "pids", tmp_path / "seen"
    pids.mkdir()
    # A checker that was called off is killed: it counts no more, though its file is left.
    alive = f"for f in {pids}/*; do kill -0 ${{f##*/}} 2>/dev/null && echo $$; done | wc -l >> {seen}"
    counted = f"touch {pids}/$$; {alive}; sleep 0.02; rm {pids}/$$"
    checks = [check(f"{counted}; ! grep -rq BAD src", name=name) for name in ("lint", "tests", "types")]
    for name in "pqrs":
        bench.add(name, {f"src/{name}.txt": "BAD\n" if name == "r" else "fine\n"}, checks=checks)
    outcome = bench.process(workers=workers)
    assert sorted(outcome.merged) == ["p", "q", "s"]
    assert max(map(int, seen.read_text().split())) <= workers
    bench.assert_sound(outcome)


# --- dependencies that are still merging ------------------------------------------------------------------


@pytest.mark.parametrize("moment", [A_CHECK_BEGINS, A_LANDING_BEGINS], ids=["under check", "landing"])
def test_what_is_built_on_work_that_is_still_merging_joins_and_lands_after_it(
    bench: QueueBench, moment: Moment
) -> None:
    bench.branch("base", {"src/base.txt": "base\n"})
    bench.branch("top", {"src/top.txt": "top\n"}, start="work/base")
    bench.add("base")
    outcome = interrupted(bench, moment, lambda: bench.add("top", deps=["base"])).process()
    assert landed_in_order(outcome) == ["base", "top"]
    bench.assert_sound(outcome)


def test_what_depends_on_work_that_waits_for_a_person_waits_with_it_and_lands_after_it(
    bench: QueueBench,
) -> None:
    bench.add("base", update_checkout=False)
    bench.add("top", start="work/base", deps=["base"])
    bench.add("free")
    outcome = bench.process()
    assert outcome.status("base") is MergeStatus.BLOCKED
    assert "top" not in outcome.merged
    run_by_hand(bench.repository, outcome.entries["base"].command)
    outcome = bench.process()
    assert sorted(outcome.merged) == ["base", "free", "top"]
    bench.assert_sound(outcome)


# --- what changes while it waits --------------------------------------------------------------------------


def test_a_commit_that_comes_to_a_branch_while_it_is_checked_stays_on_the_branch_and_does_not_land(
    bench: QueueBench,
) -> None:
    bench.add("p")
    newer: list[Commit] = []

    def commit() -> None:
        tree = bench.repository.tree_of("work/p")
        newer.append(Commit(bench.repository.git("commit-tree", tree, "-p", "work/p", "-m", "newer")))
        bench.repository.git("update-ref", "refs/heads/work/p", newer[0])

    outcome = interrupted(bench, A_CHECK_BEGINS, commit).process()
    assert outcome.merged == ["p"]
    assert bench.repository.try_git("merge-base", "--is-ancestor", newer[0], "main").returncode == 1
    assert bench.repository.commit_of("work/p") == newer[0]
    bench.assert_sound(outcome)


def with_check(shop: Workshop, spec: CheckSpec) -> Workshop:
    """The same workshop after the configuration of a check changed."""
    policies = replace(shop.policies, checks={spec.id: spec}, checklist=(spec.id,))
    return replace(shop, policies=policies)


def test_when_a_check_is_defined_anew_a_waiting_branch_that_is_added_again_must_pass_the_new_one(
    bench: QueueBench,
) -> None:
    bench.branch("p", {"src/p.txt": "STALE\n"})
    wish = QueueWish(branch=Branch("work/p"), target=MAIN, checklist=None)
    journal = queue_journal(bench.shop, MAIN)
    for line in ("true", "! grep -rq STALE src"):
        shop = with_check(bench.shop, check(line))
        found = entry_for(shop, journal.state, wish)
        assert isinstance(found, Queueable)
        for older in found.replaces:
            bench.ask("withdraw", older)
        bench.submit_entry(found.entry)
        journal.catch_up()
    outcome = bench.process()
    assert [entry.status for entry in outcome.entries.values()] == [
        MergeStatus.CANCELLED,
        MergeStatus.FAILED,
    ]
    assert outcome.merged == []


def test_entries_with_two_definitions_of_one_check_are_each_checked_by_their_own(
    bench: QueueBench, tmp_path: Path
) -> None:
    before, since = tmp_path / "before", tmp_path / "since"
    bench.add("old", checks=[check(f"touch {before}", name="tests")])
    bench.add("new", checks=[check(f"touch {since}; [ -e src/new.txt ]", name="tests")])
    outcome = bench.process()
    assert sorted(outcome.merged) == ["new", "old"]
    assert before.exists()
    assert since.exists()
    bench.assert_sound(outcome)
