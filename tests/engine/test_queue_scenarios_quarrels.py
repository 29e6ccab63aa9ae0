"""Entries that pass alone and fail together: which of them land, who leaves, and what is said about it."""

import pytest

from cli_multi_rapid.core.merge_events import MergeFailed
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from tests.fakes.queues import NO_BAD, Outcome, QueueBench, check


def quarrel(*sets: str) -> CheckSpec:
    """A check that fails on a tree that holds the files of all of these entries: `left right`."""
    lines = []
    for names in sets:
        together = " && ".join(f"[ -e src/{name}.txt ]" for name in names.split())
        lines.append(f"if {together}; then echo '{names} do not go together'; exit 1; fi")
    return check("; ".join([*lines, "true"]), name="together")


def ejected(outcome: Outcome) -> list[str]:
    """The entries that left because a check failed."""
    return [fact.entry_id for fact in outcome.all_of(MergeFailed) if isinstance(fact, MergeFailed)]


def partners(outcome: Outcome, name: str) -> set[str]:
    """Who is named as the other side."""
    return set(outcome.entries[name].partner.split(", ")) - {""}


@pytest.mark.parametrize("names", ["left right", "left p right", "p left q r right s", "p q left right"])
def test_of_a_pair_the_first_in_line_lands_and_the_other_leaves_alone_and_names_it_wherever_they_stand(
    bench: QueueBench, names: str
) -> None:
    for name in names.split():
        bench.add(name, checks=[quarrel("left right")])
    outcome = bench.process()
    assert ejected(outcome) == ["right"]
    assert sorted(outcome.merged) == sorted(set(names.split()) - {"right"})
    right = outcome.entries["right"]
    assert right.check == "together"
    assert "left right do not go together" in right.evidence
    assert partners(outcome, "right") == {"left"}
    assert right.files == ("src/left.txt", "src/right.txt")
    assert right.reason.endswith("; it passed without left")
    bench.assert_sound(outcome)


def test_one_that_fails_by_itself_names_no_other(bench: QueueBench) -> None:
    bench.add("p")
    bench.add("bad", {"src/bad.txt": "BAD\n"})
    outcome = bench.process()
    assert ejected(outcome) == ["bad"]
    assert partners(outcome, "bad") == set()
    assert outcome.entries["bad"].files == ("src/bad.txt",)


@pytest.mark.parametrize("order", ["p q r", "p r q", "r p q"])
def test_of_three_that_fail_only_all_together_the_two_of_higher_priority_land(
    bench: QueueBench, order: str
) -> None:
    for name in order.split():
        bench.add(name, checks=[quarrel("p q r")], priority=2 if name == "r" else 1)
    outcome = bench.process()
    assert ejected(outcome) == ["r"]
    assert sorted(outcome.merged) == ["p", "q"]
    assert "p q r do not go together" in outcome.entries["r"].evidence
    bench.assert_sound(outcome)


RANKS = {"left": 0, "right": 2}


BESIDE_A_BAD_ONE = pytest.mark.parametrize(
    "names", ["left bad right", "left bad p right", "bad left p q right", "left p right bad q r"]
)


@BESIDE_A_BAD_ONE
def test_of_a_pair_exactly_one_lands_also_when_one_of_them_fails_at_first_beside_a_bad_one(
    bench: QueueBench, names: str
) -> None:
    for name in names.split():
        broken = {f"src/{name}.txt": "BAD\n"} if name == "bad" else None
        checks = [NO_BAD, quarrel("left right")]
        bench.add(name, broken, checks=checks, priority=RANKS.get(name, 1))
    outcome = bench.process()
    # Who is under suspicion is overtaken: then the one of lower priority may come first.
    (out,) = set(ejected(outcome)) - {"bad"}
    assert out in RANKS
    assert sorted(outcome.merged) == sorted(set(names.split()) - {"bad", out})
    bench.assert_sound(outcome)


