"""A `verify` node: it waits for the landings, judges the tree of the target, and says what it found."""

from cli_multi_rapid.core.facts import FailureClass, RunStatus, Verdict
from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.merge_events import CheckFinished, MergeLanded
from cli_multi_rapid.core.node_events import NodeStarted, NodeSucceeded
from cli_multi_rapid.core.node_state import NodeStatus
from cli_multi_rapid.core.run_events import CommandGiven
from tests.fakes.worlds import Story, World

NODES = """
nodes:
  - {id: one, tool: shell, run: "echo 1 > src/1.txt", path_claims: [src/1.txt]}
  - {id: two, tool: shell, run: "echo 2 > src/2.txt", path_claims: [src/2.txt]}
  - {id: verify, tool: verify, role: ipt, deps: [one, two]}
"""
PLAN = (
    """
merge_policy: {checklist: [lint, tests]}
rollback_policy: {max_retry_attempts: 0}
checks:
  lint: {run: "! grep -rq BAD src"}
  tests: {run: "ls src"}
"""
    + NODES
)


def verdicts(story: Story) -> list[CheckFinished]:
    """What the verifier found: every verdict after it began."""
    seqs = [e.seq for e in story.events if isinstance(e.data, NodeStarted) and e.data.node_id == "verify"]
    found = [e.data for e in story.events if e.seq > seqs[-1]]
    return [fact for fact in found if isinstance(fact, CheckFinished)]


def test_verification_begins_when_everything_has_landed_and_tells_every_verdict(world: World) -> None:
    story = world.execute(PLAN)
    assert story.finished.exit_code == 0
    order = [event.data for event in story.events]
    last_landing = max(place for place, fact in enumerate(order) if isinstance(fact, MergeLanded))
    began = next(
        place
        for place, fact in enumerate(order)
        if isinstance(fact, NodeStarted) and fact.node_id == "verify"
    )
    assert began > last_landing
    found = verdicts(story)
    assert [(fact.check, fact.verdict) for fact in found] == [
        ("lint", Verdict.PASSED),
        ("tests", Verdict.PASSED),
    ]
    assert {fact.tree for fact in found} == {world.repository.tree_of("main")}
    node = story.node("verify")
    assert node.reason == f"2 checks pass on {world.repository.head[:10]}"
    assert node.success is not None
    assert node.success.base == world.repository.head
    assert node.merge_status is None
    world.assert_nothing_left(story.run_id)


def test_verdicts_that_the_queue_found_on_this_very_tree_are_not_found_again(world: World) -> None:
    story = world.execute(PLAN)
    assert [fact.reused for fact in verdicts(story)] == [True, True]


def test_verification_waits_with_the_work_that_waits_for_a_person(world: World) -> None:
    plan = PLAN.replace("path_claims: [src/2.txt]", "approval: landing, path_claims: [src/2.txt]")
    waiting = world.execute(plan)
    assert waiting.finished.exit_code == 4
    assert "verify" not in waiting.order_of(NodeStarted)


def test_a_landed_tree_that_fails_is_named_with_its_check_and_the_evidence(world: World) -> None:
    plan = PLAN.replace("! grep", r"printf '\\033[31mred\\n'; ! grep")
    waiting = world.execute(plan.replace("deps: [one, two]", "deps: [one, two], approval: before"))
    assert waiting.finished.status is RunStatus.WAITING
    world.repository.commit({"src/bad.txt": "BAD\n"}, "somebody breaks the target")
    world.tell(waiting.run_id, CommandGiven(command="approve", by="ada"))
    story = world.drive(waiting.run_id)
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.PARTIAL, 1)
    node = story.node("verify")
    assert (node.status, node.failure) == (NodeStatus.FAILED, FailureClass.TOOL_FAILED)
    assert node.reason.startswith("the landed tree fails lint: lint failed with exit code 1")
    assert [(fact.check, fact.verdict) for fact in verdicts(story)] == [
        ("lint", Verdict.FAILED),
        ("tests", Verdict.PASSED),
    ]
    assert all(story.node(name).landed for name in ("one", "two"))
    verified = node.attempts[-1].verified
    assert verified is not None
    (finding,) = verified.findings
    assert (finding.check, finding.evidence) == ("lint", "red\n")


def test_verification_is_blocked_when_something_did_not_land(world: World) -> None:
    story = world.execute(PLAN.replace("echo 2 >", "echo BAD >"))
    assert story.finished.exit_code == 1
    assert story.node("verify").shown_status is NodeStatus.BLOCKED
    assert story.node("verify").blocked_by == "two"


def test_a_node_after_the_verification_starts_from_what_was_verified(world: World) -> None:
    story = world.execute(
        PLAN
        + '  - {id: after, tool: shell, run: "cat src/1.txt src/2.txt > src/3.txt", deps: [verify], '
        + "path_claims: [src/3.txt]}\n"
    )
    assert story.finished.exit_code == 0
    assert world.repository.show("main", "src/3.txt") == "1\n2\n"


def test_a_failed_verification_can_be_repeated_after_a_repair(world: World) -> None:
    waiting = world.execute(PLAN.replace("deps: [one, two]", "deps: [one, two], approval: before"))
    world.repository.commit({"src/bad.txt": "BAD\n"})
    world.tell(waiting.run_id, CommandGiven(command="approve", by="ada"))
    assert world.drive(waiting.run_id).finished.exit_code == 1
    world.repository.commit({"src/bad.txt": None})
    world.tell(waiting.run_id, CommandGiven(command="retry", by="ada", node_id=NodeId("verify")))
    assert world.drive(waiting.run_id).finished.exit_code == 4  # asked again, for it starts anew
    world.tell(waiting.run_id, CommandGiven(command="approve", by="ada"))
    story = world.drive(waiting.run_id)
    assert story.finished.exit_code == 0
    assert story.order_of(NodeSucceeded)[-1] == "verify"


def test_without_any_check_the_verification_says_so_and_passes(world: World) -> None:
    story = world.execute("merge_policy: {checklist: []}\n" + NODES)
    assert story.finished.exit_code == 0
    assert story.node("verify").reason == f"0 checks pass on {world.repository.head[:10]}"
