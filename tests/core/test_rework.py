"""Work that cannot land: done again by an agent that is told why, a bounded number of times."""

from datetime import timedelta

from msgspec.structs import replace

from cli_multi_rapid.core.breaker import BreakerRules
from cli_multi_rapid.core.facts import FailureClass, RunStatus
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, NodeId, ToolName
from cli_multi_rapid.core.intents import (
    Enqueue,
    FailNode,
    FinishRun,
    Intent,
    OpenBreaker,
    RetryNode,
    ReworkNode,
    StartAttempt,
    WakeAt,
)
from cli_multi_rapid.core.merge_events import (
    MergeCancelled,
    MergeConflicted,
    MergeEnqueued,
    MergeEntry,
    MergeFailed,
)
from cli_multi_rapid.core.money import Price
from cli_multi_rapid.core.node_events import NodeAttemptFailed, NodeReset, NodeStarted, NodeSucceeded
from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from cli_multi_rapid.core.plan import ShellLine
from cli_multi_rapid.core.routing import ToolFacts
from cli_multi_rapid.core.run_facts import facts_of
from cli_multi_rapid.core.scheduler import Limits, decide
from cli_multi_rapid.engine.orders import evidence_for
from cli_multi_rapid.engine.tool_sessions import next_session
from tests.fakes.sample_plans import MAIN, START
from tests.fakes.small_runs import Story, bare, same

A, B = NodeId("a"), NodeId("b")
T, U = ToolName("t"), ToolName("u")
LIMITS = Limits(
    tools={
        T: ToolFacts(price=Price(free=True), agent=True, fallback=(U,)),
        U: ToolFacts(price=Price(free=True), agent=True),
    }
)


def follow(story: Story, limits: Limits = LIMITS, *, late: float = 0) -> list[Intent]:
    """What is decided; starts, reworks and breakers become facts."""
    intents = decide(story.state, limits, START + timedelta(seconds=late))
    for intent in intents:
        match intent:
            case ReworkNode() | OpenBreaker() | FailNode():
                story.tell(*facts_of(intent, story.state.ledger))
            case StartAttempt(node_id=node_id, attempt=number, tool=tool, reason=reason):
                started = NodeStarted(
                    node_id=node_id, attempt=number, tool=tool, reason=reason, slot="s", log="l"
                )
                story.tell(started)
            case _:
                pass
    return intents


def succeed(story: Story, node_id: NodeId) -> None:
    """The running attempt seals its work."""
    number = len(story.state.nodes[node_id].attempts)
    story.tell(NodeSucceeded(node_id=node_id, attempt=number, commit=Commit(f"{number:040}")))


def queue(story: Story, node_id: NodeId, *deps: EntryId) -> EntryId:
    """The sealed work joins the queue."""
    assert Enqueue(node_id=node_id) in follow(story)
    entry_id = EntryId(f"{node_id}@{len(story.state.nodes[node_id].attempts)}")
    entry = MergeEntry(
        id=entry_id,
        branch=Branch(entry_id),
        head=Commit("h"),
        base=Commit("b"),
        target=MAIN,
        node_id=node_id,
        deps=deps,
    )
    story.tell(MergeEnqueued(entry=entry))
    return entry_id


def refuse(story: Story, entry_id: EntryId, output: str = "FAILED test_x") -> None:
    """A check fails on it alone."""
    reason = "tests: exit code 1"
    story.tell(MergeFailed(entry_id=entry_id, reason=reason, log="/logs/tests.1", evidence=output))


def done_and_refused(story: Story, node_id: NodeId) -> None:
    """One more round of a node that ends with a red check."""
    assert any(isinstance(intent, StartAttempt) for intent in follow(story))
    succeed(story, node_id)
    refuse(story, queue(story, node_id))


def test_refused_work_is_done_again_with_the_end_of_the_checks_output_in_its_prompt() -> None:
    story = Story(bare("a"))
    done_and_refused(story, A)
    (again,) = follow(story)
    assert isinstance(again, ReworkNode)
    assert again.reason == "tests: exit code 1; done again on the new base (1 of 2)"
    told = evidence_for(story.state.nodes[A])
    assert "FAILED test_x" in told
    assert "/logs/tests.1" in told
    assert f"commit {1:040}" in told
    assert (story.state.nodes[A].status, story.state.nodes[A].head) == (NodeStatus.PENDING, None)


