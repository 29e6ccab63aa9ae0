"""The person's checkout, index and uncommitted edits stay as they were, whatever a run does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.merge_events import MergeHeld
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_intents import QueueLimits
from cli_multi_rapid.core.run_events import CommandGiven
from tests.fakes.checkouts import index_bytes, remember
from tests.fakes.landings import run_by_hand
from tests.fakes.repositories import Content
from tests.fakes.worlds import Story, World, make_world

HEAD = """
merge_policy: {checklist: [ok], when: after_all}
checks: {ok: {run: "! grep -rq BAD src"}}
rollback_policy: {max_retry_attempts: 0}
nodes:
"""
PLAN = (
    HEAD
    + """
  - {id: new, tool: shell, run: "echo new > src/new.txt", path_claims: [src/new.txt]}
  - {id: edit, tool: shell, run: "echo edited > src/edit.txt", path_claims: [src/edit.txt]}
"""
)
CHANGED = ("src/new.txt", "src/edit.txt")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository whose person is in the middle of something."""
    files: dict[str, Content] = {
        ".gitignore": "*.log\n",
        "src/edit.txt": "one\n",
        "src/mine.txt": "one\ntwo\n",
        "src/staged.txt": "one\ntwo\n",
        "src/both.txt": "one\ntwo\n",
        "src/gone.txt": "one\n",
    }
    return make_world(tmp_path / "repo", files)


def edit_everything(world: World) -> None:
    """Staged, unstaged, half staged, deleted, untracked and ignored work of the person."""
    world.repository.write({"src/staged.txt": "one\nstaged\n", "src/both.txt": "one\nstaged\n"})
    world.repository.git("add", "src/staged.txt", "src/both.txt")
    world.repository.git("rm", "-q", "src/gone.txt")
    world.repository.write(
        {
            "src/both.txt": "one\nstaged\nand more\n",
            "src/mine.txt": "mine\n",
            "src/untracked.txt": "not yours\n",
            "debug.log": "ignored\n",
        }
    )


def the_held(story: Story) -> MergeHeld:
    """The one landing that waits for the person."""
    (fact,) = story.all_of(MergeHeld)
    assert isinstance(fact, MergeHeld)
    return fact


def assert_held_and_later_landed(
    world: World, story: Story, held: str, clear_the_way: Callable[[], object]
) -> None:
    """The work is kept and named, its train mates land; with the way clear, `resume` lands it too."""
    other = "new" if held == "edit" else "edit"
    assert story.finished.exit_code == 1
    assert story.node(held).merge_status is MergeStatus.BLOCKED
    assert story.node(other).landed
    assert f"src/{held}.txt" in the_held(story).reason
    assert the_held(story).command == f"cli-orchestrator resume {story.run_id}"
    clear_the_way()
    again = world.drive(story.run_id)
    assert again.finished.exit_code == 0
    assert again.order_of(NodeStarted) == story.order_of(NodeStarted)
    world.assert_nothing_left(story.run_id)


# --- edits elsewhere --------------------------------------------------------------------------------------


def test_edits_to_other_files_are_the_same_to_the_byte_after_the_work_landed_around_them(
    world: World,
) -> None:
    edit_everything(world)
    before = remember(world.repository)
    story = world.execute(PLAN)
    assert story.finished.exit_code == 0
    assert world.repository.show("main", "src/new.txt") == "new\n"
    assert (world.repository.path / "src/edit.txt").read_text() == "edited\n"
    after = remember(world.repository)
    assert after.without(CHANGED) == before.without(CHANGED)
    world.assert_nothing_left(story.run_id)


def test_git_status_shows_nothing_new_after_a_run(world: World) -> None:
    assert world.execute(PLAN).finished.exit_code == 0
    assert world.repository.status() == ""


def test_a_failed_run_leaves_the_checkout_as_it_was(world: World) -> None:
    edit_everything(world)
    before, index = remember(world.repository), index_bytes(world.repository)
    story = world.execute(PLAN.replace("echo new", "echo BAD").replace("echo edited", "exit 1; echo"))
    assert story.finished.exit_code == 1
    assert remember(world.repository) == before
    assert index_bytes(world.repository) == index


# --- edits in the way -------------------------------------------------------------------------------------


def test_an_unstaged_edit_in_the_way_is_not_touched_and_the_work_waits(world: World) -> None:
    edit_everything(world)
    world.repository.write({"src/edit.txt": "my own words\n"})
    before = remember(world.repository)
    story = world.execute(PLAN)
    assert remember(world.repository).without(["src/new.txt"]) == before
    assert "src/edit.txt" in world.repository.status()

    def give_up_the_edit() -> None:
        world.repository.git("checkout", "-q", "--", "src/edit.txt")

    assert_held_and_later_landed(world, story, "edit", give_up_the_edit)


def test_a_staged_edit_in_the_way_is_not_touched_and_the_work_waits(world: World) -> None:
    world.repository.write({"src/edit.txt": "my own words\n"})
    world.repository.git("add", "src/edit.txt")
    before = remember(world.repository)
    story = world.execute(PLAN)
    assert remember(world.repository).without(["src/new.txt"]) == before

    def unstage() -> None:
        world.repository.git("reset", "-q", "--hard")

    assert_held_and_later_landed(world, story, "edit", unstage)


