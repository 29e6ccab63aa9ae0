"""Whatever state a run is in, people read what happens next or what they must type."""

from collections.abc import Callable

import pytest

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.merge_events import MergeCancelled, MergeHalted, MergeResumed
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.node_events import NodeCancelled, NodeSkipped
from cli_multi_rapid.core.plan import Approval
from cli_multi_rapid.core.run_events import ApprovalRequested, RunCancelling, RunPaused
from cli_multi_rapid.reports.chronicle import read_chronicle
from cli_multi_rapid.reports.next_step import Advice, budget_line
from tests.fakes.histories import History
from tests.fakes.run_stories import STORIES, begun, wide
from tests.fakes.sample_plans import oauth_plan

RETRY = "cli-orchestrator retry r1003-oauth2"


def advice(history: History) -> Advice:
    return Advice(history.state, read_chronicle(history.events))


def commands(history: History, *, alive: bool = True) -> list[str]:
    return [step["command"] for step in advice(history).of_run(alive=alive) if step["command"]]


def texts(history: History, *, alive: bool = True) -> str:
    return "\n".join(step["text"] for step in advice(history).of_run(alive=alive))


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("alive", [True, False])
def test_there_is_always_something_to_say(story: str, alive: bool) -> None:
    history = STORIES[story]()
    assert advice(history).of_run(alive=alive)


@pytest.mark.parametrize("story", STORIES)
def test_every_node_of_a_finished_run_is_done_or_names_a_command(story: str) -> None:
    history = STORIES[story]()
    state = history.state
    if state.finished is None:
        return
    found = advice(history)
    for node in state.nodes.values():
        step = found.of_node(node)
        assert node.landed or (step is not None and step["command"])


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("running", ["cli-orchestrator watch r1003-oauth2"]),
        ("success", []),
        ("failed_check", [f"{RETRY} n2"]),
        ("conflict", [f"{RETRY} n2"]),
        (
            "held",
            [
                "git -C /home/ada/shop merge --ff-only 1234567",
                "cli-orchestrator resume r1003-oauth2",
            ],
        ),
        ("timeout", [f"{RETRY} n1"]),
        ("budget_stop", ["cli-orchestrator resume r1003-oauth2 --budget 8.69"]),
        ("cancelled", [f"{RETRY} n2", f"{RETRY} n3", f"{RETRY} n4"]),
        (
            "waiting",
            ["cli-orchestrator approve r1003-oauth2 n2", "cli-orchestrator reject r1003-oauth2 n2"],
        ),
    ],
)
def test_each_end_of_a_run_has_its_commands(story: str, expected: list[str]) -> None:
    assert commands(STORIES[story]()) == expected


def test_work_that_does_not_merge_can_also_be_put_right_by_hand() -> None:
    assert "cli-orchestrator queue add lane/r1003-oauth2/n2" in texts(STORIES["conflict"]())


def test_a_run_without_a_process_is_to_be_resumed() -> None:
    assert commands(STORIES["running"](), alive=False) == ["cli-orchestrator resume r1003-oauth2"]


def test_a_paused_run_is_to_be_unpaused() -> None:
    history = STORIES["running"]()
    history.add(RunPaused(reason="lunch"))
    assert commands(history) == ["cli-orchestrator unpause r1003-oauth2"]


def test_a_run_that_is_being_cancelled_needs_nothing() -> None:
    history = STORIES["running"]()
    history.add(RunCancelling(reason="wrong branch"))
    assert (commands(history), "being cancelled" in texts(history)) == ([], True)


def test_a_halted_queue_is_said_first_until_it_goes_on() -> None:
    history = STORIES["running"]()
    history.add(MergeHalted(reason="main itself fails tests", hint="repair main"))
    assert texts(history).splitlines()[0] == "the queue halted: main itself fails tests. repair main"
    history.add(MergeResumed(reason="main moved"))
    assert "halted" not in texts(history)


def test_a_reason_that_ends_with_a_dot_gets_no_second_one() -> None:
    history = STORIES["running"]()
    history.add(MergeHalted(reason="tests failed: `3 errors.`.", hint="repair main"))
    assert texts(history).splitlines()[0] == "the queue halted: tests failed: `3 errors.`. repair main"


def test_a_step_leaves_the_reason_to_the_line_of_its_node() -> None:
    history = wide(3).start("w1").fail("w1").finish(RunStatus.FAILED, 1)
    reason = history.state.nodes[NodeId("w1")].reason
    assert reason
    assert reason not in texts(history)
    assert f"{RETRY} w1" in commands(history)


def test_a_run_that_a_person_cancelled_is_not_to_be_taken_up_again() -> None:
    history = wide(2).finish(RunStatus.CANCELLED, 1)
    assert "take the run up again" not in texts(history)


def test_approval_to_land_is_asked_for_while_the_run_goes_on() -> None:
    history = STORIES["running"]().succeed("n2")
    history.add(ApprovalRequested(node_id=NodeId("n2"), what="landing"))
    assert "n2 asks for your approval to land" in texts(history)
    assert commands(history)[0] == "cli-orchestrator approve r1003-oauth2 n2"


def test_work_left_in_the_queue_at_the_end_of_a_run_is_to_be_resumed() -> None:
    history = STORIES["running"]().succeed("n2").enqueue("n2").finish(RunStatus.PARTIAL, 1)
    assert "n2 waits to land" in texts(history)
    assert commands(history)[0] == "cli-orchestrator resume r1003-oauth2"


def test_a_withdrawn_entry_says_so() -> None:
    history = STORIES["running"]().succeed("n2").enqueue("n2")
    history.add(MergeCancelled(entry_id=history.entry("n2"), reason="withdrawn by ada"))
    history.finish(RunStatus.PARTIAL, 1)
    assert "n2 left the queue, its work is kept on lane/r1003-oauth2/n2" in texts(history)


def test_a_node_whose_condition_does_not_hold_needs_nothing() -> None:
    history = begun()
    history.add(NodeSkipped(node_id=NodeId("n3"), reason="when: docs is false"))
    node = history.state.nodes[NodeId("n3")]
    assert advice(history).of_node(node) is None


def test_a_cancelled_run_with_nothing_left_can_still_be_taken_up() -> None:
    history = History(oauth_plan()).begin().finish(RunStatus.CANCELLED, 1)
    assert commands(history) == ["cli-orchestrator resume r1003-oauth2"]


def test_a_waiting_run_whose_question_was_answered_is_to_be_resumed() -> None:
    history = begun(Approval.BEFORE).finish(RunStatus.WAITING, 4)
    assert commands(history) == ["cli-orchestrator resume r1003-oauth2"]


def test_a_hundred_failures_are_not_a_hundred_steps() -> None:
    history = wide(100)
    for node in history.plan.nodes:
        history.add(NodeCancelled(node_id=node.id, reason="stop"))
    history.finish(RunStatus.CANCELLED, 1)
    assert len(advice(history).of_run()) == 21
    assert texts(history).splitlines()[-1] == "and 80 more: see `next` of each node in the report"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (STORIES["running"], "$0.247 of $15.00 spent (2 %), $1.00 reserved, $13.753 left"),
        (STORIES["parallel"], "$0.50 spent, no limit"),
        (lambda: History(oauth_plan(parse_usd(0))).begin(), "$0.00 of $0.00 spent, $0.00 left"),
    ],
)
def test_the_budget_is_one_line(make: Callable[[], History], expected: str) -> None:
    assert budget_line(make().state) == expected
