"""A run is not alone: other runs on its target, a second terminal, the person in the same repository."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Branch, RunId, queue_stream
from cli_multi_rapid.core.merge_events import MergeEnqueued, MergeHeld, MergeLanded
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.engine.session import Session
from tests.engine.process.bench import until
from tests.fakes.drivers import driving
from tests.fakes.landings import run_by_hand
from tests.fakes.meanwhile import meanwhile, shell_wait, wait_for
from tests.fakes.worlds import Story, World

CHECKED = (
    "merge_policy: {checklist: [ok]}\nrollback_policy: {max_retry_attempts: 0}\n"
    "checks: {ok: {run: '! grep -rq BAD src'}}\n"
)
NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"


def some_nodes(prefix: str, count: int) -> str:
    """Independent nodes with a file each."""
    names = [f"{prefix}{i}" for i in range(count)]
    nodes = [f"{{id: {n}, tool: shell, run: 'echo {n} > src/{n}', path_claims: [src/{n}]}}" for n in names]
    return f"nodes: [{', '.join(nodes)}]\n"


def waiting_node(name: str, started: Path, go: Path) -> str:
    """A node that says when it began and ends when it is told."""
    run = f"touch {started}; {shell_wait(go)}; echo x > src/{name}"
    return f'nodes: [{{id: {name}, tool: shell, run: "{run}", path_claims: [src/**]}}]\n'


def held(story: Story) -> MergeHeld:
    """The one landing that waits for the person."""
    (fact,) = story.all_of(MergeHeld)
    assert isinstance(fact, MergeHeld)
    return fact


def landed_entries(world: World) -> list[str]:
    """Every entry that the queue landed, in order."""
    facts = [event.data for event in world.queue_events()]
    return [entry for fact in facts if isinstance(fact, MergeLanded) for entry in fact.entries]


def queued_entries(world: World) -> list[str]:
    """Every entry that came into the queue, in order."""
    facts = [event.data for event in world.queue_events()]
    return [fact.entry.id for fact in facts if isinstance(fact, MergeEnqueued)]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that somebody left behind is waited for a moment only; processes beside this one wait longer."""
    monkeypatch.setattr("cli_multi_rapid.git_checkout._WAITS_FOR_INDEX_LOCK_S", (0.01, 0.05))


# --- two runs on one target -------------------------------------------------------------------------------


def test_two_runs_at_once_on_one_target_land_everything_once_on_verified_trees(world: World) -> None:
    start = world.repository.head
    first = world.accept(CHECKED + some_nodes("a", 6))
    second = world.accept(CHECKED + some_nodes("b", 6))
    with driving(world, first) as one, driving(world, second) as other:
        assert (one.end(), other.end()) == (0, 0)
    wanted = [f"src/{prefix}{i}" for prefix in "ab" for i in range(6)]
    assert sorted(world.repository.files("main")) == sorted(["README.md", "src/a.txt", *wanted])
    assert len(landed_entries(world)) == len(set(landed_entries(world))) == 12
    world.assert_only_verified_trees(start, ["ok"])
    world.assert_nothing_left(first)
    world.assert_nothing_left(second)