@pytest.mark.parametrize(("name", "ignore"), [("src/new.txt", ""), ("src/new.txt", "src/new.txt\n")])
def test_an_untracked_or_ignored_file_in_the_way_is_not_overwritten(
    world: World, name: str, ignore: str
) -> None:
    world.repository.commit({".gitignore": f"*.log\n{ignore}"})
    world.repository.write({name: "precious\n"})
    before = remember(world.repository)
    plan = PLAN.replace("id: new,", "id: new, outputs: [src/new.txt],")
    story = world.execute(plan)
    other = ["src/edit.txt"]
    assert remember(world.repository).without(other) == before.without(other)
    path = world.repository.path / name
    assert_held_and_later_landed(world, story, "new", path.unlink)


def test_what_is_not_in_the_way_lands_though_something_else_is(world: World) -> None:
    world.repository.write({"src/edit.txt": "my own words\n"})
    before = remember(world.repository)
    one_by_one = PLAN.replace(", when: after_all", "").replace("id: edit,", "id: edit, deps: [new],")
    story = world.execute(one_by_one, queue=QueueLimits(batch=1))
    assert story.finished.exit_code == 1
    assert story.node("new").landed
    assert story.node("edit").merge_status is MergeStatus.BLOCKED
    after = remember(world.repository)
    assert after.without(["src/new.txt"]) == before


# --- where the target is checked out ----------------------------------------------------------------------


def test_a_target_that_is_not_checked_out_moves_alone(world: World) -> None:
    world.repository.git("checkout", "-q", "-b", "work")
    edit_everything(world)
    before, index = remember(world.repository), index_bytes(world.repository)
    story = world.execute(PLAN)
    assert story.finished.exit_code == 0
    assert remember(world.repository) == before
    assert index_bytes(world.repository) == index
    assert world.repository.show("main", "src/new.txt") == "new\n"


def test_a_detached_head_stays_where_it_is(world: World) -> None:
    world.repository.git("checkout", "-q", "--detach")
    at = world.repository.head
    edit_everything(world)
    before, index = remember(world.repository), index_bytes(world.repository)
    story = world.execute(PLAN)
    assert story.finished.exit_code == 0
    assert world.repository.head == at
    assert remember(world.repository) == before
    assert index_bytes(world.repository) == index
    assert world.repository.show("main", "src/new.txt") == "new\n"


def test_a_linked_worktree_that_shows_the_target_steps_forward_and_the_main_one_does_not(
    world: World, tmp_path: Path
) -> None:
    world.repository.git("checkout", "-q", "-b", "work")
    linked = tmp_path / "linked"
    world.repository.git("worktree", "add", "-q", str(linked), "main")
    (linked / "src/mine.txt").write_text("edited in the linked worktree\n")
    here, there = remember(world.repository), remember(world.repository, linked)
    story = world.execute(PLAN)
    assert story.finished.exit_code == 0
    assert remember(world.repository) == here
    after = remember(world.repository, linked)
    assert after.without(CHANGED) == there.without(CHANGED)
    assert (linked / "src/new.txt").read_text() == "new\n"
    assert world.repository.git("status", "--porcelain", at=linked) == " M src/mine.txt"


def test_without_leave_to_touch_the_checkout_everything_is_ready_and_named(world: World) -> None:
    edit_everything(world)
    before, index = remember(world.repository), index_bytes(world.repository)
    start = world.repository.head
    story = world.execute(PLAN, update_checkout=False)
    assert (story.finished.status, story.finished.exit_code) == (RunStatus.FAILED, 1)
    assert world.repository.head == start
    assert remember(world.repository) == before
    assert index_bytes(world.repository) == index
    for fact in story.all_of(MergeHeld):
        assert isinstance(fact, MergeHeld)
        assert fact.reason == f"main is checked out in {world.repository.path}"
    last = story.all_of(MergeHeld)[-1]
    assert isinstance(last, MergeHeld)
    run_by_hand(world.repository, last.command)
    assert world.repository.head == last.commit
    after = remember(world.repository)
    assert after.without(CHANGED) == before.without(CHANGED)


def test_a_branch_that_shows_the_lane_of_landed_work_is_not_taken_from_the_person(
    world: World, tmp_path: Path
) -> None:
    waiting = world.execute(PLAN.replace("id: new,", "id: new, approval: landing,"))
    branch = waiting.node("new").attempts[0].branch
    assert branch is not None
    world.repository.git("worktree", "add", "-q", str(tmp_path / "review"), branch)
    world.tell(waiting.run_id, CommandGiven(command="approve", by="ada"))
    assert world.drive(waiting.run_id).finished.exit_code == 0
    assert world.repository.git("symbolic-ref", "--short", "HEAD", at=tmp_path / "review") == branch
    assert world.repository.git("status", "--porcelain", at=tmp_path / "review") == ""
