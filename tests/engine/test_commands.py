"""What people say to a run: each word is followed at once and leaves nothing behind."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.merge_events import MergeLanded
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from cli_multi_rapid.core.run_events import CommandGiven, CommandRefused
from cli_multi_rapid.process_tree import find_marked
from tests.fakes.meanwhile import meanwhile, shell_wait, wait_for, wait_until
from tests.fakes.worlds import World

NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"


def say(command: str, node: str = "", **more: object) -> CommandGiven:
    """A person's command."""
    node_id = NodeId(node) if node else None
    return CommandGiven(command=command, by="ada", node_id=node_id, **more)  # type: ignore[arg-type]


def refusals(world: World, run_id: RunId) -> list[str]:
    """Why commands of a run were not followed."""
    with world.workshop() as shop:
        facts = [event.data for event in shop.log.read(run_id)]
    return [fact.reason for fact in facts if isinstance(fact, CommandRefused)]


# --- cancel -----------------------------------------------------------------------------------------------


def test_cancel_ends_the_whole_process_tree_and_everything_that_waits(world: World, tmp_path: Path) -> None:
    started = tmp_path / "started"
    run_id = world.accept(
        NO_CHECKS
        + f"""
nodes:
  - id: slow
    tool: shell
    run: "sleep 61 & setsid sleep 62 & touch {started}; sleep 63"
    path_claims: [src/s]
  - {{id: after, tool: shell, run: "true", deps: [slow], path_claims: [src/x]}}
"""
    )

    def cancel() -> None:
        wait_for(started)
        assert len(find_marked(run_id)) >= 3
        world.tell(run_id, say("cancel", text="changed my mind"))

    with meanwhile(cancel):
        story = world.drive(run_id)
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.CANCELLED, 1)
    assert story.finished.reason == "changed my mind"
    assert {node.status for node in story.state.nodes.values()} == {NodeStatus.CANCELLED}
    world.assert_nothing_left(run_id)


def test_cancel_withdraws_what_waits_in_the_queue_and_keeps_its_branch(world: World, tmp_path: Path) -> None:
    checking = tmp_path / "checking"
    run_id = world.accept(
        f"""
merge_policy: {{checklist: [slow]}}
checks: {{slow: {{run: "touch {checking}; sleep 60"}}}}
nodes: [{{id: n1, tool: shell, run: "echo 1 > src/1.txt", path_claims: [src/1.txt]}}]
"""
    )

    def cancel() -> None:
        wait_for(checking)
        world.tell(run_id, say("cancel"))

    with meanwhile(cancel):
        story = world.drive(run_id)
    node = story.node("n1")
    assert story.finished.exit_code == 1
    assert node.merge_status is MergeStatus.CANCELLED
    branch = node.attempts[0].branch
    assert branch is not None
    assert world.repository.show(branch, "src/1.txt") == "1\n"
    assert "src/1.txt" not in world.repository.files("main")
    world.assert_nothing_left(run_id, kept=[branch])


def test_what_landed_before_the_cancel_stays_landed(world: World, tmp_path: Path) -> None:
    run_id = world.accept(
        NO_CHECKS
        + """
nodes:
  - {id: quick, tool: shell, run: "echo 1 > src/1.txt", path_claims: [src/1.txt]}
  - {id: slow, tool: shell, run: "sleep 60", path_claims: [src/2.txt]}
"""
    )

    def cancel() -> None:
        wait_until(lambda: "src/1.txt" in world.repository.files("main"), "the first node to land")
        world.tell(run_id, say("cancel"))

    with meanwhile(cancel):
        story = world.drive(run_id)
    assert story.node("quick").landed
    assert story.node("slow").status is NodeStatus.CANCELLED
    world.assert_nothing_left(run_id)


def test_a_cancelled_run_can_be_taken_up_again_node_by_node(world: World) -> None:
    run_id = world.accept(
        NO_CHECKS + "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1', path_claims: [src/1]}]"
    )
    world.tell(run_id, say("cancel"))
    assert world.drive(run_id).finished.status is RunStatus.CANCELLED
    world.tell(run_id, say("retry", "n1"))
    assert world.drive(run_id).finished.exit_code == 0


# --- pause ------------------------------------------------------------------------------------------------


