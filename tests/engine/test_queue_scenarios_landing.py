"""What happens in the very moment of a landing: races, kills, a stolen lease, others who move the target."""

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import queue_stream
from cli_multi_rapid.core.merge_events import MergeEnqueued, MergeHeld, MergeLanded, MergeMissed
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.run_events import CommandRefused
from tests.fakes.landings import run_by_hand
from tests.fakes.moments import (
    AFTER_THE_REFS_MOVED,
    BEFORE_THE_REFS_MOVE,
    Moment,
    break_locks,
    interrupted,
    kill_processor,
)
from tests.fakes.queues import MAIN, Outcome, QueueBench

AROUND_THE_REF_UPDATE = pytest.mark.parametrize(
    "moment", [BEFORE_THE_REFS_MOVE, AFTER_THE_REFS_MOVED], ids=["refs not moved", "refs moved"]
)


def landings(outcome: Outcome) -> list[MergeLanded]:
    """Every landing that was recorded, in order."""
    return [fact for fact in outcome.all_of(MergeLanded) if isinstance(fact, MergeLanded)]


def first_parents(bench: QueueBench) -> list[str]:
    """The subjects of the target's history, the newest first."""
    return bench.repository.git("log", "--first-parent", "--format=%s", "main").splitlines()


# --- others are faster ------------------------------------------------------------------------------------


@AROUND_THE_REF_UPDATE
def test_a_withdrawal_that_comes_while_the_work_lands_is_refused_and_denies_nothing(
    bench: QueueBench, moment: Moment
) -> None:
    bench.add("late")
    outcome = interrupted(bench, moment, lambda: bench.ask("withdraw", "late")).process()
    assert outcome.merged == ["late"]
    assert "src/late.txt" in bench.repository.files("main")
    (refused,) = outcome.all_of(CommandRefused)
    assert isinstance(refused, CommandRefused)
    assert refused.reason == "withdraw: late is in no state for it"
    bench.assert_sound(outcome)


def test_a_withdrawal_that_comes_right_before_a_landing_is_obeyed_or_refused_and_says_which(
    bench: QueueBench,
) -> None:
    for name in ("p", "q"):
        bench.add(name)
    announced = Moment(type="merge.landing", before=True)
    outcome = interrupted(bench, announced, lambda: bench.ask("withdraw", "p")).process()
    landed = "src/p.txt" in bench.repository.files("main")
    assert outcome.status("p") is (MergeStatus.MERGED if landed else MergeStatus.CANCELLED)
    assert len(outcome.all_of(CommandRefused)) == (1 if landed else 0)
    assert outcome.status("q") is MergeStatus.MERGED
    bench.assert_sound(outcome)


def test_a_target_that_moves_between_the_check_and_the_landing_gets_the_work_on_top_after_new_checks(
    bench: QueueBench,
) -> None:
    for name in ("p", "q"):
        bench.add(name)
    foreign = interrupted(
        bench, BEFORE_THE_REFS_MOVE, lambda: bench.repository.commit({"foreign.txt": "f\n"}, "foreign")
    )
    outcome = foreign.process()
    assert len(outcome.all_of(MergeMissed)) == 1
    assert sorted(outcome.merged) == ["p", "q"]
    assert bench.repository.files("main") == ["foreign.txt", "src/p.txt", "src/q.txt", "src/start.txt"]
    assert first_parents(bench)[-2:] == ["foreign", "first"]
    assert bench.repository.status() == ""
    bench.assert_sound(outcome)


@pytest.mark.parametrize("moment", ["merge.checking", "check.started", "check.finished", "merge.landing"])
def test_whatever_others_write_into_the_log_meanwhile_nothing_is_lost_or_done_twice(
    bench: QueueBench, moment: str
) -> None:
    more = iter(["m1", "m2", "m3"])
    for name in ("p", "q"):
        bench.add(name)
    races = interrupted(bench, Moment(type=moment, before=True), lambda: bench.add(next(more)), times=3)
    outcome = races.process()
    assert len(outcome.all_of(MergeEnqueued)) >= 1
    assert outcome.merged == list(outcome.entries)
    bench.assert_sound(outcome)


def test_a_target_that_git_must_not_move_keeps_the_work_ready_and_it_lands_when_that_is_settled(
    bench: QueueBench,
) -> None:
    bench.add("p")
    git = bench.repository.git
    git("checkout", "-q", "--detach")
    git("branch", "-m", "main", "trunk")
    git("symbolic-ref", "refs/heads/main", "refs/heads/trunk")
    tip = bench.repository.commit_of("trunk")
    outcome = bench.process()
    assert outcome.status("p") is MergeStatus.BLOCKED
    assert outcome.entries["p"].reason == "main is a symbolic ref"
    assert outcome.entries["p"].command == "git symbolic-ref refs/heads/main"
    assert bench.repository.commit_of("trunk") == tip
    git("symbolic-ref", "-d", "refs/heads/main")
    git("branch", "main", "trunk")
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert outcome.checks_run == 0
    bench.assert_sound(outcome)