def test_an_output_of_any_length_leaves_room_for_what_is_said_before_it() -> None:
    story = Story(bare("a"))
    follow(story)
    succeed(story, A)
    refuse(story, queue(story, A), "x" * 9000 + "the end")
    follow(story)
    told = evidence_for(story.state.nodes[A])
    assert len(told) < 4000
    assert told.startswith("Your work was done, but it did not land")
    assert told.endswith("the end")


def test_a_conflict_is_told_with_its_files() -> None:
    story = Story(bare("a"))
    follow(story)
    succeed(story, A)
    entry_id = queue(story, A)
    story.tell(
        MergeConflicted(entry_id=entry_id, files=("src/a.py",), partner="b", reason="conflicts with b")
    )
    follow(story)
    told = evidence_for(story.state.nodes[A])
    assert "conflicts with b" in told
    assert "src/a.py" in told


def test_after_two_reworks_the_fallback_has_its_turn_and_then_a_person() -> None:
    story = Story(bare("a"))
    tools = []
    for _ in range(10):
        done_and_refused(story, A)
        tools.append(story.state.nodes[A].attempts[-1].tool)
        if not isinstance(follow(story)[0], ReworkNode):
            break
    assert tools == [T, T, T, U, U, U]
    end = follow(story)[-1]
    assert isinstance(end, FinishRun)
    assert (end.status, end.exit_code) == (RunStatus.FAILED, 1)
    assert story.state.nodes[A].merge_status is MergeStatus.FAILED


def test_a_command_is_not_done_again_because_it_would_do_the_same() -> None:
    story = Story(replace(bare("a"), work=ShellLine(run="true")))
    done_and_refused(story, A)
    assert [type(intent) for intent in follow(story)] == [FinishRun]


def test_what_a_person_withdrew_is_not_done_again() -> None:
    story = Story(bare("a"))
    follow(story)
    succeed(story, A)
    story.tell(MergeCancelled(entry_id=queue(story, A), reason="withdrawn by ada"))
    assert [type(intent) for intent in follow(story)] == [FinishRun]


def test_what_was_built_on_refused_work_is_done_again_on_the_new_work() -> None:
    story = Story(bare("a"), replace(bare("b", "a"), work=ShellLine(run="make")))
    follow(story)
    succeed(story, A)
    below = queue(story, A)
    assert story.state.nodes[B].status is NodeStatus.RUNNING
    succeed(story, B)
    above = queue(story, B, below)
    refuse(story, below)
    lost = f"{below}, which it depends on, did not land"
    story.tell(MergeCancelled(entry_id=above, reason=lost, lost=below))
    assert [type(intent) for intent in follow(story)] == [ReworkNode]
    (again,) = follow(story)
    assert isinstance(again, ReworkNode)
    assert (again.node_id, again.reason) == (B, "it was built on work of a that is being done again")
    assert story.state.nodes[B].refusals == {}, "the refusal of another's work counts as its own"
    assert [i.node_id for i in follow(story) if isinstance(i, StartAttempt)] == [A]


def test_work_that_was_built_on_refused_work_is_not_even_queued() -> None:
    story = Story(bare("a"), bare("b", "a"))
    follow(story)
    succeed(story, A)
    below = queue(story, A)
    follow(story)
    refuse(story, below)
    follow(story)
    succeed(story, B)
    assert ReworkNode(
        node_id=B, reason="it was built on work of a that is being done again", evidence="", tool=None
    ) in follow(story)


def test_work_that_merely_came_after_refused_work_because_of_claims_is_queued_all_the_same() -> None:
    story = Story(same("a"), same("b"))
    follow(story)
    succeed(story, A)
    first = queue(story, A)
    refuse(story, first)
    follow(story)
    assert story.state.nodes[B].foundation[0].node_id == A
    succeed(story, B)
    assert Enqueue(node_id=B) in follow(story)


def test_a_session_is_gone_on_with_by_the_same_tool_only_and_not_after_a_refusal() -> None:
    story = Story(bare("a"))
    follow(story)
    state = story.state.nodes[A]
    story.tell(
        NodeAttemptFailed(
            node_id=A, attempt=1, failure=FailureClass.TIMED_OUT, reason="slow", session_id="s-1"
        )
    )
    assert (next_session(state, T).id, next_session(state, U).id) == ("s-1", None)
    retry = next(intent for intent in follow(story) if isinstance(intent, RetryNode))
    story.tell(*facts_of(retry, story.state.ledger))
    follow(story, late=9)
    succeed(story, A)
    refuse(story, queue(story, A))
    follow(story)
    assert next_session(state, T).id is None