def test_a_paused_run_starts_nothing_and_goes_on_when_told(world: World, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id = world.accept(
        NO_CHECKS
        + f"""
nodes:
  - {{id: first, tool: shell, run: "touch {started}; {shell_wait(go)}; echo 1 > src/1", path_claims: [src/1]}}
  - {{id: second, tool: shell, run: "echo 2 > src/2", deps: [first], path_claims: [src/2]}}
"""
    )
    landed_alone = []

    def pause() -> None:
        wait_for(started)
        world.tell(run_id, say("pause", text="lunch"))
        go.touch()
        wait_until(lambda: "src/1" in world.repository.files("main"), "the running node to land")
        landed_alone.append("src/2" not in world.repository.files("main"))
        world.tell(run_id, say("unpause"))

    with meanwhile(pause):
        story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert landed_alone == [True]
    order = [type(event.data).type for event in story.events]
    unpaused = order.index("run.unpaused")
    assert order.index("run.paused") < unpaused
    assert [
        event.data.node_id for event in story.events[:unpaused] if isinstance(event.data, NodeStarted)
    ] == ["first"]


def test_work_whose_check_is_under_way_lands_though_the_run_is_paused(world: World, tmp_path: Path) -> None:
    checking, go = tmp_path / "checking", tmp_path / "go"
    run_id = world.accept(
        f"""
merge_policy: {{checklist: [slow]}}
checks: {{slow: {{run: "touch {checking}; {shell_wait(go)}"}}}}
nodes: [{{id: n1, tool: shell, run: "echo 1 > src/1", path_claims: [src/1]}}]
"""
    )

    def pause() -> None:
        wait_for(checking)
        world.tell(run_id, say("pause"))
        go.touch()

    with meanwhile(pause):
        story = world.drive(run_id)
    assert story.finished.exit_code == 0
    world.assert_nothing_left(run_id)


# --- approval ---------------------------------------------------------------------------------------------

BEFORE = (
    NO_CHECKS
    + """
nodes:
  - {id: asks, tool: shell, run: "echo 1 > src/1", approval: before, path_claims: [src/1]}
  - {id: after, tool: shell, run: "echo 2 > src/2", deps: [asks], path_claims: [src/2]}
  - {id: free, tool: shell, run: "echo 3 > src/3", path_claims: [src/3]}
"""
)
LANDING = BEFORE.replace("approval: before", "approval: landing")


@pytest.mark.parametrize("plan", [BEFORE, LANDING], ids=["before", "landing"])
def test_a_run_waits_for_consent_does_the_rest_meanwhile_and_goes_on_when_it_is_given(
    world: World, plan: str
) -> None:
    waiting = world.execute(plan)
    assert (waiting.finished.status, waiting.finished.exit_code) == (RunStatus.WAITING, 4)
    assert world.repository.files("main") == ["README.md", "src/3", "src/a.txt"]
    world.tell(waiting.run_id, say("approve", "asks"))
    story = world.drive(waiting.run_id)
    assert story.finished.exit_code == 0
    assert story.order_of(NodeStarted).count("asks") == 1
    assert world.repository.files("main") == ["README.md", "src/1", "src/2", "src/3", "src/a.txt"]
    world.assert_nothing_left(story.run_id)


def test_work_that_was_not_allowed_to_start_never_starts_and_its_dependents_are_blocked(world: World) -> None:
    waiting = world.execute(BEFORE)
    world.tell(waiting.run_id, say("reject", "asks", text="too risky"))
    story = world.drive(waiting.run_id)
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.PARTIAL, 1)
    assert story.node("asks").status is NodeStatus.CANCELLED
    assert story.node("asks").reason == "too risky"
    assert story.node("after").shown_status is NodeStatus.BLOCKED
    assert "asks" not in story.order_of(NodeStarted)


def test_work_that_was_not_allowed_to_land_keeps_its_branch_and_takes_its_dependents_along(
    world: World,
) -> None:
    waiting = world.execute(LANDING)
    world.tell(waiting.run_id, say("reject", "asks", text="too risky"))
    story = world.drive(waiting.run_id)
    assert story.finished.exit_code == 1
    asks, after = story.node("asks"), story.node("after")
    assert asks.merge_status is MergeStatus.CANCELLED
    assert asks.merge_reason == "rejected by ada: too risky"
    assert after.merge_status is MergeStatus.CANCELLED
    branches = [attempt.branch for node in (asks, after) for attempt in node.attempts if attempt.branch]
    world.assert_nothing_left(story.run_id, kept=branches)


