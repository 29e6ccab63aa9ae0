"""A run from its plan to landed commits, as its person sees it."""

import pytest

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FailureClass, RunStatus
from cli_multi_rapid.core.merge_events import CheckFinished, MergeConflicted, MergeHalted, MergeLanded
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from tests.fakes.worlds import World

NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"
ONE_CHECK = (
    "merge_policy: {checklist: [ok]}\nrollback_policy: {max_retry_attempts: 0}\n"
    "checks: {ok: {run: '! grep -rq BAD src'}}\n"
)


def test_one_node_lands_and_nothing_is_left(world: World) -> None:
    story = world.execute(
        NO_CHECKS + "nodes: [{id: n1, tool: shell, run: 'echo hello > b.txt', path_claims: [b.txt]}]"
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.SUCCESS, 0)
    assert (world.repository.path / "b.txt").read_text() == "hello\n"
    assert world.repository.status() == ""
    world.assert_nothing_left(story.run_id)


def test_forty_nodes_land_in_verified_trains(world: World) -> None:
    start = world.repository.head
    nodes = "".join(
        f"  - {{id: n{i}, tool: shell, run: 'echo {i} > src/f{i}.txt', path_claims: [src/f{i}.txt]}}\n"
        for i in range(40)
    )
    story = world.execute(f"{ONE_CHECK}nodes:\n{nodes}")
    assert story.finished.exit_code == 0
    assert len([name for name in world.repository.files() if name.startswith("src/f")]) == 40
    world.assert_only_verified_trees(start, ["ok"])
    world.assert_nothing_left(story.run_id)


def test_a_dependent_reads_what_its_dependency_wrote(world: World) -> None:
    story = world.execute(
        NO_CHECKS
        + """
nodes:
  - {id: b, tool: shell, run: "cp src/x.txt src/y.txt", deps: [a], path_claims: [src/y.txt]}
  - {id: a, tool: shell, run: "echo from-a > src/x.txt", path_claims: [src/x.txt]}
"""
    )
    assert story.finished.exit_code == 0
    assert world.repository.show("main", "src/y.txt") == "from-a\n"


def test_overlapping_claims_run_one_after_the_other_on_each_others_work(world: World) -> None:
    story = world.execute(
        NO_CHECKS
        + """
nodes:
  - {id: c1, tool: shell, run: "sleep 0.2; echo c1 >> src/c.txt", path_claims: ["src/c.txt"]}
  - {id: c2, tool: shell, run: "echo c2 >> src/c.txt", path_claims: ["src/c.*"]}
"""
    )
    assert story.finished.exit_code == 0
    assert world.repository.show("main", "src/c.txt") == "c1\nc2\n"
    first = story.node("c1").attempts[0]
    second = story.node("c2").attempts[0]
    assert first.ended_at is not None
    assert first.ended_at <= second.started_at


def test_two_undeclared_edits_of_one_file_end_with_one_landed_and_the_other_named(world: World) -> None:
    story = world.execute(
        NO_CHECKS
        + """
nodes:
  - {id: u1, tool: shell, run: "echo u1 > src/a.txt"}
  - {id: u2, tool: shell, run: "echo u2 > src/a.txt"}
"""
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.PARTIAL, 1)
    by_status = {story.node(name).merge_status: name for name in ("u1", "u2")}
    winner, loser = by_status[MergeStatus.MERGED], by_status[MergeStatus.CONFLICTED]
    (conflict,) = [fact for fact in story.all_of(MergeConflicted) if isinstance(fact, MergeConflicted)]
    assert conflict.files == ("src/a.txt",)
    assert winner in conflict.partner
    assert world.repository.show("main", "src/a.txt") == f"{winner}\n"
    branch = story.node(loser).attempts[-1].branch
    assert branch is not None
    assert world.repository.show(branch, "src/a.txt") == f"{loser}\n"
    world.assert_nothing_left(story.run_id, kept=[branch])


def test_a_node_that_leaves_its_claims_lands_nothing_and_keeps_its_work_on_a_branch(world: World) -> None:
    story = world.execute(
        NO_CHECKS
        + """
nodes:
  - {id: out, tool: shell, run: "echo q > other.txt", path_claims: ["src/q.txt"]}
  - {id: fine, tool: shell, run: "echo f > src/f.txt", path_claims: ["src/f.txt"]}
"""
    )
    out = story.node("out")
    assert story.finished.exit_code == 1
    assert out.failure is FailureClass.OUTSIDE_CLAIMS
    assert "other.txt" in out.reason
    assert "other.txt" not in world.repository.files("main")
    assert world.repository.show("main", "src/f.txt") == "f\n"
    branch = out.attempts[0].branch
    assert branch is not None
    assert world.repository.show(branch, "other.txt") == "q\n"
    world.assert_nothing_left(story.run_id, kept=[branch])