def test_a_node_is_done_again_only_when_work_with_its_claims_that_is_queued_has_landed() -> None:
    story = Story(same("a"), same("b"), implied=())
    follow(story)
    succeed(story, A)
    first = queue(story, A)
    follow(story)
    succeed(story, B)
    queue(story, B)
    refuse(story, first)
    follow(story)
    assert story.state.nodes[A].status is NodeStatus.PENDING
    assert not [intent for intent in follow(story) if isinstance(intent, StartAttempt)]
    story.land_entry("b@1")
    assert [i.node_id for i in follow(story) if isinstance(i, StartAttempt)] == [A]


def test_fail_fast_waits_for_the_end_of_the_reworks() -> None:
    limits = replace(LIMITS, fail_fast=True)
    story = Story(bare("a"), bare("b"))
    follow(story, replace(limits, workers=1))
    succeed(story, A)
    refuse(story, queue(story, A))
    assert [type(intent) for intent in follow(story, limits)] == [ReworkNode]


# --- breakers, as a run meets them --------------------------------------------------------------------------


def fail(story: Story, node_id: NodeId, failure: FailureClass) -> None:
    """The running attempt fails."""
    number = len(story.state.nodes[node_id].attempts)
    story.tell(NodeAttemptFailed(node_id=node_id, attempt=number, failure=failure, reason="HTTP 529"))


def test_a_breaker_opens_before_anything_else_is_decided_and_the_other_tool_takes_over() -> None:
    nodes = [replace(bare(name), retries=0) for name in "abcd"]
    story = Story(*nodes)
    limits = replace(LIMITS, workers=3, breaker=BreakerRules(failures=3))
    follow(story, limits)
    for name in "abc":
        fail(story, NodeId(name), FailureClass.TRANSIENT)
    (opens,) = follow(story, limits)
    assert isinstance(opens, OpenBreaker)
    assert (opens.tool, opens.failures, opens.until) == (T, 3, START + timedelta(seconds=30))
    started = [intent for intent in follow(story, limits) if isinstance(intent, StartAttempt)]
    assert [(start.node_id, start.tool) for start in started] == [("d", U)]
    assert "t skipped: its breaker is open (3 failures, the last: HTTP 529)" in started[0].reason


def test_after_the_wait_one_of_many_ready_nodes_is_the_trial() -> None:
    alone = {T: ToolFacts(price=Price(free=True), agent=True)}
    limits = replace(LIMITS, tools=alone, breaker=BreakerRules(failures=1))
    story = Story(*(bare(name) for name in "abc"))
    follow(story, replace(limits, workers=1))
    fail(story, A, FailureClass.TRANSIENT)
    assert [type(intent) for intent in follow(story, limits)] == [OpenBreaker]
    waits = follow(story, limits)
    assert WakeAt(time=START + timedelta(seconds=30)) in waits
    assert not [intent for intent in waits if isinstance(intent, StartAttempt)]
    trials = [intent for intent in follow(story, limits, late=31) if isinstance(intent, StartAttempt)]
    assert len(trials) == 1
    assert trials[0].reason.endswith("the one trial after its breaker opened")


def test_a_person_who_asks_again_need_not_wait_for_the_trial() -> None:
    alone = {T: ToolFacts(price=Price(free=True), agent=True)}
    limits = replace(LIMITS, tools=alone, breaker=BreakerRules(failures=1))
    story = Story(replace(bare("a"), retries=0))
    follow(story, limits)
    fail(story, A, FailureClass.REFUSED)
    follow(story, limits)
    follow(story, limits)
    story.tell(NodeReset(node_id=A, reason="retry asked for by ada"))
    (trial,) = [intent for intent in follow(story, limits) if isinstance(intent, StartAttempt)]
    assert trial.tool == T


def test_a_tool_that_refuses_everybody_fails_who_has_no_other_without_asking_it_again() -> None:
    alone = {T: ToolFacts(price=Price(free=True), agent=True)}
    limits = replace(LIMITS, tools=alone, workers=3)
    story = Story(*(bare(name) for name in "abcd"))
    follow(story, limits)
    for name in "abc":
        fail(story, NodeId(name), FailureClass.REFUSED)
    follow(story, limits)
    ends = [intent for intent in follow(story, limits) if isinstance(intent, FailNode)]
    assert {end.node_id for end in ends} == set("abcd")
    assert {end.failure for end in ends} == {FailureClass.REFUSED}
    assert not [intent for intent in follow(story, limits) if isinstance(intent, StartAttempt)]