def test_what_is_added_while_the_last_work_lands_is_landed_by_the_same_processor(bench: QueueBench) -> None:
    bench.add("p")
    bench.branch("late", {"src/late.txt": "late\n"})
    outcome = interrupted(bench, Moment(type="merge.landed"), lambda: bench.add("late")).process()
    assert outcome.merged == ["p", "late"]
    assert [str(known.entry.id) for known in outcome.processed.entries] == ["p", "late"]
    bench.assert_sound(outcome)


# --- a processor that is gone ------------------------------------------------------------------------------


@AROUND_THE_REF_UPDATE
def test_after_a_kill_around_the_ref_update_the_next_processor_lands_the_work_once_without_new_checks(
    bench: QueueBench, moment: Moment
) -> None:
    bench.add("p")
    kill_processor(bench, moment)
    outcome = bench.process()
    assert [(fact.entries, fact.recovered) for fact in landings(outcome)] == [(("p",), True)]
    assert outcome.checks_run == 0
    assert first_parents(bench) == ["Merge work/p", "first"]
    assert bench.repository.status() == ""
    bench.assert_sound(outcome)


def test_a_foreign_commit_on_top_of_what_a_killed_processor_landed_does_not_hide_the_landing(
    bench: QueueBench,
) -> None:
    bench.add("p")
    kill_processor(bench, AFTER_THE_REFS_MOVED)
    landed = bench.repository.head
    tip = bench.repository.commit({"foreign.txt": "f\n"}, "foreign")
    outcome = bench.process()
    assert [(fact.commit, fact.recovered) for fact in landings(outcome)] == [(landed, True)]
    assert bench.repository.head == tip
    bench.assert_sound(outcome)


@pytest.mark.parametrize("back", [1, 2])
def test_what_a_killed_processor_landed_and_somebody_rewound_is_landed_again_and_never_only_claimed(
    bench: QueueBench, back: int
) -> None:
    bench.branch("p", {"src/p.txt": "p\n"})
    bench.repository.commit({"src/later.txt": "later\n"}, "later")
    bench.add("p", start="main~1")
    kill_processor(bench, AFTER_THE_REFS_MOVED)
    bench.repository.git("reset", "-q", "--hard", f"HEAD~{back}")
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert "src/p.txt" in bench.repository.files("main")
    assert bench.repository.status() == ""
    bench.assert_sound(outcome)


# --- a processor that has lost its lease -------------------------------------------------------------------


@AROUND_THE_REF_UPDATE
def test_a_processor_whose_lease_is_stolen_around_the_landing_stops_and_the_thief_records_it_once(
    bench: QueueBench, moment: Moment
) -> None:
    bench.add("p")
    thief: list[Outcome] = []

    def steal() -> None:
        break_locks(bench.shop)
        thief.append(bench.process())

    with pytest.raises(EnvironmentFault, match="another process took over"):
        interrupted(bench, moment, steal).process()
    (outcome,) = thief
    assert outcome.trains == [["p"]]
    assert first_parents(bench) == ["Merge work/p", "first"]
    bench.assert_sound(outcome)


def test_a_processor_whose_lease_is_stolen_before_it_announces_a_landing_moves_nothing(
    bench: QueueBench,
) -> None:
    start = bench.repository.head
    bench.add("p")

    def steal() -> None:
        break_locks(bench.shop)
        lease = bench.shop.leases.acquire(queue_stream(MAIN))
        assert lease is not None
        lease.release()

    with pytest.raises(EnvironmentFault, match="another process took over"):
        interrupted(bench, Moment(type="merge.landing", before=True), steal).process()
    assert bench.repository.head == start
    assert bench.repository.git("for-each-ref", "refs/cli-orchestrator/landed") == ""
    outcome = bench.process()
    assert outcome.merged == ["p"]
    bench.assert_sound(outcome)


def test_what_the_thief_of_a_lease_holds_ready_for_a_person_survives_the_end_of_the_one_it_stole_from(
    bench: QueueBench,
) -> None:
    bench.add("p", update_checkout=False)
    thief: list[Outcome] = []

    def steal() -> None:
        break_locks(bench.shop)
        thief.append(bench.process())

    with pytest.raises(EnvironmentFault, match="another process took over"):
        interrupted(bench, BEFORE_THE_REFS_MOVE, steal).process()
    held = thief[0].all_of(MergeHeld)[-1]
    assert isinstance(held, MergeHeld)
    assert bench.repository.git("for-each-ref", f"--points-at={held.commit}"), "git gc would take it away"
    run_by_hand(bench.repository, held.command)
    outcome = bench.process()
    assert outcome.merged == ["p"]
    bench.assert_sound(outcome)