def test_claims_warn_lets_it_land_and_claims_strip_lands_only_what_was_claimed(world: World) -> None:
    plan = (
        NO_CHECKS
        + """
nodes:
  - {id: out, tool: shell, run: "echo q > other.txt; echo in > src/q.txt", path_claims: ["src/q.txt"]}
"""
    )
    stripped = world.execute(plan, claims_rule="strip")
    assert stripped.finished.exit_code == 0
    assert "other.txt" not in world.repository.files("main")
    assert world.repository.show("main", "src/q.txt") == "in\n"
    warned = world.execute(plan.replace("echo in", "echo again"), claims_rule="warn")
    assert warned.finished.exit_code == 0
    assert "other.txt" in world.repository.files("main")
    success = warned.node("out").success
    assert success is not None
    assert "other.txt" in success.warnings[0]


def test_claims_strip_leaves_out_names_with_any_letters_and_what_the_tools_leave_behind(world: World) -> None:
    write = r"""mkdir -p src/__pycache__ 'q[1]' && echo 1 > 'ev\il' && echo 2 > 'q[1]/*x?' && echo 3 > '\z'"""
    story = world.execute(
        NO_CHECKS
        + f"""
nodes:
  - id: out
    tool: shell
    run: >-
      {write} && echo in > src/q.txt && echo c > src/__pycache__/q.pyc
    path_claims: ["src/*"]
""",
        claims_rule="strip",
    )
    assert story.finished.exit_code == 0
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/q.txt"]


def test_a_failing_check_ejects_only_the_guilty_node_and_the_dependents_of_it(world: World) -> None:
    start = world.repository.head
    story = world.execute(
        ONE_CHECK
        + """
nodes:
  - {id: good1, tool: shell, run: "echo 1 > src/g1.txt", path_claims: [src/g1.txt]}
  - {id: bad, tool: shell, run: "echo BAD > src/bad.txt", path_claims: [src/bad.txt]}
  - {id: good2, tool: shell, run: "echo 2 > src/g2.txt", path_claims: [src/g2.txt]}
  - {id: after-bad, tool: shell, run: "echo 3 > src/g3.txt", deps: [bad], path_claims: [src/g3.txt]}
"""
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.PARTIAL, 1)
    statuses = {name: story.node(name).merge_status for name in ("good1", "good2", "bad")}
    assert statuses == {
        "good1": MergeStatus.MERGED,
        "good2": MergeStatus.MERGED,
        "bad": MergeStatus.FAILED,
    }
    assert not story.node("after-bad").landed
    assert "src/g3.txt" not in world.repository.files("main")
    world.assert_only_verified_trees(start, ["ok"])


def test_a_timeout_a_missing_program_and_a_failure_each_have_their_reason_and_harm_nobody(
    world: World,
) -> None:
    story = world.execute(
        NO_CHECKS
        + """
nodes:
  - {id: slow, tool: shell, run: "sleep 60", timeout_s: 0.3, path_claims: ["src/slow"]}
  - {id: gone, tool: shell, argv: ["no-such-program"], path_claims: ["src/gone"]}
  - {id: fails, tool: shell, run: "echo broken pipe >&2; exit 3", path_claims: ["src/fail"]}
  - {id: after, tool: shell, run: "true", deps: [fails], path_claims: ["src/after"]}
  - {id: fine, tool: shell, run: "echo f > src/f.txt", path_claims: ["src/f.txt"]}
"""
    )
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.PARTIAL, 1)
    assert story.node("slow").failure is FailureClass.TIMED_OUT
    assert story.node("gone").failure is FailureClass.TOOL_MISSING
    assert "no-such-program" in story.node("gone").reason
    assert "broken pipe" in story.node("fails").reason
    assert story.node("after").shown_status is NodeStatus.BLOCKED
    assert story.node("fine").landed
    world.assert_nothing_left(story.run_id)


def test_only_missing_programs_are_a_fault_of_the_environment(world: World) -> None:
    story = world.execute(
        NO_CHECKS
        + """
nodes:
  - {id: gone, tool: shell, argv: ["no-such-program"], path_claims: ["src/gone"]}
  - {id: fine, tool: shell, run: "echo f > src/f.txt", path_claims: ["src/f.txt"]}
"""
    )
    assert story.finished.exit_code == 5
    assert story.node("fine").landed


def test_a_failed_attempt_is_tried_again_and_its_half_work_is_not_lost(world: World) -> None:
    story = world.execute(
        """
merge_policy: {checklist: []}
nodes:
  - id: flaky
    tool: shell
    run: "if [ -e ../flag ]; then echo ok > src/f.txt; else touch ../flag; echo half > src/h.txt; exit 1; fi"
    retries: 1
    path_claims: ["src/**"]
"""
    )
    flaky = story.node("flaky")
    assert story.finished.exit_code == 0
    assert len(flaky.attempts) == 2
    assert flaky.attempts[0].branch is not None
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/f.txt"]
    world.assert_nothing_left(story.run_id)


