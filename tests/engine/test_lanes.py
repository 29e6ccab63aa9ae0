"""The branches of a run's work: they go when it has landed, and never take a person's commits with them."""

from pathlib import Path

from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.run_events import CommandGiven
from tests.fakes.queues import QueueBench
from tests.fakes.worlds import World

WAITS_FOR_CONSENT = """
merge_policy: {checklist: []}
nodes: [{id: n1, tool: shell, run: "echo 1 > src/1.txt", path_claims: [src/1.txt], approval: landing}]
"""


def approve(world: World, run_id: RunId) -> None:
    """A person agrees to the landing."""
    world.tell(run_id, CommandGiven(command="approve", by="ada", node_id=NodeId("n1")))


def test_a_commit_that_a_person_adds_to_a_lane_survives_the_landing_of_the_sealed_work(world: World) -> None:
    waiting = world.execute(WAITS_FOR_CONSENT)
    lane = waiting.node("n1").attempts[-1].branch
    assert lane is not None
    mine = world.repository.commit_on(lane, {"src/mine.txt": "mine\n"}, "mine", start=lane)
    approve(world, waiting.run_id)
    story = world.drive(waiting.run_id)
    assert story.node("n1").landed
    assert "src/mine.txt" not in world.repository.files("main")
    assert world.repository.commit_of(lane) == mine
    world.assert_nothing_left(story.run_id, kept=[lane])


def test_a_lane_that_nobody_touched_goes_when_its_work_has_landed(world: World) -> None:
    waiting = world.execute(WAITS_FOR_CONSENT)
    approve(world, waiting.run_id)
    story = world.drive(waiting.run_id)
    assert story.node("n1").landed
    world.assert_nothing_left(story.run_id)


def test_a_lane_that_a_person_works_on_stays_where_it_is_when_the_entry_is_built_anew(
    bench: QueueBench, tmp_path: Path
) -> None:
    bench.add("bad", {"src/bad.txt": "BAD\n"})
    bench.add("shown", {"src/shown.txt": "shown\n"}, start="work/bad", after=["bad"])
    bench.add("moved", {"src/moved.txt": "moved\n"}, start="work/bad", after=["bad"])
    bench.repository.git("worktree", "add", "-q", str(tmp_path / "mine"), "work/shown")
    mine = bench.repository.commit_on("work/moved", {"src/mine.txt": "mine\n"})
    outcome = bench.process()
    assert outcome.merged == ["shown", "moved"]
    assert not {"src/bad.txt", "src/mine.txt"} & set(bench.repository.files("main"))
    assert bench.repository.git("status", "--porcelain", at=tmp_path / "mine") == ""
    assert bench.repository.commit_of("work/shown") == bench.heads["shown"]
    assert bench.repository.commit_of("work/moved") == mine


def test_a_node_that_is_done_again_is_not_mistaken_for_another_with_a_number_in_its_id(
    world: World, tmp_path: Path
) -> None:
    repaired = tmp_path / "repaired"
    first = world.execute(
        f"""
merge_policy: {{checklist: [ok]}}
checks: {{ok: {{run: "! grep -rq BAD src"}}}}
nodes:
  - {{id: s, tool: shell, run: "[ -e {repaired} ] || echo BAD > src/s; echo 1 >> src/s"}}
  - {{id: s.2, tool: shell, run: "echo 2 > src/s2", path_claims: [src/s2]}}
"""
    )
    assert [first.node(name).landed for name in ("s", "s.2")] == [False, True]
    repaired.touch()
    world.tell(first.run_id, CommandGiven(command="retry", by="ada", node_id=NodeId("s")))
    again = world.drive(first.run_id)
    assert again.finished.exit_code == 0
    assert world.repository.show("main", "src/s") == "1\n"
