"""Entries that do not merge: each is named with its files and its partner, and the rest goes on."""

import pytest

from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.engine.queue_entries import (
    OnTargetAlready,
    Queueable,
    QueueWish,
    WaitsAlready,
    entry_for,
)
from tests.fakes.queues import MAIN, QueueBench

START = "src/start.txt"


def test_an_entry_that_conflicts_with_the_target_is_named_with_its_files_and_the_rest_lands(
    bench: QueueBench,
) -> None:
    bench.add("stale", {START: "one\nmine\nthree\n", "src/x.txt": "x\n"})
    bench.add("fine")
    bench.repository.commit({START: "one\ntheirs\nthree\n"})
    outcome = bench.process()
    stale = outcome.entries["stale"]
    assert (stale.status, stale.files, stale.partner) == (MergeStatus.CONFLICTED, (START,), "main")
    assert outcome.merged == ["fine"]
    assert bench.repository.show("main", START) == "one\ntheirs\nthree\n"
    bench.assert_sound(outcome)


def test_an_entry_whose_target_began_anew_says_that_they_have_no_common_history(bench: QueueBench) -> None:
    bench.add("stale")
    bench.repository.git("commit", "-q", "--amend", "-m", "the only commit, rewritten")
    outcome = bench.process()
    assert outcome.entries["stale"].reason == "conflicts with main: they have no common history"


def test_of_two_that_conflict_the_first_lands_and_the_second_names_it(bench: QueueBench) -> None:
    bench.add("first", {START: "one\nfirst\nthree\n"})
    bench.add("second", {START: "one\nsecond\nthree\n"})
    outcome = bench.process()
    assert outcome.merged == ["first"]
    second = outcome.entries["second"]
    assert (second.status, second.partner) == (MergeStatus.CONFLICTED, "first")
    assert second.reason == f"conflicts with first in {START}"


def test_an_entry_that_conflicts_with_one_ahead_lands_when_that_one_fails(bench: QueueBench) -> None:
    bench.add("ahead", {START: "one\nBAD\nthree\n"})
    bench.add("behind", {START: "one\nbehind\nthree\n"})
    outcome = bench.process()
    assert outcome.status("ahead") is MergeStatus.FAILED
    assert outcome.merged == ["behind"]
    assert bench.repository.show("main", START) == "one\nbehind\nthree\n"
    bench.assert_sound(outcome)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_unmergeable_member_of_a_batch_stops_none_of_the_others(bench: QueueBench, place: int) -> None:
    names = ["p", "q", "r", "s"]
    names.insert(place, "stale")
    for name in names:
        bench.add(name, {START: "mine\n"} if name == "stale" else None)
    bench.repository.commit({START: "theirs\n"})
    outcome = bench.process()
    assert outcome.merged == ["p", "q", "r", "s"]
    assert outcome.status("stale") is MergeStatus.CONFLICTED
    bench.assert_sound(outcome)


def test_of_three_in_conflict_one_lands_and_two_are_named(bench: QueueBench) -> None:
    for name in ("p", "q", "r"):
        bench.add(name, {START: f"one\n{name}\nthree\n"})
    outcome = bench.process()
    assert outcome.merged == ["p"]
    assert [outcome.entries[name].partner for name in ("q", "r")] == ["p", "p"]


def test_a_file_that_one_renames_and_another_edits_ends_under_its_new_name_with_the_edit(
    bench: QueueBench,
) -> None:
    bench.add("rename", {START: None, "src/renamed.txt": "one\ntwo\nthree\n"})
    bench.add("edit", {START: "one\ntwo\nthree\nfour\n"})
    outcome = bench.process()
    assert outcome.merged == ["rename", "edit"]
    assert bench.repository.files("main") == ["src/renamed.txt"]
    assert bench.repository.show("main", "src/renamed.txt") == "one\ntwo\nthree\nfour\n"
    bench.assert_sound(outcome)


def test_what_one_deletes_and_another_edits_is_a_conflict(bench: QueueBench) -> None:
    bench.add("delete", {START: None, "src/kept.txt": "kept\n"})
    bench.add("edit", {START: "one\ntwo\nthree\nfour\n"})
    outcome = bench.process()
    assert outcome.merged == ["delete"]
    assert outcome.entries["edit"].partner == "delete"


# --- the same work twice ----------------------------------------------------------------------------------


def test_a_branch_that_waits_at_this_very_commit_is_not_queued_twice(bench: QueueBench) -> None:
    bench.branch("twice", {"src/twice.txt": "twice\n"})
    wish = QueueWish(branch=Branch("work/twice"), target=MAIN, checklist=())
    journal = queue_journal(bench.shop, MAIN)
    first = entry_for(bench.shop, journal.state, wish)
    assert isinstance(first, Queueable)
    bench.add("other")
    bench.submit_entry(first.entry)
    journal.catch_up()
    assert isinstance(entry_for(bench.shop, journal.state, wish), WaitsAlready)
    outcome = bench.process()
    assert outcome.merged == ["other", first.entry.id]
    journal.catch_up()
    assert isinstance(entry_for(bench.shop, journal.state, wish), OnTargetAlready)


def test_an_entry_that_two_processes_add_at_the_same_time_counts_once_and_harms_nobody(
    bench: QueueBench,
) -> None:
    bench.add("twice")
    bench.add("twice")
    bench.add("other")
    outcome = bench.process()
    assert outcome.trains == [["twice", "other"]]
    bench.assert_sound(outcome)


def test_a_newer_commit_of_a_queued_branch_takes_the_place_of_the_older_one(bench: QueueBench) -> None:
    wish = QueueWish(branch=Branch("work/moving"), target=MAIN, checklist=())
    journal = queue_journal(bench.shop, MAIN)
    for text in ("old\n", "new\n"):
        bench.branch("moving", {"src/moving.txt": text})
        found = entry_for(bench.shop, journal.state, wish)
        assert isinstance(found, Queueable)
        for old in found.replaces:
            bench.ask("withdraw", old)
        bench.submit_entry(found.entry)
        journal.catch_up()
    outcome = bench.process()
    assert [entry.status for entry in outcome.entries.values()] == [MergeStatus.CANCELLED, MergeStatus.MERGED]
    assert bench.repository.show("main", "src/moving.txt") == "new\n"


def test_work_that_is_on_the_target_already_counts_as_landed_and_changes_no_file(bench: QueueBench) -> None:
    bench.add("same", {"src/same.txt": "same\n"})
    bench.repository.commit({"src/same.txt": "same\n"}, "somebody did the same")
    before = bench.repository.tree_of("main")
    outcome = bench.process()
    assert outcome.merged == ["same"]
    assert bench.repository.tree_of("main") == before
    bench.assert_sound(outcome)
