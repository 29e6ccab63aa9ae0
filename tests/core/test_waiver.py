"""A person overrules what a review found: what follows for the run, and how it is taken back."""

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.facts import FindingRef, RunStatus
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.node_events import NodeCancelled
from cli_multi_rapid.core.node_state import NodeStatus
from cli_multi_rapid.core.plan import FixMode, FixPolicy
from cli_multi_rapid.core.run_events import ApprovalRejected, ApprovalRequested
from cli_multi_rapid.core.scheduler import Limits, decide
from cli_multi_rapid.core.state import IllegalTransition
from cli_multi_rapid.core.verification_events import FindingRestored
from cli_multi_rapid.core.waiver import overruled_by, restore, waive, why_not_restored, why_not_waived
from tests.fakes.failed_looks import (
    AUTO,
    HOLE,
    LEAK,
    LINT,
    TASTE,
    TOOLS,
    amended,
    ended,
    landed,
    looks,
    planned,
    rejected,
    started,
    verdict,
)
from tests.fakes.sample_plans import START
from tests.fakes.small_runs import Story, bare

OFF = Limits(tools=TOOLS)
ASK = replace(AUTO, fix=FixPolicy(mode=FixMode.ASK))


def finding(number: int, *, attempt: int = 1, name: str = "look") -> FindingRef:
    return FindingRef(node_id=NodeId(name), attempt=attempt, number=number)


def waived(story: Story, *numbers: int) -> Story:
    """A person overrules these findings of the first look."""
    refs = [finding(number) for number in numbers]
    assert why_not_waived(story.state, refs) == ""
    return story.tell(*waive(story.state, refs, "ada", "the proxy does it"))


def restored(story: Story, *numbers: int) -> Story:
    refs = [finding(number) for number in numbers]
    assert why_not_restored(story.state, refs) == ""
    return story.tell(*restore(story.state, refs, "ada", "she was wrong"))


def status(story: Story, name: str) -> NodeStatus:
    return story.state.nodes[NodeId(name)].shown_status


# --- before anything is added -------------------------------------------------------------------------------


def test_a_review_of_which_nothing_is_left_has_passed_and_what_depends_on_it_starts() -> None:
    story = verdict(landed(bare("after", "look")).start("look"), HOLE, TASTE)
    assert status(story, "after") is NodeStatus.BLOCKED
    waived(story, 1)
    assert status(story, "look") is NodeStatus.COMPLETED
    assert started(story, OFF) == ["after"]
    story.do("after", idle=True)
    assert ended(story, OFF).exit_code == 0


def test_only_what_is_left_of_a_review_gets_a_fix() -> None:
    story = waived(rejected(HOLE, LEAK), 1)
    assert ended(story, OFF).exit_code == 1
    (fix,) = amended(story).nodes
    assert "a leak" in fix.goal
    assert "a hole" not in fix.goal


def test_a_review_that_is_overruled_as_a_whole_costs_no_fix() -> None:
    assert ended(waived(rejected(HOLE, LEAK), 1, 2)).status is RunStatus.SUCCESS


def test_what_counts_again_is_as_it_was_before() -> None:
    story = restored(waived(rejected(HOLE), 1), 1)
    assert status(story, "look") is NodeStatus.FAILED
    assert ended(story, OFF).exit_code == 1
    assert len(amended(story).nodes) == 1


# --- when nodes were added for it ---------------------------------------------------------------------------


def test_a_fix_that_waits_for_a_person_is_excused_and_the_review_is_not_paid_again() -> None:
    story = rejected(HOLE)
    (fix,) = amended(story, ASK).nodes
    story.tell(ApprovalRequested(node_id=fix.id, what="before"))
    assert overruled_by(story.state, fix.id) == [finding(1)]
    waived(story, 1)
    assert (status(story, fix.id), status(story, "look")) == (NodeStatus.COMPLETED, NodeStatus.COMPLETED)
    assert ended(story, ASK).exit_code == 0


def test_a_fix_that_was_refused_or_failed_no_longer_ends_the_run_badly() -> None:
    refused = rejected(HOLE)
    amended(refused, ASK)
    fix = NodeId("fix-1-1")
    refused.tell(
        ApprovalRequested(node_id=fix, what="before"),
        ApprovalRejected(node_id=fix, what="before", by="ada", reason="wrong"),
        NodeCancelled(node_id=fix, reason="wrong"),
    )
    assert ended(refused, ASK).exit_code == 1
    assert ended(waived(refused, 1), ASK).exit_code == 0

    failed = rejected(HOLE)
    amended(failed)
    assert ended(waived(failed.start(fix).lose(fix), 1)).exit_code == 0


def test_work_of_a_fix_that_cannot_land_is_left_where_it_is() -> None:
    story = rejected(HOLE)
    amended(story)
    story.do("fix-1-1").eject("fix-1-1")
    assert ended(waived(story, 1)).exit_code == 0


def test_the_review_looks_again_after_the_fixes_of_what_is_not_overruled() -> None:
    story = rejected(HOLE, LEAK)
    amended(story)
    waived(story, 2)
    assert started(story) == ["fix-1-1"]
    story.do("fix-1-1").land("fix-1-1")
    assert started(story) == ["look"]
    verdict(story.start("look"))
    assert ended(story).exit_code == 0


def test_failed_checks_are_repaired_whatever_is_said_of_the_review() -> None:
    story = verdict(landed(looks("review", "n")).start("look"), LINT)
    verdict(story.start("review"), HOLE, name="review")
    amended(story)
    refs = [finding(1, name="review")]
    story.tell(*waive(story.state, refs, "ada", "no"))
    assert status(story, "fix-1-1") is NodeStatus.COMPLETED
    assert status(story, "review") is NodeStatus.PENDING
    assert started(story) == ["fix-1-checks"]


