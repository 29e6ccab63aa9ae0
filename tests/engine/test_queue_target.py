"""The target while the merge queue works: moved by others, locked, with hooks, checked out or not."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.merge_events import MergeHeld, MergeMissed
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import MAX_MISSES
from tests.fakes.landings import run_by_hand
from tests.fakes.queues import QueueBench, check
from tests.fakes.repositories import RepositoryBuilder


def commit_line(bench: QueueBench, file: str) -> str:
    """A shell line with which somebody else commits a new content of a file on the target."""
    write = f"date +%s%N > {file} && git add {file} && git commit -q -m foreign"
    return f"(unset $(env | grep -o '^GIT_[A-Z]*'); cd '{bench.repository.path}' && {write})"


def test_a_foreign_commit_during_a_check_is_kept_and_the_work_lands_on_it_after_new_checks(
    bench: QueueBench, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    slow = check(f"[ -e {flag} ] || {{ touch {flag}; {commit_line(bench, 'foreign.txt')}; }}")
    for name in ("p", "q"):
        bench.add(name, checks=[slow])
    outcome = bench.process()
    assert outcome.candidates == [["p", "q"], ["p", "q"]]
    assert outcome.checks_run == 2
    assert len(outcome.all_of(MergeMissed)) == 1
    assert outcome.merged == ["p", "q"]
    assert bench.repository.files("main") == ["foreign.txt", "src/p.txt", "src/q.txt", "src/start.txt"]
    subjects = bench.repository.git("log", "--first-parent", "--format=%s", "-2", "main").splitlines()
    assert subjects == ["Land 2 verified changes", "foreign"]
    bench.assert_sound(outcome)


def test_a_target_that_never_rests_stops_the_queue_clearly_and_nothing_is_forced(bench: QueueBench) -> None:
    bench.add("p", checks=[check(commit_line(bench, "foreign.txt"))])
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.processed.halted == f"main was moved by somebody else {MAX_MISSES + 1} times in a row"
    assert len(outcome.all_of(MergeMissed)) == MAX_MISSES + 1
    assert bench.repository.git("log", "--format=%s", "-1", "main") == "foreign"
    assert outcome.status("p") is MergeStatus.QUEUED
    bench.assert_sound(outcome)


@pytest.mark.parametrize("branch", ["main", "elsewhere"])
def test_the_hooks_of_the_repository_do_not_run_when_work_lands(
    bench: QueueBench, tmp_path: Path, branch: str
) -> None:
    bench.add("p")
    bench.repository.git("checkout", "-q", "-B", branch)
    ran = tmp_path / "ran"
    hooks = bench.repository.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-merge", "pre-merge-commit", "pre-commit", "post-checkout"):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\necho {name} >> {ran}\nexit 1\n")
        hook.chmod(0o755)
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert not ran.exists()


def test_a_ref_that_somebody_else_holds_locked_keeps_the_work_ready_and_it_lands_later(
    bench: QueueBench,
) -> None:
    bench.repository.git("checkout", "-q", "-b", "elsewhere")
    lock = bench.repository.path / ".git" / "refs" / "heads" / "main.lock"
    bench.add("p")
    lock.touch()
    outcome = bench.process()
    assert outcome.status("p") is MergeStatus.BLOCKED
    assert "main.lock" in outcome.entries["p"].reason
    assert outcome.entries["p"].command
    lock.unlink()
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert outcome.checks_run == 0
    bench.assert_sound(outcome)


def test_a_tag_with_the_name_of_the_target_confuses_nobody(bench: QueueBench) -> None:
    bench.add("p")
    bench.repository.git("tag", "main")
    bench.repository.git("tag", "work/p")
    start = bench.repository.commit_of("refs/tags/main")
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert bench.repository.commit_of("refs/tags/main") == start
    assert "src/p.txt" in bench.repository.files("refs/heads/main")


def test_every_member_of_a_train_of_many_is_in_the_landed_tree(bench: QueueBench) -> None:
    names = [f"n{number:02}" for number in range(25)]
    for name in names:
        bench.add(name)
    outcome = bench.process()
    assert [name for train in outcome.trains for name in train] == names
    assert len(outcome.trains) <= 3
    assert bench.repository.files("main") == [f"src/{name}.txt" for name in names] + ["src/start.txt"]
    merges = bench.repository.git("log", "--first-parent", "--merges", "--reverse", "--format=%P", "main")
    members = [parent for line in merges.splitlines() for parent in line.split()[1:]]
    assert members == [bench.heads[name] for name in names]
    bench.assert_sound(outcome)


def test_without_leave_to_touch_the_checkout_the_train_stays_ready_and_the_named_command_finishes_it(
    bench: QueueBench,
) -> None:
    for name in ("p", "q"):
        bench.add(name, update_checkout=False)
    start = bench.repository.head
    outcome = bench.process()
    (held,) = outcome.all_of(MergeHeld)
    assert isinstance(held, MergeHeld)
    assert bench.repository.head == start
    assert bench.repository.status() == ""
    run_by_hand(bench.repository, held.command)
    assert bench.repository.head == held.commit
    outcome = bench.process()
    assert outcome.merged == ["p", "q"]
    assert outcome.checks_run == 0
    assert bench.repository.head == held.commit
    bench.assert_sound(outcome)


def collect_garbage(repository: RepositoryBuilder) -> None:
    """What `git gc` does after its grace period."""
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "-q", "--prune=now")


def test_what_is_ready_to_land_outlives_a_garbage_collection(bench: QueueBench) -> None:
    bench.add("p", update_checkout=False)
    (held,) = bench.process().all_of(MergeHeld)
    assert isinstance(held, MergeHeld)
    collect_garbage(bench.repository)
    run_by_hand(bench.repository, held.command)
    outcome = bench.process()
    assert outcome.merged == ["p"]
    bench.assert_sound(outcome)


def test_a_branch_that_was_deleted_and_collected_leaves_the_queue_and_stops_nobody(bench: QueueBench) -> None:
    bench.add("p")
    bench.add("q")
    bench.repository.git("branch", "-q", "-D", "work/p")
    collect_garbage(bench.repository)
    outcome = bench.process()
    assert outcome.merged == ["q"]
    assert outcome.status("p") is MergeStatus.CANCELLED
    assert "no longer in the repository" in outcome.entries["p"].reason


def test_what_a_person_finished_by_hand_and_built_upon_counts_as_landed(bench: QueueBench) -> None:
    bench.add("p", update_checkout=False)
    (held,) = bench.process().all_of(MergeHeld)
    assert isinstance(held, MergeHeld)
    run_by_hand(bench.repository, held.command)
    bench.repository.commit({"src/more.txt": "more\n"})
    tip = bench.repository.head
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert outcome.entries["p"].landed_commit == held.commit
    assert bench.repository.head == tip
    bench.assert_sound(outcome)


def test_a_withdrawal_after_a_person_landed_the_train_by_hand_does_not_deny_what_is_on_the_target(
    bench: QueueBench,
) -> None:
    for name in ("p", "q"):
        bench.add(name, update_checkout=False)
    (held,) = bench.process().all_of(MergeHeld)
    assert isinstance(held, MergeHeld)
    run_by_hand(bench.repository, held.command)
    bench.ask("withdraw", "q")
    outcome = bench.process()
    assert outcome.merged == ["p", "q"]
    assert bench.repository.head == held.commit
    bench.assert_sound(outcome)


def test_an_entry_that_another_process_landed_before_it_died_is_not_landed_a_second_time(
    bench: QueueBench,
) -> None:
    for name in ("p", "q"):
        bench.add(name)
    head = bench.heads["p"]
    bench.repository.git("merge", "-q", "--no-ff", "-m", "by the other process", head)
    landed = bench.repository.head
    bench.repository.git("update-ref", "refs/cli-orchestrator/landed/queue/p", landed)
    outcome = bench.process()
    assert outcome.merged == ["p", "q"]
    assert outcome.entries["p"].landed_commit == landed
    assert outcome.trains == [["p"], ["q"]]
    assert bench.repository.git("rev-list", "--count", "--first-parent", f"{landed}..main") == "1"


def test_after_the_target_was_rewound_what_had_landed_is_not_claimed_to_be_there(bench: QueueBench) -> None:
    bench.add("p")
    assert bench.process().merged == ["p"]
    bench.repository.git("reset", "-q", "--hard", "HEAD~1")
    bench.add("q")
    outcome = bench.process()
    assert bench.repository.files("main") == ["src/q.txt", "src/start.txt"]
    assert outcome.trains == [["q"]]
