"""Landings that a remote gets too: together or not at all, on top of what others push, and never twice."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.merge_events import MergeHeld, MergeLanded, MergeMissed
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import MAX_MISSES
from tests.fakes.landings import fingerprint, run_by_hand
from tests.fakes.queues import Outcome, QueueBench, check
from tests.fakes.remotes import (
    assert_same_landings,
    clone,
    foreign_push_line,
    markers_of,
    push_foreign,
    set_hook,
)
from tests.fakes.repositories import RepositoryBuilder, make_bare_remote

FINISH = "cli-orchestrator queue process --push origin --target main"


@pytest.fixture
def remote(bench: QueueBench, tmp_path: Path) -> RepositoryBuilder:
    """The remote that this bench lands on."""
    bench.shop = replace(bench.shop, policies=replace(bench.shop.policies, push="origin"))
    return make_bare_remote(tmp_path / "remote.git", bench.repository)


def held(outcome: Outcome) -> MergeHeld:
    """The one landing that waits for a person."""
    (fact,) = (fact for fact in outcome.all_of(MergeHeld) if isinstance(fact, MergeHeld))
    return fact


def own(bench: QueueBench) -> dict[str, str]:
    """Every byte of the person's files and index, without the orchestrator's own folders."""
    return {
        name: value
        for name, value in fingerprint(bench.repository).items()
        if not name.startswith(("state/", "artifacts/"))
    }


def halted_by(bench: QueueBench, reason: str) -> str:
    """What the queue says when a person has to publish the target first."""
    return f"{reason}; type `git -C {bench.repository.path} push origin main`, then run the queue again"


def assert_nothing_moved(bench: QueueBench, remote: RepositoryBuilder, start: str) -> None:
    assert bench.repository.commit_of("main") == start
    assert remote.commit_of("main") == start
    assert markers_of(bench.repository) == markers_of(remote) == {}


# --- together -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("branch", ["main", "elsewhere"])
def test_a_train_and_its_markers_are_on_the_remote_and_here(
    bench: QueueBench, remote: RepositoryBuilder, branch: str
) -> None:
    for name in ("p", "q"):
        bench.add(name)
    bench.repository.git("checkout", "-q", "-B", branch)
    outcome = bench.process()
    assert outcome.merged == ["p", "q"]
    assert remote.files("main") == ["src/p.txt", "src/q.txt", "src/start.txt"]
    assert len(markers_of(remote)) == 2
    assert_same_landings(bench.repository, remote)
    assert bench.repository.commit_of("origin/main") == remote.commit_of("main")
    assert bench.repository.status() == ""
    bench.assert_sound(outcome)


def test_an_edit_in_the_way_holds_the_work_before_the_remote_hears_of_it(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    bench.add("edits", {"src/start.txt": "new\n"})
    bench.add("adds", {"src/fresh.txt": "new\n"})
    bench.add("other")
    bench.repository.write({"src/start.txt": "mine\n", "src/fresh.txt": "mine\n"})
    before = own(bench)
    outcome = bench.process()
    assert outcome.merged == ["other"]
    assert {outcome.status("edits"), outcome.status("adds")} == {MergeStatus.BLOCKED}
    assert held(outcome).command == FINISH
    assert remote.files("main") == ["src/other.txt", "src/start.txt"]
    after = own(bench)
    assert all(after[name] == before[name] for name in ("src/start.txt", "src/fresh.txt", "status"))
    bench.repository.write({"src/start.txt": "one\ntwo\nthree\n", "src/fresh.txt": None})
    assert sorted(bench.process().merged) == ["adds", "edits", "other"]
    assert_same_landings(bench.repository, remote)


def test_a_checkout_that_may_not_follow_is_finished_by_the_named_commands(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    bench.add("p", update_checkout=False)
    start = bench.repository.head
    outcome = bench.process()
    assert_nothing_moved(bench, remote, start)
    by_hand, _, again = held(outcome).command.partition(" && ")
    assert again == FINISH
    run_by_hand(bench.repository, by_hand)
    assert bench.process().merged == ["p"]
    assert_same_landings(bench.repository, remote)


def test_what_a_person_pushed_by_hand_gets_its_markers_and_no_second_commit(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    bench.add("p", update_checkout=False)
    by_hand, _, _ = held(bench.process()).command.partition(" && ")
    run_by_hand(bench.repository, by_hand)
    bench.repository.git("push", "-q", "origin", "main")
    tip = remote.commit_of("main")
    assert bench.process().merged == ["p"]
    assert remote.commit_of("main") == tip
    assert set(markers_of(remote).values()) == {tip}
    assert_same_landings(bench.repository, remote)


# --- others push too ----------------------------------------------------------------------------------------


def test_a_remote_that_is_ahead_is_followed_before_anything_is_checked(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    foreign = push_foreign(remote, tmp_path / "other", {"foreign.txt": "theirs\n"})
    bench.add("p")
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert (outcome.checks_run, outcome.all_of(MergeMissed)) == (1, [])
    assert remote.commit_of("main^1") == foreign
    assert (bench.repository.path / "foreign.txt").exists()
    assert_same_landings(bench.repository, remote)


def test_what_somebody_pushes_during_a_check_is_kept_and_the_work_lands_on_it_after_new_checks(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    line = foreign_push_line(remote, tmp_path / "other")
    for name in ("p", "q"):
        bench.add(name, checks=[check(f"[ -e {flag} ] || {{ touch {flag}; {line}; }}")])
    outcome = bench.process()
    assert outcome.candidates == [["p", "q"], ["p", "q"]]
    assert len(outcome.all_of(MergeMissed)) == 1
    assert outcome.merged == ["p", "q"]
    subjects = remote.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert subjects == ["Land 2 verified changes", "foreign", "first"]
    assert_same_landings(bench.repository, remote)
    bench.assert_sound(outcome)


def test_a_remote_that_never_rests_stops_the_queue_clearly_and_nothing_is_forced(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    bench.add("p", checks=[check(foreign_push_line(remote, tmp_path / "other"))])
    outcome = bench.process()
    assert outcome.processed.halted == f"main was moved by somebody else {MAX_MISSES + 1} times in a row"
    assert len(outcome.all_of(MergeMissed)) == MAX_MISSES + 1
    assert remote.git("log", "--format=%s", "main").splitlines() == ["foreign"] * (MAX_MISSES + 1) + ["first"]
    assert_same_landings(bench.repository, remote)


def test_a_commit_of_yours_that_the_remote_lacks_is_not_published_by_us(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    start = remote.commit_of("main")
    bench.repository.commit({"mine.txt": "not for others yet\n"}, "mine")
    bench.add("p")
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.checks_run == 0
    assert outcome.processed.halted == halted_by(bench, "main has commits that origin lacks")
    assert remote.commit_of("main") == start
    bench.repository.git("push", "-q", "origin", "main")
    assert bench.process().merged == ["p"]
    assert_same_landings(bench.repository, remote)


def test_a_commit_that_you_make_during_a_check_is_not_published_by_us_either(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    start = remote.commit_of("main")
    here = bench.repository.path
    commit = f"cd '{here}' && echo mine > mine.txt && git add mine.txt && git commit -q -m mine"
    bench.add(
        "p", checks=[check(f"[ -e '{here}/mine.txt' ] || (unset $(env | grep -o '^GIT_[A-Z_]*'); {commit})")]
    )
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.processed.halted == halted_by(bench, "main has commits that origin lacks")
    assert remote.commit_of("main") == start
    assert bench.repository.git("log", "-1", "--format=%s", "main") == "mine"


def test_a_target_that_has_diverged_stops_with_the_commands_that_join_the_two(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    foreign = push_foreign(remote, tmp_path / "other", {"foreign.txt": "theirs\n"})
    mine = bench.repository.commit({"mine.txt": "mine\n"}, "mine")
    bench.add("p")
    outcome = bench.process()
    assert outcome.merged == []
    reason, commands, _ = (outcome.processed.halted or "").split("`")
    assert reason == "main and origin's main have diverged; type "
    assert (bench.repository.commit_of("main"), remote.commit_of("main")) == (mine, foreign)
    run_by_hand(bench.repository, commands)
    assert bench.process().merged == ["p"]
    assert {"foreign.txt", "mine.txt", "src/p.txt"} <= set(remote.files("main"))
    assert_same_landings(bench.repository, remote)


def test_a_checkout_that_cannot_follow_the_remote_stops_the_queue_and_is_left_alone(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    push_foreign(remote, tmp_path / "other", {"src/start.txt": "theirs\n"})
    bench.add("p")
    bench.repository.write({"src/start.txt": "mine\n"})
    before = own(bench)
    outcome = bench.process()
    assert "main is behind origin and cannot follow" in (outcome.processed.halted or "")
    assert "merge --ff-only" in (outcome.processed.halted or "")
    assert own(bench) == before


def test_work_that_another_clone_has_landed_is_landed_here_too_without_a_check(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    bench.add("p")
    other = clone(remote, tmp_path / "other")
    other.git("fetch", "-q", str(bench.repository.path), "work/p")
    other.git("merge", "-q", "--no-ff", "-m", "theirs", "FETCH_HEAD")
    marker = "refs/cli-orchestrator/landed/queue/p"
    other.git("push", "-q", "--atomic", "origin", "main", f"main:{marker}")
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert (outcome.checks_run, outcome.entries["p"].landed_commit) == (0, other.head)
    assert_same_landings(bench.repository, remote)


def test_work_that_another_clone_lands_during_our_check_lands_once(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    flag, other = tmp_path / "flag", clone(remote, tmp_path / "other")
    marker = "refs/cli-orchestrator/landed/queue/p"
    line = (
        f"cd '{other.path}' && git fetch -q '{bench.repository.path}' work/p && "
        f"git merge -q --no-ff -m theirs FETCH_HEAD && git push -q --atomic origin main main:{marker}"
    )
    guarded = f"[ -e {flag} ] || {{ touch {flag}; (unset $(env | grep -o '^GIT_[A-Z_]*'); {line}); }}"
    bench.add("p", checks=[check(guarded)])
    bench.add("q", checks=[check("true")])
    outcome = bench.process()
    assert sorted(outcome.merged) == ["p", "q"]
    assert outcome.entries["p"].landed_commit == other.head
    assert outcome.candidates == [["p", "q"], ["q"]]
    subjects = remote.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert subjects == ["Merge work/q", "theirs", "first"]
    assert_same_landings(bench.repository, remote)


# --- the remote says no, or nothing -------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_refusal_holds_the_work_with_the_remotes_words_and_it_lands_when_they_relent(
    bench: QueueBench, remote: RepositoryBuilder, hook: str
) -> None:
    start = remote.commit_of("main")
    when = '[ "$1" != refs/heads/main ] || ' if hook == "update" else ""
    script = set_hook(remote, hook, f"{when}{{ echo frozen until monday >&2; exit 1; }}")
    for name in ("p", "q"):
        bench.add(name)
    outcome = bench.process()
    assert outcome.status("p") is outcome.status("q") is MergeStatus.BLOCKED
    fact = held(outcome)
    assert "origin refuses: frozen until monday" in fact.reason
    assert "declined" in fact.reason
    assert (fact.command, fact.unreachable) == (FINISH, False)
    assert not outcome.processed.unreachable
    assert_nothing_moved(bench, remote, start)
    script.unlink()
    outcome = bench.process()
    assert outcome.merged == ["p", "q"]
    assert outcome.checks_run == 0
    assert len(outcome.all_of(MergeLanded)) == 1
    assert_same_landings(bench.repository, remote)
    bench.assert_sound(outcome)


def test_a_refusal_is_quoted_without_passwords_and_without_what_steers_a_terminal(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    words = r"printf '\033[31msee https://ada:hunter2secret@example.invalid/x\033[0m\007\n' >&2; exit 1"
    set_hook(remote, "pre-receive", words)
    bench.add("p")
    reason = held(bench.process()).reason
    assert "see https://ada:[redacted]@example.invalid/x" in reason
    assert reason.isprintable()


def test_a_remote_that_is_not_there_holds_the_work_and_it_lands_when_it_is_back(
    bench: QueueBench, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    start = remote.commit_of("main")
    away = remote.path.rename(tmp_path / "away")
    bench.add("p")
    outcome = bench.process()
    fact = held(outcome)
    assert fact.reason.startswith("origin cannot be reached: ")
    assert (fact.command, fact.unreachable, outcome.processed.unreachable) == (FINISH, True, True)
    assert bench.repository.commit_of("main") == start
    away.rename(remote.path)
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert not outcome.processed.unreachable
    assert_same_landings(bench.repository, remote)


@pytest.mark.parametrize("pushes", [True, False])
def test_a_push_whose_answer_is_lost_is_found_done_and_not_repeated(
    bench: QueueBench, remote: RepositoryBuilder, pushes: bool
) -> None:
    script = set_hook(remote, "post-receive", 'kill -9 "$PPID"  # the refs have moved, nobody was told yet')
    bench.add("p")
    start = bench.repository.commit_of("main")
    assert held(bench.process()).unreachable
    landed = remote.commit_of("main")
    assert landed != start
    assert bench.repository.commit_of("main") == start
    script.unlink()
    if not pushes:  # whoever comes next lands here only, and must not land it a second time
        bench.shop = replace(bench.shop, policies=replace(bench.shop.policies, push=None))
        away = remote.path.rename(remote.path.with_name("away"))
        assert bench.process().status("p") is MergeStatus.BLOCKED
        away.rename(remote.path)
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert remote.commit_of("main") == landed
    assert_same_landings(bench.repository, remote)


def test_a_landing_that_was_put_back_on_the_remote_is_a_persons_to_decide(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    bench.add("p")
    marker = "refs/cli-orchestrator/landed/queue/p"
    stray = bench.repository.commit_on("stray", {"stray.txt": "x\n"})
    bench.repository.git("push", "-q", "origin", f"stray:{marker}")
    start = remote.commit_of("main")
    fact = held(bench.process())
    assert fact.reason == f"origin says by {marker} that this work landed as {stray}, which its main lacks"
    first, _, again = fact.command.partition(" && ")
    assert (first, again) == (f"git -C {bench.repository.path} push origin :{marker}", FINISH)
    assert remote.commit_of("main") == bench.repository.commit_of("main") == start


def test_a_remote_without_the_target_gets_no_branch_that_nobody_asked_for(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    remote.git("update-ref", "-d", "refs/heads/main")
    bench.add("p")
    outcome = bench.process()
    assert outcome.processed.halted == halted_by(bench, "origin has no branch main")
    assert remote.git("for-each-ref", "refs/heads/main") == ""


def test_a_commit_of_yours_between_the_push_and_the_step_here_is_joined_by_the_named_commands(
    bench: QueueBench, remote: RepositoryBuilder
) -> None:
    here = bench.repository.path
    commit = f"cd '{here}' && echo mine > mine.txt && git add mine.txt && git commit -q -m mine"
    script = set_hook(remote, "post-receive", f"unset $(env | grep -o '^GIT_[A-Z_]*'); {commit}")
    bench.add("p")
    fact = held(bench.process())
    script.unlink()
    landed = remote.commit_of("main")
    assert fact.reason.startswith(
        "it is on origin already, but not here: main and origin's main have diverged"
    )
    assert bench.repository.git("log", "-1", "--format=%s", "main") == "mine"

    outcome = bench.process()
    assert outcome.merged == []
    reason, commands, _ = (outcome.processed.halted or "").split("`")
    assert reason == "main and origin's main have diverged; type "
    run_by_hand(bench.repository, commands)
    outcome = bench.process()
    assert (outcome.merged, outcome.checks_run) == (["p"], 0)
    assert outcome.entries["p"].landed_commit == landed
    assert_same_landings(bench.repository, remote)