def test_consent_given_while_the_run_works_is_heard_at_once(world: World, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run_id = world.accept(
        NO_CHECKS
        + f"""
nodes:
  - {{id: asks, tool: shell, run: "echo 1 > src/1", approval: landing, path_claims: [src/1]}}
  - {{id: slow, tool: shell, run: "{shell_wait(go)}; echo 2 > src/2", path_claims: [src/2]}}
"""
    )

    def approve() -> None:
        def is_asked() -> bool:
            with world.workshop() as shop:
                return any(event.data.type == "approval.requested" for event in shop.log.read(run_id))

        wait_until(is_asked, "the question")
        world.tell(run_id, say("approve"))
        wait_until(lambda: "src/1" in world.repository.files("main"), "the approved work to land")
        go.touch()

    with meanwhile(approve):
        story = world.drive(run_id)
    assert story.finished.exit_code == 0


def test_a_plan_that_lands_nothing_by_itself_asks_for_every_node(world: World) -> None:
    waiting = world.execute(
        "merge_policy: {checklist: [], auto_merge_on_success: false}\n"
        """
nodes:
  - {id: n1, tool: shell, run: "echo 1 > src/1", path_claims: [src/1]}
  - {id: n2, tool: shell, run: "echo 2 > src/2", deps: [n1], path_claims: [src/2]}
"""
    )
    assert waiting.finished.exit_code == 4
    assert world.repository.files("main") == ["README.md", "src/a.txt"]
    world.tell(waiting.run_id, say("approve"))
    story = world.drive(waiting.run_id)
    assert story.finished.exit_code == 0
    assert len(story.all_of(MergeLanded)) == 1


# --- retry, inject, budget --------------------------------------------------------------------------------


def test_a_failed_node_is_done_again_with_its_dependents_after_the_cause_is_gone(
    world: World, tmp_path: Path
) -> None:
    repaired = tmp_path / "repaired"
    first = world.execute(
        NO_CHECKS
        + f"""
nodes:
  - {{id: n1, tool: shell, run: "[ -e {repaired} ] || exit 7; echo 1 > src/1", path_claims: [src/1]}}
  - {{id: n2, tool: shell, run: "cp src/1 src/2", deps: [n1], path_claims: [src/2]}}
"""
    )
    assert first.finished.exit_code == 1
    assert first.node("n2").shown_status is NodeStatus.BLOCKED
    repaired.touch()
    world.tell(first.run_id, say("retry", "n1", with_dependents=True))
    story = world.drive(first.run_id)
    assert story.finished.exit_code == 0
    assert world.repository.show("main", "src/2") == "1\n"
    world.assert_nothing_left(story.run_id)


def test_a_node_that_was_ejected_is_done_again_on_the_present_target_under_a_new_branch(world: World) -> None:
    plan = """
merge_policy: {checklist: [ok]}
checks: {ok: {run: "[ ! -e src/1 ] || [ -e src/allowed ]"}}
rollback_policy: {max_retry_attempts: 0}
nodes:
  - {id: n1, tool: shell, run: "echo 1 > src/1", path_claims: [src/1]}
  - {id: n2, tool: shell, run: "cp src/1 src/2", deps: [n1], path_claims: [src/2]}
"""
    first = world.execute(plan)
    assert first.finished.exit_code == 1
    world.repository.commit({"src/allowed": "yes\n"})
    world.tell(first.run_id, say("retry", "n1", with_dependents=True))
    story = world.drive(first.run_id)
    assert story.finished.exit_code == 0
    assert world.repository.files("main") == ["README.md", "src/1", "src/2", "src/a.txt", "src/allowed"]
    world.assert_nothing_left(story.run_id)


def test_what_a_person_injects_is_in_the_next_prompt(world: World) -> None:
    run_id = world.accept(
        """
merge_policy: {checklist: []}
nodes:
  - {id: n1, tool: shell, run: "echo 1 > src/1", goal: Do it, path_claims: [src/1]}
  - {id: n2, tool: shell, run: "echo 2 > src/2", goal: Do it too, path_claims: [src/2]}
"""
    )
    world.tell(run_id, say("inject", text="Use tabs."))
    world.tell(run_id, say("inject", "n2", text="And short names."))
    story = world.drive(run_id)
    messages = {
        name: world.repository.git("log", "-1", "--format=%B", success.commit)
        for name in ("n1", "n2")
        if (success := story.node(name).success) is not None and success.commit is not None
    }
    assert "## Said by the person in charge\n- Use tabs.\n" in messages["n1"]
    assert "- Use tabs.\n- And short names.\n" in messages["n2"]


def test_a_raised_budget_starts_again_what_it_had_refused(world: World) -> None:
    node = "{{id: n{0}, tool: scripted, est_cost: 0.009, path_claims: [src/n{0}], script: [{1}]}}"
    steps = "{{write: src/n{0}, text: x}}, {{cost: 0.009}}"
    nodes = "".join(f"  - {node.format(i, steps.format(i))}\n" for i in range(3))
    stopped = world.execute(f"{NO_CHECKS}global_budget_usd: 0.02\nnodes:\n{nodes}", workers=1)
    assert stopped.finished.exit_code == 3
    world.tell(stopped.run_id, say("budget", amount=MicroUsd(100_000)))
    story = world.drive(stopped.run_id)
    assert story.finished.exit_code == 0
    assert story.order_of(NodeStarted) == ["n0", "n1", "n2"]
    assert story.state.ledger.spent == 27_000
    assert story.state.ledger.reserved == 0


def test_a_command_that_fits_nothing_is_refused_with_its_reason_and_changes_nothing(world: World) -> None:
    run_id = world.accept(
        NO_CHECKS + "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1', path_claims: [src/1]}]"
    )
    for command in (say("retry", "n9"), say("approve", "n1"), say("dance")):
        world.tell(run_id, command)
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert refusals(world, run_id) == [
        "retry: this run has no node n9",
        "approve: n1 is in no state for it",
        "dance: it is not known here",
    ]