@BESIDE_A_BAD_ONE
def test_of_two_that_conflict_exactly_one_lands_also_when_one_fails_at_first_beside_a_bad_one(
    bench: QueueBench, names: str
) -> None:
    for name in names.split():
        path = "src/start.txt" if name in RANKS else f"src/{name}.txt"
        text = "BAD\n" if name == "bad" else f"one\n{name}\nthree\n"
        bench.add(name, {path: text}, priority=RANKS.get(name, 1))
    outcome = bench.process()
    (out,) = (name for name in RANKS if outcome.status(name) is MergeStatus.CONFLICTED)
    (other,) = set(RANKS) - {out}
    assert outcome.entries[out].partner == other
    assert sorted(outcome.merged) == sorted(set(names.split()) - {"bad", out})
    bench.assert_sound(outcome)


def test_of_two_pairs_one_each_leaves_and_nobody_else(bench: QueueBench) -> None:
    for name in ("a", "b", "fine", "c", "d", "other"):
        bench.add(name, checks=[quarrel("a c", "b d")])
    outcome = bench.process()
    assert sorted(ejected(outcome)) == ["c", "d"]
    assert sorted(outcome.merged) == ["a", "b", "fine", "other"]
    bench.assert_sound(outcome)


def test_of_one_that_goes_together_with_neither_of_two_only_it_leaves_when_it_comes_last(
    bench: QueueBench,
) -> None:
    for name in ("a", "b", "both"):
        bench.add(name, checks=[quarrel("a both", "b both")])
    outcome = bench.process()
    assert ejected(outcome) == ["both"]
    assert outcome.merged == ["a", "b"]
    bench.assert_sound(outcome)


def test_one_that_quarrels_with_what_landed_long_ago_fails_alone_and_stops_nobody(bench: QueueBench) -> None:
    bench.branch("right", {"src/right.txt": "right\n"})
    bench.add("left", checks=[quarrel("left right")])
    assert bench.process().merged == ["left"]
    for name in ("p", "right", "q"):
        bench.add(name, checks=[quarrel("left right")], start="main" if name != "right" else "main~1")
    outcome = bench.process()
    assert ejected(outcome) == ["right"]
    assert partners(outcome, "right") == {"left"}
    assert sorted(outcome.merged) == ["left", "p", "q"]
    bench.assert_sound(outcome)


def test_one_that_does_not_go_together_with_a_commit_that_nobody_queued_names_the_target(
    bench: QueueBench,
) -> None:
    bench.branch("right", {"src/right.txt": "right\n"})
    bench.repository.commit_on("main", {"src/left.txt": "left\n"}, "by hand")
    bench.add("p", checks=[quarrel("left right")])
    assert bench.process().merged == ["p"]
    bench.add("right", checks=[quarrel("left right")], start="main~2")
    outcome = bench.process()
    assert ejected(outcome) == ["right"]
    assert partners(outcome, "right") == {"main"}
    assert outcome.entries["right"].reason.endswith("; it passed before others committed to main")


def test_when_the_first_of_a_pair_is_withdrawn_the_other_lands(bench: QueueBench) -> None:
    for name in ("left", "p", "right"):
        bench.add(name, checks=[quarrel("left right")])
    bench.ask("withdraw", "left")
    outcome = bench.process()
    assert ejected(outcome) == []
    assert sorted(outcome.merged) == ["p", "right"]
    bench.assert_sound(outcome)


def test_what_depends_on_the_one_that_leaves_leaves_with_it_and_says_why(bench: QueueBench) -> None:
    for name in ("left", "right"):
        bench.add(name, checks=[quarrel("left right")])
    bench.add("child", start="work/right", deps=["right"], checks=[quarrel("left right")])
    outcome = bench.process()
    assert ejected(outcome) == ["right"]
    assert outcome.status("child") is MergeStatus.CANCELLED
    assert outcome.entries["child"].reason == "right, which it depends on, did not land"
    assert outcome.merged == ["left"]
    bench.assert_sound(outcome)
