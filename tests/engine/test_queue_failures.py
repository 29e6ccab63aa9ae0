"""What the merge queue does with entries that fail: it finds them, names them, and lands the others."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.merge_events import CheckFinished, MergeCancelled, MergeFailed, MergeResealed
from cli_multi_rapid.core.node_state import MergeStatus
from tests.fakes.meanwhile import meanwhile, shell_wait, wait_for
from tests.fakes.queues import Outcome, QueueBench, check

BAD = "BAD\n"


def add_all(bench: QueueBench, names: str, *bad: str) -> None:
    """Queue entries with a file each; some of them hold what the check refuses."""
    for name in names.split():
        bench.add(name, {f"src/{name}.txt": BAD if name in bad else f"{name}\n"})


def ejected(outcome: Outcome) -> list[str]:
    """The entries that left because a check failed, in order."""
    return [fact.entry_id for fact in outcome.all_of(MergeFailed) if isinstance(fact, MergeFailed)]


def passed_trees(outcome: Outcome) -> list[tuple[str, str]]:
    """The tree and check of every pass of a checker."""
    facts = [fact for fact in outcome.all_of(CheckFinished) if isinstance(fact, CheckFinished)]
    return [(f.tree, f.check) for f in facts if f.verdict is Verdict.PASSED and not f.reused]


@pytest.mark.parametrize("bad", ["a", "b", "c", "d"])
def test_one_failing_entry_at_any_place_is_ejected_once_and_the_others_land(
    bench: QueueBench, bad: str
) -> None:
    add_all(bench, "a b c d", bad)
    outcome = bench.process()
    assert ejected(outcome) == [bad]
    assert outcome.merged == [name for name in "abcd" if name != bad]
    failed = outcome.entries[bad]
    assert failed.check == "ok"
    assert Path(failed.log).exists()
    assert "ok failed with exit code 1" in failed.reason
    bench.assert_sound(outcome)


def test_nothing_that_passed_is_checked_again(bench: QueueBench) -> None:
    add_all(bench, "a b c d e", "c")
    outcome = bench.process()
    assert ejected(outcome) == ["c"]
    passes = passed_trees(outcome)
    assert len(passes) == len(set(passes))


def test_two_failing_entries_at_the_head_are_both_ejected_and_the_rest_lands(bench: QueueBench) -> None:
    add_all(bench, "a b c d", "a", "b")
    outcome = bench.process()
    assert ejected(outcome) == ["a", "b"]
    assert outcome.merged == ["c", "d"]
    bench.assert_sound(outcome)


def test_one_culprit_among_eight_costs_a_few_checks_and_not_eight(bench: QueueBench) -> None:
    add_all(bench, "a b c d e f g h", "g")
    outcome = bench.process()
    assert ejected(outcome) == ["g"]
    assert len(outcome.merged) == 7
    assert outcome.checks_run <= 8  # halving, the culprit twice, the tip, and what came after it
    bench.assert_sound(outcome)


def test_of_a_pair_that_is_green_alone_and_red_together_the_first_lands_and_the_other_has_the_evidence(
    bench: QueueBench,
) -> None:
    pair = check(
        "[ ! -e src/left.txt ] || [ ! -e src/right.txt ] || { echo 'left and right clash'; exit 1; }"
    )
    for name in ("other", "left", "right", "last"):
        bench.add(name, checks=[pair])
    outcome = bench.process()
    assert outcome.merged == ["other", "left", "last"]
    assert ejected(outcome) == ["right"]
    assert "left and right clash" in outcome.entries["right"].evidence
    bench.assert_sound(outcome)


def test_of_such_a_pair_the_one_with_the_higher_priority_lands(bench: QueueBench) -> None:
    pair = check("[ ! -e src/left.txt ] || [ ! -e src/right.txt ]")
    bench.add("left", checks=[pair], priority=2)
    bench.add("right", checks=[pair], priority=0)
    outcome = bench.process()
    assert outcome.merged == ["right"]
    assert ejected(outcome) == ["left"]


def test_a_failure_that_hides_another_one_does_not_let_it_through(bench: QueueBench) -> None:
    masked = check("if [ -e src/a.txt ]; then exit 1; fi; [ ! -e src/c.txt ]")
    for name in "abcd":
        bench.add(name, checks=[masked])
    outcome = bench.process()
    assert sorted(ejected(outcome)) == ["a", "c"]
    assert outcome.merged == ["b", "d"]
    bench.assert_sound(outcome)


def test_a_failure_that_does_not_come_back_ejects_nobody(bench: QueueBench, tmp_path: Path) -> None:
    flag = tmp_path / "failed-once"
    flaky = check(f"[ -e {flag} ] || {{ touch {flag}; exit 1; }}")
    for name in "abc":
        bench.add(name, checks=[flaky])
    outcome = bench.process()
    assert outcome.merged == ["a", "b", "c"]
    assert ejected(outcome) == []
    bench.assert_sound(outcome)


def test_a_single_entry_is_judged_again_before_it_is_blamed(bench: QueueBench, tmp_path: Path) -> None:
    flag = tmp_path / "failed-once"
    bench.add("a", checks=[check(f"[ -e {flag} ] || {{ touch {flag}; exit 1; }}")])
    outcome = bench.process()
    assert outcome.verdicts == [Verdict.FAILED, Verdict.PASSED]
    assert outcome.merged == ["a"]


# --- dependencies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("base", "top"), ("top", "base")])
def test_a_dependency_lands_with_or_before_its_dependent_whichever_came_first(
    bench: QueueBench, order: tuple[str, str]
) -> None:
    bench.branch("base", {"src/base.txt": "base\n"})
    bench.branch("top", {"src/top.txt": "top\n"}, start="work/base")
    for name in order:
        bench.add(name, deps=["base"] if name == "top" else [])
    outcome = bench.process()
    assert outcome.trains == [["base", "top"]]
    bench.assert_sound(outcome)


def test_a_dependent_waits_for_a_dependency_that_is_not_in_the_queue_yet(bench: QueueBench) -> None:
    bench.add("top", deps=["base"])
    assert bench.process().merged == []
    bench.add("base")
    outcome = bench.process()
    assert outcome.trains == [["base", "top"]]


def test_when_a_needed_change_fails_its_dependents_leave_and_say_whose_fault_it_is(bench: QueueBench) -> None:
    add_all(bench, "bad fine", "bad")
    bench.add("child", start="work/bad", deps=["bad"])
    bench.add("grandchild", start="work/child", deps=["child"])
    outcome = bench.process()
    assert outcome.merged == ["fine"]
    assert ejected(outcome) == ["bad"]
    reasons = {f.entry_id: f.reason for f in outcome.all_of(MergeCancelled) if isinstance(f, MergeCancelled)}
    assert reasons == {
        "child": "bad, which it depends on, did not land",
        "grandchild": "child, which it depends on, did not land",
    }
    bench.assert_sound(outcome)


def test_what_was_only_built_on_a_failed_change_lands_without_it(bench: QueueBench) -> None:
    bench.add("bad", {"src/bad.txt": BAD})
    bench.add("later", {"src/later.txt": "later\n"}, start="work/bad", after=["bad"])
    outcome = bench.process()
    assert outcome.merged == ["later"]
    assert "src/bad.txt" not in bench.repository.files("main")
    (resealed,) = outcome.all_of(MergeResealed)
    assert isinstance(resealed, MergeResealed)
    assert bench.repository.commit_of("work/later") == resealed.head
    bench.assert_sound(outcome)


def test_what_needs_a_failed_change_though_it_was_only_built_on_it_conflicts_and_names_it(
    bench: QueueBench,
) -> None:
    bench.add("bad", {"src/start.txt": "one\nBAD\n"})
    bench.add("later", {"src/start.txt": "one\nBAD and more\n"}, start="work/bad", after=["bad"])
    outcome = bench.process()
    assert outcome.status("later") is MergeStatus.CONFLICTED
    assert outcome.entries["later"].partner == "bad"
    assert outcome.entries["later"].files == ("src/start.txt",)


# --- withdrawal -------------------------------------------------------------------------------------------


def test_a_withdrawn_entry_does_not_land(bench: QueueBench) -> None:
    add_all(bench, "a b")
    bench.ask("withdraw", "a", "not needed any more")
    outcome = bench.process()
    assert outcome.merged == ["b"]
    assert outcome.status("a") is MergeStatus.CANCELLED
    assert outcome.entries["a"].reason == "not needed any more"
    bench.assert_sound(outcome)


def test_an_entry_withdrawn_while_it_is_checked_does_not_land_and_its_checker_is_stopped(
    bench: QueueBench, tmp_path: Path
) -> None:
    started, never = tmp_path / "started", tmp_path / "never"
    slow = check(f"[ ! -e src/a.txt ] || {{ touch {started}; {shell_wait(never)}; }}")
    bench.add("a", checks=[slow])
    bench.add("b", checks=[slow])

    def withdraw() -> None:
        wait_for(started)
        with bench.world.workshop() as shop:
            QueueBench(world=bench.world, shop=shop).ask("withdraw", "a")

    with meanwhile(withdraw):
        outcome = bench.process()
    assert outcome.status("a") is MergeStatus.CANCELLED
    assert outcome.merged == ["b"]
    assert Verdict.FAILED not in outcome.verdicts
    bench.assert_sound(outcome)


def test_an_entry_that_is_withdrawn_after_it_landed_stays_landed(bench: QueueBench) -> None:
    bench.add("a")
    assert bench.process().merged == ["a"]
    bench.ask("withdraw", "a")
    outcome = bench.process()
    assert outcome.merged == ["a"]
    bench.assert_sound(outcome)
