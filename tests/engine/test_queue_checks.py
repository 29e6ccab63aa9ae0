"""Checks that die, hang, lie, litter or are missing: what the merge queue makes of their verdicts."""

from pathlib import Path

from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import CheckId
from cli_multi_rapid.core.merge_events import MergeChecking, MergeFailed, MergeSplit
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from tests.fakes.queues import NO_BAD, Outcome, QueueBench, check


def once(flag: Path, action: str) -> str:
    """A shell line that does something the first time and succeeds ever after."""
    return f"[ -e {flag} ] || {{ touch {flag}; {action}; }}"


def assert_same_candidate_again(outcome: Outcome, names: list[str]) -> None:
    """One candidate, checked twice, landed whole; nothing was split or blamed."""
    assert outcome.candidates == [names]
    assert outcome.trains == [names]
    assert outcome.checks_run == 2
    assert not outcome.all_of(MergeSplit)
    assert not outcome.all_of(MergeFailed)


def test_when_a_checker_is_killed_the_same_candidate_is_checked_again(
    bench: QueueBench, tmp_path: Path
) -> None:
    killed = check(once(tmp_path / "flag", "kill -9 $$"))
    for name in ("p", "q", "r"):
        bench.add(name, checks=[killed])
    outcome = bench.process()
    assert outcome.verdicts == [Verdict.ERROR, Verdict.PASSED]
    assert_same_candidate_again(outcome, ["p", "q", "r"])
    bench.assert_sound(outcome)


def test_when_a_check_times_out_the_same_candidate_is_checked_again(
    bench: QueueBench, tmp_path: Path
) -> None:
    hangs = check(once(tmp_path / "flag", "sleep 60"), timeout_s=0.3)
    for name in ("p", "q", "r"):
        bench.add(name, checks=[hangs])
    outcome = bench.process()
    assert outcome.verdicts == [Verdict.TIMED_OUT, Verdict.PASSED]
    assert_same_candidate_again(outcome, ["p", "q", "r"])


def test_a_check_that_always_dies_lands_nothing_and_blames_no_entry(bench: QueueBench) -> None:
    for name in ("p", "q"):
        bench.add(name, checks=[check("kill -9 $$")])
    outcome = bench.process()
    assert outcome.merged == []
    assert not outcome.all_of(MergeFailed)
    assert outcome.processed.halted is not None
    assert "died from signal 9" in outcome.processed.halted


def test_a_missing_program_is_a_failed_check_with_a_hint_and_nothing_lands(bench: QueueBench) -> None:
    start = bench.repository.head
    bench.add("p", checks=[CheckSpec(id=CheckId("lint"), argv=("no-such-linter", "."))])
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.processed.halted is not None
    assert "no-such-linter" in outcome.processed.halted
    assert "install no-such-linter, or set checks.lint.argv" in outcome.processed.halted
    assert bench.repository.head == start
    assert outcome.status("p") is MergeStatus.QUEUED


def test_the_verdict_of_a_check_that_changes_the_files_it_checks_is_refused(bench: QueueBench) -> None:
    start = bench.repository.head
    bench.add("p", checks=[check("echo formatted >> src/start.txt", name="format")])
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.processed.halted is not None
    assert "format changed the files that it checks: src/start.txt" in outcome.processed.halted
    assert bench.repository.head == start


def test_caches_that_a_check_leaves_behind_are_no_change(bench: QueueBench) -> None:
    bench.add("p", checks=[check("mkdir .cache; echo 1 > .cache/x")])
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert bench.repository.files("main") == ["src/p.txt", "src/start.txt"]


def test_a_suspiciously_quick_pass_is_a_failure(bench: QueueBench) -> None:
    bench.add("p", checks=[check("true", name="tests", min_time_s=5)])
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.processed.halted is not None
    assert "tests passed suspiciously quickly" in outcome.processed.halted


def test_a_tree_that_passed_before_lands_without_any_check(bench: QueueBench) -> None:
    bench.add("p", {"src/p.txt": "p\n"})
    bench.add("q", {"src/p.txt": "p\n", "src/q.txt": "q\n"})
    assert bench.process().merged == ["p", "q"]
    bench.repository.git("reset", "-q", "--hard", "HEAD~1")
    for marker in ("p", "q"):
        bench.repository.git("update-ref", "-d", f"refs/cli-orchestrator/landed/queue/{marker}")
    bench.branch("both", {"src/p.txt": "p\n", "src/q.txt": "q\n"})
    bench.add("both")
    outcome = bench.process()
    assert outcome.checks_run == 0
    assert "both" in outcome.merged