def test_a_fix_behind_another_that_failed_is_excused_all_the_same() -> None:
    story = verdict(landed(looks("review", "n")).start("look"), LINT)
    verdict(story.start("review"), HOLE, name="review")
    amended(story)
    story.start("fix-1-checks").lose("fix-1-checks")
    story.tell(*waive(story.state, [finding(1, name="review")], "ada", "no"))
    assert story.state.nodes[NodeId("fix-1-1")].landed
    assert not story.state.nodes[NodeId("fix-1-1")].dead


def test_a_review_that_had_passed_and_was_to_come_again_is_not_paid_for_nothing() -> None:
    story = landed(looks("review", "look"))
    verdict(verdict(story.start("look")).start("review"), HOLE, name="review")
    assert amended(story).again == ("look", "review")
    story.tell(*waive(story.state, [finding(1, name="review")], "ada", "no"))
    assert ended(story).exit_code == 0


def test_a_plan_is_made_for_what_is_left_and_not_at_all_for_nothing() -> None:
    story = rejected(HOLE, LEAK, replace(LEAK, summary="another"))
    amended(story, ASK)
    assert status(waived(story, 1), "remedy-1") is NodeStatus.PENDING
    assert status(waived(story, 2, 3), "remedy-1") is NodeStatus.COMPLETED
    assert ended(story, ASK).exit_code == 0


def test_the_nodes_of_a_plan_are_excused_together() -> None:
    story = rejected(HOLE, LEAK, replace(LEAK, summary="another"))
    amended(story)
    amended(planned(story))
    story.start("fix-1-a").lose("fix-1-a")
    assert status(story, "fix-1-b") is NodeStatus.BLOCKED
    waived(story, 1, 2, 3)
    assert ended(story).exit_code == 0
    restored(story, 2)
    assert started(story) == ["fix-1-a"]
    assert status(story, "look") is NodeStatus.PENDING


def test_fixes_of_a_recording_that_does_not_say_what_they_are_for_are_excused_together() -> None:
    story = rejected(HOLE, LEAK)
    (intent,) = decide(story.state, AUTO, START)
    story.tell(replace(intent.amended, fixes=()))  # type: ignore[union-attr]  # it is an amendment
    assert status(waived(story, 1), "fix-1-1") is NodeStatus.PENDING
    assert ended(waived(story, 2)).exit_code == 0


def test_a_fix_is_asked_for_again_when_its_finding_counts_again() -> None:
    story = rejected(HOLE)
    (fix,) = amended(story, ASK).nodes
    restored(waived(story, 1), 1)
    assert (status(story, fix.id), status(story, "look")) == (NodeStatus.PENDING, NodeStatus.PENDING)
    assert [intent.node_id for intent in decide(story.state, ASK, START)] == [fix.id]  # type: ignore[union-attr]  # it asks


# --- what is refused ----------------------------------------------------------------------------------------


def test_what_cannot_be_overruled_is_said() -> None:
    story = verdict(landed(looks("review", "n")).start("look"), LINT, TASTE)
    verdict(story.start("review"), HOLE, name="review")

    def why(name: str, number: int) -> str:
        return why_not_waived(story.state, [finding(number, name=name)])

    assert "is the failed check lint" in why("look", 1)
    assert "is minor: it keeps nothing from passing" in why("look", 2)
    assert why("look", 3) == "the last verdict of look has no finding 3"
    assert why("n", 1) == "n (completed) has no verdict with findings"
    assert why("nobody", 1) == "this run has no node nobody"
    assert why_not_restored(story.state, [finding(1, name="review")]) == "review.1 is not waived"
    story.tell(*waive(story.state, [finding(1, name="review")], "ada", "no"))
    assert why("review", 1) == "review.1 was waived already, by ada"


def test_an_event_that_restores_what_was_never_waived_is_refused() -> None:
    story = landed()
    verdict(story.start("look"))
    with pytest.raises(IllegalTransition, match=r"look\.1 is not waived"):
        story.tell(FindingRestored(finding=finding(1), by="ada"))
    assert status(story, "look") is NodeStatus.COMPLETED


def test_a_fix_that_is_under_way_is_waited_for() -> None:
    story = rejected(HOLE)
    amended(story)
    story.start("fix-1-1")
    assert why_not_waived(story.state, [finding(1)]).startswith("fix-1-1 is at it")
    story.succeed("fix-1-1")
    assert "on its way to land" in why_not_waived(story.state, [finding(1)])
    story.land("fix-1-1")
    assert why_not_waived(story.state, [finding(1)]) == ""
    assert started(waived(story, 1)) == ["look"]


def test_what_others_have_built_on_does_not_count_again() -> None:
    story = waived(verdict(landed(bare("after", "look")).start("look"), HOLE), 1).start("after")
    assert why_not_restored(story.state, [finding(1)]) == "after has been built on it since"


def test_only_the_last_verdict_is_spoken_of() -> None:
    story = waived(rejected(HOLE, LEAK), 2)
    (fix,) = amended(story).nodes
    verdict(story.do(fix.id).land(fix.id).start("look"), LEAK)
    assert ended(story, replace(AUTO, fix=FixPolicy(mode=FixMode.AUTO, rounds=1))).exit_code == 1
    assert why_not_restored(story.state, [finding(2)]) == "the last verdict of look has no finding 2"
    assert why_not_waived(story.state, [finding(1, attempt=2)]) == ""