def test_the_budget_lands_what_fits_and_refuses_the_rest_before_it_starts(world: World) -> None:
    node = "{{id: n{0}, tool: scripted, est_cost: 0.009, path_claims: [src/n{0}.txt], script: [{1}]}}"
    steps = "{{write: src/n{0}.txt, text: x}}, {{cost: 0.009}}"
    nodes = "".join(f"  - {node.format(i, steps.format(i))}\n" for i in range(3))
    story = world.execute(f"{NO_CHECKS}global_budget_usd: 0.02\nnodes:\n{nodes}", workers=1)
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.BUDGET_STOPPED, 3)
    assert story.state.ledger.spent == 18_000
    assert story.state.ledger.reserved == 0
    assert story.node("n2").status is NodeStatus.SKIPPED
    assert story.order_of(NodeStarted) == ["n0", "n1"]
    assert story.node("n1").landed


def test_a_tree_that_passed_before_is_not_checked_again(world: World) -> None:
    world.repository.commit({"src/b.txt": "b\n"})
    world.repository.git("reset", "-q", "--hard", "HEAD~1")
    plan = (
        "merge_policy: {checklist: [ok]}\nchecks: {ok: {run: 'echo ran >> ../../../runs; true'}}\n"
        "nodes: [{id: n1, tool: shell, run: 'echo b > src/b.txt', path_claims: [src/b.txt]}]"
    )
    start = world.repository.head
    first = world.execute(plan)
    world.repository.git("reset", "-q", "--hard", start)
    second = world.execute(plan)
    assert (first.finished.exit_code, second.finished.exit_code) == (0, 0)
    reused = [fact.reused for fact in second.all_of(CheckFinished) if isinstance(fact, CheckFinished)]
    assert reused == [True]


@pytest.mark.parametrize("when", ["eager", "after_all"])
def test_work_lands_eagerly_or_after_all_nodes(world: World, when: str) -> None:
    story = world.execute(
        f"merge_policy: {{checklist: [], when: {when}}}\n"
        """
nodes:
  - {id: quick, tool: shell, run: "echo 1 > src/1.txt", path_claims: [src/1.txt]}
  - {id: slow, tool: shell, run: "sleep 0.4; echo 2 > src/2.txt", path_claims: [src/2.txt]}
"""
    )
    landings = [fact.entries for fact in story.all_of(MergeLanded) if isinstance(fact, MergeLanded)]
    assert story.finished.exit_code == 0
    assert len(landings) == (2 if when == "eager" else 1)


def test_a_red_target_halts_the_queue_instead_of_blaming_the_work(world: World) -> None:
    world.repository.commit({"src/bad.txt": "BAD\n"})
    story = world.execute(
        ONE_CHECK + "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1.txt', path_claims: [src/1.txt]}]"
    )
    assert story.finished.exit_code == 1
    assert "main itself fails ok" in story.finished.reason
    assert story.node("n1").merge_status is not MergeStatus.FAILED
    assert story.node("n1").attempts[0].branch is not None
    world.repository.commit({"src/bad.txt": "good\n"})
    again = world.drive(story.run_id)
    assert again.finished.exit_code == 0


def test_a_run_does_not_tell_what_halted_the_queue_before_it_began(world: World) -> None:
    world.repository.commit({"src/bad.txt": "BAD\n"})
    node = "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1.txt', path_claims: [src/1.txt]}]"
    assert world.execute(ONE_CHECK + node).all_of(MergeHalted)
    # Else the work that waits may halt the queue once more.
    world.repository.commit({"src/bad.txt": "good\n"})
    later = world.execute(NO_CHECKS + node.replace("1.txt", "2.txt"))
    assert later.finished.exit_code == 0
    assert not later.all_of(MergeHalted)


def test_work_that_waits_for_a_red_target_does_not_hold_up_work_that_does_not_need_that_check(
    world: World,
) -> None:
    world.repository.commit({"src/bad.txt": "BAD\n"})
    stuck = world.execute(
        ONE_CHECK + "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1.txt', path_claims: [src/1.txt]}]"
    )
    free = world.execute(
        NO_CHECKS + "nodes: [{id: m1, tool: shell, run: 'echo 2 > src/2.txt', path_claims: [src/2.txt]}]"
    )
    assert (stuck.finished.exit_code, free.finished.exit_code) == (1, 0)
    world.repository.commit({"src/bad.txt": "good\n"})
    assert world.drive(stuck.run_id).finished.exit_code == 0
    assert {"src/1.txt", "src/2.txt"} <= set(world.repository.files("main"))


def test_a_plan_with_a_secret_in_it_is_refused_before_anything_is_recorded(world: World) -> None:
    plan = (
        NO_CHECKS
        + "nodes: [{id: n1, tool: shell, run: 'curl -H x:ghp_abcdefghijklmnopqrstuvwxyz0123456789'}]"
    )
    with pytest.raises(UserError, match="key, a token or a password"):
        world.execute(plan)
    with world.workshop() as shop:
        assert shop.log.streams() == []