def test_a_verdict_is_not_used_again_when_the_check_has_another_definition(
    bench: QueueBench, tmp_path: Path
) -> None:
    bench.add("p", checks=[check("true")])
    assert bench.process().checks_run == 1
    bench.repository.git("reset", "-q", "--hard", "HEAD~1")
    bench.branch("again", {"src/p.txt": "p\n"})
    bench.add("again", checks=[check("true # more strictly")])
    assert bench.process().checks_run == 1


def test_a_verdict_is_not_used_again_on_another_machine_or_with_other_tools(bench: QueueBench) -> None:
    bench.add("p")
    assert bench.process(fingerprint="python 3.11").checks_run == 1
    bench.repository.git("reset", "-q", "--hard", "HEAD~1")
    bench.branch("again", {"src/p.txt": "p\n"})
    bench.add("again")
    assert bench.process(fingerprint="python 3.12").checks_run == 1


def test_a_train_passes_the_checks_of_every_member(bench: QueueBench) -> None:
    bench.add("p", {"src/p.txt": "WORSE\n"}, checks=[NO_BAD])
    bench.add("q", checks=[check("! grep -rq WORSE src/p.txt || [ ! -e src/q.txt ]", name="worse")])
    bench.add("r")
    outcome = bench.process()
    assert outcome.merged == ["p", "r"]
    assert outcome.entries["q"].check == "worse"
    bench.assert_sound(outcome)


def test_entries_without_checks_land_at_once(bench: QueueBench) -> None:
    for name in ("p", "q"):
        bench.add(name, checks=[])
    outcome = bench.process()
    assert outcome.trains == [["p", "q"]]
    assert outcome.checks_run == 0


def test_a_target_that_fails_by_itself_halts_the_queue_until_it_is_repaired(bench: QueueBench) -> None:
    bench.repository.commit({"src/bad.txt": "BAD\n"})
    for name in ("p", "q", "r"):
        bench.add(name)
    outcome = bench.process()
    assert outcome.merged == []
    assert not outcome.all_of(MergeFailed)
    assert outcome.processed.halted is not None
    assert outcome.processed.halted.startswith("main itself fails ok")
    bench.repository.commit({"src/bad.txt": None})
    assert bench.process().merged == ["p", "q", "r"]


def test_a_broken_check_is_judged_anew_when_the_queue_is_set_going_again(
    bench: QueueBench, tmp_path: Path
) -> None:
    tool = tmp_path / "linter"
    bench.add("p", checks=[CheckSpec(id=CheckId("lint"), argv=(str(tool),))])
    assert bench.process().merged == []
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    assert bench.process().merged == ["p"]


def test_a_candidate_is_never_larger_than_the_batch(bench: QueueBench) -> None:
    for name in "pqrst":
        bench.add(name)
    outcome = bench.process(batch=2)
    assert sorted(name for train in outcome.trains for name in train) == ["p", "q", "r", "s", "t"]
    built = [fact.entries for fact in outcome.all_of(MergeChecking) if isinstance(fact, MergeChecking)]
    assert max(map(len, built)) == max(map(len, outcome.trains)) == 2
    bench.assert_sound(outcome)


def test_each_change_is_verified_and_landed_by_itself_when_a_batch_is_one(bench: QueueBench) -> None:
    start = bench.repository.head
    for name in "pqr":
        bench.add(name)
    outcome = bench.process(batch=1, workers=1)
    assert outcome.trains == [["p"], ["q"], ["r"]]
    assert bench.repository.git("rev-list", "--count", "--first-parent", f"{start}..main") == "3"
    bench.assert_sound(outcome)


def test_higher_priority_goes_first_and_equal_priority_in_order_of_arrival(bench: QueueBench) -> None:
    for name, priority in (("low", 2), ("first", 1), ("second", 1), ("high", 0)):
        bench.add(name, priority=priority)
    outcome = bench.process(batch=1, workers=1)
    assert outcome.trains == [["high"], ["first"], ["second"], ["low"]]