def test_the_run_that_holds_the_queue_lands_the_others_work_too(world: World, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    holder = world.accept(CHECKED + waiting_node("mine", started, go))
    guest = world.accept(CHECKED + some_nodes("guest", 2))
    with driving(world, holder) as driver:
        wait_for(started)
        story = world.drive(guest)
        assert story.finished.exit_code == 0
        assert len(story.all_of(MergeLanded)) >= 1
        go.touch()
        assert driver.end() == 0
    assert len(landed_entries(world)) == 3
    world.assert_nothing_left(holder)
    world.assert_nothing_left(guest)


def test_when_the_run_that_holds_the_queue_ends_the_other_one_takes_it_over(
    world: World, tmp_path: Path
) -> None:
    first_began, first_go, second_began, second_go = (tmp_path / name for name in ("a", "b", "c", "d"))
    first = world.accept(CHECKED + waiting_node("first", first_began, first_go))
    second = world.accept(CHECKED + waiting_node("second", second_began, second_go))
    with driving(world, first) as one, driving(world, second) as other:
        wait_for(first_began)
        wait_for(second_began)
        with world.workshop() as shop:
            holder = shop.leases.holder(queue_stream(Branch("main")))
        assert holder is not None
        leaver, leaver_go, stayer, stayer_go = one, first_go, other, second_go
        if f"pid {other.process.pid} " in holder:
            leaver, leaver_go, stayer, stayer_go = other, second_go, one, first_go
        leaver_go.touch()
        assert leaver.end() == 0
        stayer_go.touch()
        assert stayer.end() == 0
    assert len(landed_entries(world)) == 2


def test_when_the_run_that_holds_the_queue_is_killed_the_other_one_takes_it_over(
    world: World, tmp_path: Path
) -> None:
    began, go, never = tmp_path / "began", tmp_path / "go", tmp_path / "never"
    doomed = world.accept(CHECKED + waiting_node("doomed", began, never))
    with driving(world, doomed) as driver:
        wait_for(began)
        other = world.accept(CHECKED + waiting_node("other", tmp_path / "other", go))

        def kill() -> None:
            wait_for(tmp_path / "other")
            driver.process.kill()
            driver.process.wait()
            go.touch()

        with meanwhile(kill):
            story = world.drive(other)
    assert story.finished.exit_code == 0
    assert story.node("other").landed
    never.touch()
    assert world.drive(doomed).finished.exit_code == 0
    world.assert_nothing_left(doomed)


def test_one_runs_failure_does_not_stop_the_others_work(world: World) -> None:
    bad = world.accept(
        CHECKED + 'nodes: [{id: bad, tool: shell, run: "echo BAD > src/bad", path_claims: [src/bad]}]'
    )
    good = world.accept(CHECKED + some_nodes("good", 3))
    with driving(world, bad) as one, driving(world, good) as other:
        assert (one.end(), other.end()) == (1, 0)
    assert "src/bad" not in world.repository.files("main")


def test_of_two_runs_that_change_the_same_line_one_lands_and_the_other_names_it(
    world: World, tmp_path: Path
) -> None:
    began, go = (tmp_path / "began-0", tmp_path / "began-1"), tmp_path / "go"
    runs = [
        world.accept(
            CHECKED + waiting_node("edit", path, go).replace("echo x > src/edit", f"echo {mark} > src/a.txt")
        )
        for path, mark in zip(began, ("0", "1"), strict=True)
    ]
    with driving(world, runs[0]) as one, driving(world, runs[1]) as other:
        for path in began:
            wait_for(path)
        go.touch()
        assert sorted((one.end(), other.end())) == [0, 1]
    stories = [world.drive(run_id) for run_id in runs]
    (winner,) = [story for story in stories if story.node("edit").landed]
    (loser,) = [story for story in stories if not story.node("edit").landed]
    assert loser.node("edit").merge_status is MergeStatus.CONFLICTED
    assert loser.node("edit").merge_reason == f"conflicts with {winner.run_id}/edit in src/a.txt"
    assert landed_entries(world) == [f"{winner.run_id}/edit"]


def test_held_work_lands_on_resume_also_while_another_run_holds_the_queue(
    world: World, tmp_path: Path
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    holder = world.accept(CHECKED + waiting_node("mine", started, go))
    lock = world.repository.path / ".git" / "index.lock"
    with driving(world, holder) as driver:
        wait_for(started)
        lock.touch()
        story = world.execute(CHECKED + some_nodes("guest", 1))
        assert story.finished.exit_code == 1
        assert story.node("guest0").merge_status is MergeStatus.BLOCKED
        lock.unlink()
        assert world.drive(story.run_id).finished.exit_code == 0
        go.touch()
        assert driver.end() == 0
    world.assert_nothing_left(story.run_id)


def test_a_halted_queue_goes_on_at_resume_also_while_another_run_holds_it(
    world: World, tmp_path: Path
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    world.repository.commit({"src/bad.txt": "BAD\n"})
    holder = world.accept(NO_CHECKS + waiting_node("mine", started, go))
    with driving(world, holder) as driver:
        wait_for(started)
        story = world.execute(CHECKED + some_nodes("guest", 1))
        assert story.finished.exit_code == 1
        assert "main itself fails ok" in story.finished.reason
        world.repository.commit({"src/bad.txt": None})
        assert world.drive(story.run_id).finished.exit_code == 0
        go.touch()
        assert driver.end() == 0


def test_cancelling_a_run_whose_work_another_run_would_land_withdraws_it_there(
    world: World, tmp_path: Path
) -> None:
    started, go, checking = tmp_path / "started", tmp_path / "go", tmp_path / "checking"
    holder = world.accept(NO_CHECKS + waiting_node("mine", started, go))
    slow = CHECKED.replace("! grep -rq BAD src", f"touch {checking}; sleep 60")
    guest = world.accept(slow + some_nodes("guest", 2))

    def cancel() -> None:
        wait_for(checking)
        until(lambda: len(queued_entries(world)) == 2, "the second node's entry")
        world.tell(guest, CommandGiven(command="cancel", by="ada"))

    with driving(world, holder) as driver:
        wait_for(started)
        with meanwhile(cancel):
            story = world.drive(guest)
        assert story.finished.exit_code == 1
        assert {node.merge_status for node in story.state.nodes.values()} == {MergeStatus.CANCELLED}
        go.touch()
        assert driver.end() == 0
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/mine"]


def test_consent_reaches_the_other_run_that_holds_the_queue(world: World, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    holder = world.accept(NO_CHECKS + waiting_node("mine", started, go))
    asks = some_nodes("guest", 1).replace("tool: shell", "tool: shell, approval: landing")
    with driving(world, holder) as driver:
        wait_for(started)
        waiting = world.execute(CHECKED + asks)
        assert waiting.finished.exit_code == 4
        world.tell(waiting.run_id, CommandGiven(command="approve", by="ada"))
        assert world.drive(waiting.run_id).finished.exit_code == 0
        go.touch()
        assert driver.end() == 0


def test_a_second_terminal_is_refused_and_told_who_drives_the_run(world: World, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id: RunId = world.accept(NO_CHECKS + waiting_node("n1", started, go))
    with driving(world, run_id) as driver:
        wait_for(started)
        with world.workshop() as shop, pytest.raises(EnvironmentFault) as refused:
            Session(shop, run_id)
        assert f"is being driven by pid {driver.process.pid} on " in refused.value.message
        assert refused.value.hint == f"watch it: cli-orchestrator watch {run_id}"
        go.touch()
        assert driver.end() == 0


# --- the person works on ----------------------------------------------------------------------------------


def test_what_a_person_commits_to_the_target_meanwhile_is_kept(world: World, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id = world.accept(CHECKED + waiting_node("n1", started, go))

    def commit() -> None:
        wait_for(started)
        world.repository.commit({"src/person.txt": "person\n"}, "by the person")
        go.touch()

    with meanwhile(commit):
        story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/n1", "src/person.txt"]
    assert world.repository.git("log", "--first-parent", "--format=%s", "-2", "main").endswith(
        "by the person"
    )
    assert world.repository.status() == ""


def test_a_person_who_switches_branches_meanwhile_stays_there_undisturbed(
    world: World, tmp_path: Path
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    run_id = world.accept(CHECKED + waiting_node("n1", started, go))

    def switch() -> None:
        wait_for(started)
        world.repository.git("checkout", "-q", "-b", "elsewhere")
        go.touch()

    with meanwhile(switch):
        story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert world.repository.git("symbolic-ref", "--short", "HEAD") == "elsewhere"
    assert world.repository.status() == ""
    assert "src/n1" in world.repository.files("main")
    assert not (world.repository.path / "src" / "n1").exists()


@pytest.mark.usefixtures("hasty")
def test_a_left_behind_index_lock_keeps_the_work_ready_and_resume_lands_it_when_the_lock_is_gone(
    world: World,
) -> None:
    start = world.repository.head
    lock = world.repository.path / ".git" / "index.lock"
    lock.touch()
    plan = CHECKED + some_nodes("n", 2).replace("id: n1,", "id: n1, deps: [n0],")
    story = world.execute(plan)
    assert story.finished.exit_code == 1
    assert world.repository.head == start
    assert "index.lock" in held(story).reason
    assert held(story).command.startswith(f"git -C {world.repository.path} merge --ff-only ")
    assert story.node("n0").merge_status is MergeStatus.BLOCKED
    lock.unlink()
    again = world.drive(story.run_id)
    assert again.finished.exit_code == 0
    assert again.order_of(NodeStarted) == ["n0", "n1"]
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/n0", "src/n1"]
    world.assert_only_verified_trees(start, ["ok"])
    world.assert_nothing_left(story.run_id)


@pytest.mark.usefixtures("hasty")
def test_the_named_command_finishes_the_landing_by_hand_and_resume_knows_it(world: World) -> None:
    lock = world.repository.path / ".git" / "index.lock"
    lock.touch()
    story = world.execute(CHECKED + some_nodes("n", 1))
    lock.unlink()
    run_by_hand(world.repository, held(story).command)
    assert world.repository.head == held(story).commit
    again = world.drive(story.run_id)
    assert again.finished.exit_code == 0
    assert again.node("n0").landed_commit == held(story).commit
    assert world.repository.head == held(story).commit
    world.assert_nothing_left(story.run_id)


def test_a_target_in_the_middle_of_a_rebase_is_left_alone_until_it_is_over(world: World) -> None:
    repository = world.repository
    repository.commit_on("upstream", {"src/a.txt": "theirs\n"})
    repository.commit({"src/a.txt": "mine\n"})
    tip = repository.commit_of("main")
    assert repository.try_git("rebase", "-q", "upstream").returncode != 0
    story = world.execute(CHECKED + some_nodes("n", 1))
    assert story.finished.exit_code == 1
    assert "rebase in progress" in held(story).reason
    assert repository.commit_of("main") == tip
    repository.git("rebase", "--abort")
    assert repository.commit_of("main") == tip
    again = world.drive(story.run_id)
    assert again.finished.exit_code == 0
    assert repository.files("main") == ["README.md", "src/a.txt", "src/n0"]


def test_a_target_that_somebody_deletes_meanwhile_stops_the_run_with_a_clear_word(
    world: World, tmp_path: Path
) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    world.repository.git("checkout", "-q", "-b", "elsewhere")
    run_id = world.accept(CHECKED + waiting_node("n1", started, go))
    with driving(world, run_id) as driver:
        wait_for(started)
        world.repository.git("branch", "-q", "-D", "main")
        go.touch()
        assert driver.last_words() == "there is no branch main to land on\n"
    world.repository.git("branch", "main", "elsewhere")
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert "src/n1" in world.repository.files("main")
