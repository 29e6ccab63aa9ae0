"""Others work in the same repository at the same time, and at the worst moment; and git's own pitfalls."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.merge_events import CheckFinished, MergeHeld, MergeLanded
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.engine.session import Session
from cli_multi_rapid.worktrees import SlotInfo, SlotState
from tests.engine import test_company as company
from tests.fakes.moments import Moment, interrupted_shop
from tests.fakes.repositories import RepositoryBuilder
from tests.fakes.worlds import World, make_world
from tests.faults.conftest import Tell
from tests.faults.rows import Part
from tests.faults.struck_runs import Scene, end_of, make_scene, take_time

# --- two orchestrators ------------------------------------------------------------------------------------


def many(prefix: str, count: int) -> str:
    """A plan of independent nodes with a file each."""
    return f"plan_id: {prefix}\n{company.CHECKED}{company.some_nodes(prefix, count)}"


def assert_all_landed_once(scene: Scene, names: list[str]) -> None:
    """The files of all nodes are on the target, each entry landed once, and the checkout is clean."""
    files = scene.repository.files("main")
    assert {f"src/{name}" for name in names} <= set(files), files
    entries = company.landed_entries(scene.world)
    assert len(entries) == len(set(entries)) == len(names)
    assert scene.repository.status() == ""


def test_two_orchestrators_in_one_repository_land_everything_once(tmp_path: Path, tell: Tell) -> None:
    scene, plans = make_scene(tmp_path), [tmp_path / "p.yaml", tmp_path / "q.yaml"]
    for plan, prefix in zip(plans, "pq", strict=True):
        plan.write_text(many(prefix, 6))
    with scene.typing("execute", plans[0]) as one, scene.typing("execute", plans[1]) as other:
        ends = [end_of(one), end_of(other)]
    assert [ended.status for ended in ends] == [0, 0], [ended.err for ended in ends]
    assert_all_landed_once(scene, [f"{prefix}{i}" for prefix in "pq" for i in range(6)])
    scene.world.assert_only_verified_trees(scene.start, ["ok"])
    scene.world.assert_nothing_left(scene.run_id)
    tell(
        Part.COMPANY,
        "two orchestrators in one repository, two runs of 6 nodes on one target",
        "both exit 0; 12 entries landed once, each tree verified; nothing left",
    )


def test_two_orchestrators_that_do_not_know_of_each_other_lose_nothing(tmp_path: Path, tell: Tell) -> None:
    scene = make_scene(tmp_path)
    plans = [tmp_path / "p.yaml", tmp_path / "q.yaml"]
    for plan, prefix in zip(plans, "pq", strict=True):
        plan.write_text(many(prefix, 4))
    homes = [("--home", tmp_path / "home-p"), ("--home", tmp_path / "home-q")]
    with (
        scene.typing("execute", plans[0], *homes[0]) as one,
        scene.typing("execute", plans[1], *homes[1]) as other,
    ):
        ends = [end_of(one), end_of(other)]
    for place, ended in zip(homes, ends, strict=True):
        if ended.status != 0:  # the other one held the checkout for longer than it waits
            assert "ready to land" in ended.out + ended.err, ended.err
            assert scene.type("resume", *place).status == 0
    files = set(scene.repository.files("main"))
    assert {f"src/{prefix}{i}" for prefix in "pq" for i in range(4)} <= files
    assert scene.repository.status() == ""
    branches = scene.repository.git("for-each-ref", "--format=%(refname)", "refs/heads")
    assert branches == "refs/heads/main"
    tell(
        Part.COMPANY,
        "two orchestrators with a record of their own each (--home) on one target",
        f"exits {ends[0].status} and {ends[1].status}; all 8 landed, the checkout is clean, no branch left",
    )


def test_a_run_that_is_driven_is_refused_to_a_second_terminal(tmp_path: Path, tell: Tell) -> None:
    scene = make_scene(tmp_path)
    with scene.at_work() as program:
        refused = scene.resume()
        scene.go.touch()
        ended = end_of(program)
    assert refused.status == 5
    assert f"is being driven by pid {program.pid} on " in refused.err
    assert f"watch it: cli-orchestrator watch {scene.run_id}" in refused.err
    assert ended.status == 0
    scene.assert_whole()
    tell(
        Part.COMPANY, "resume of a run that a living process drives", "exit 5 with who drives it and `watch`"
    )


# --- a person at the worst moment -------------------------------------------------------------------------

MOMENTS = [
    Moment(type="node.started"),
    Moment(type="node.succeeded", before=True),
    Moment(type="merge.enqueued"),
    Moment(type="merge.checking"),
    Moment(type="check.started"),
    Moment(type="check.finished", before=True),
    Moment(type="merge.landing"),
    Moment(type="merge.landed", before=True),
    Moment(type="merge.landed"),
]
"""Right before and after what matters; the last three lie around the move of the refs."""

_PLAN = """
checks: {ok: {run: "! grep -rq BAD src"}}
merge_policy: {checklist: [ok]}
rollback_policy: {max_retry_attempts: 0}
nodes:
  - {id: one, tool: shell, run: "echo 1 > src/one", path_claims: [src/one]}
  - {id: two, tool: shell, run: "cat src/one > src/two", deps: [one], path_claims: [src/two]}
"""


class Deed(Struct, frozen=True, kw_only=True):
    """What a person does, and what ends the trouble that it may have made."""

    does: str
    act: Callable[[RepositoryBuilder], object]
    undo: Callable[[RepositoryBuilder], object] = lambda _repository: None


def commits(repository: RepositoryBuilder) -> None:
    """Commit to the target."""
    repository.commit({"person.txt": "person\n"}, "by the person")


def rebases(repository: RepositoryBuilder) -> None:
    """Rebase the target onto what came from upstream."""
    repository.git("rebase", "-q", "upstream")


def amends(repository: RepositoryBuilder) -> None:
    """Rewrite the tip of the target."""
    repository.write({"person.txt": "person\n"})
    repository.git("add", "person.txt")
    repository.git("commit", "-q", "--amend", "-m", "amended by the person")


def prunes(repository: RepositoryBuilder) -> None:
    """Throw away all that no ref names, also what was made just now: git's manual warns of that."""
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "-q", "--prune=now")


def packs_refs(repository: RepositoryBuilder) -> None:
    """Move every ref into one file."""
    repository.git("pack-refs", "--all", "--prune")


DEEDS = {
    "commit": Deed(does="commits to the target", act=commits),
    "rebase": Deed(does="rebases the target", act=rebases),
    "amend": Deed(does="amends the tip of the target", act=amends),
    "switch": Deed(
        does="switches to a new branch",
        act=lambda repository: repository.git("checkout", "-q", "-b", "elsewhere"),
        undo=lambda repository: (
            repository.git("checkout", "-q", "main"),
            repository.git("branch", "-q", "-D", "elsewhere"),
        ),
    ),
    "detach": Deed(
        does="detaches HEAD",
        act=lambda repository: repository.git("checkout", "-q", "--detach"),
        undo=lambda repository: repository.git("checkout", "-q", "main"),
    ),
    "gc": Deed(does="runs git gc", act=lambda repository: repository.git("gc", "-q")),
    "pack": Deed(does="packs all refs", act=packs_refs),
    "lock": Deed(
        does="leaves an index.lock behind",
        act=lambda repository: (repository.path / ".git" / "index.lock").touch(),
        undo=lambda repository: (repository.path / ".git" / "index.lock").unlink(),
    ),
    "bisect": Deed(
        does="begins a bisect of the target",
        act=lambda repository: repository.git("bisect", "start"),
        undo=lambda repository: repository.git("bisect", "reset"),
    ),
}


@pytest.mark.parametrize("name", DEEDS)
def test_whatever_a_person_does_at_any_moment_the_work_lands_and_theirs_stays(
    tmp_path: Path, tell: Tell, name: str, short: bool
) -> None:
    take_time()
    moments = MOMENTS[-3:-1] if short else MOMENTS
    waited = sum(had_to_wait(tmp_path / str(number), name, moment) for number, moment in enumerate(moments))
    hint = f", {waited} times only after resume" if waited else ""
    tell(
        Part.COMPANY,
        f"a person {DEEDS[name].does}, at {len(moments)} moments of a run",
        f"both nodes landed once on verified trees{hint}; theirs is kept, the checkout clean, nothing left",
        cases=len(moments),
    )


def had_to_wait(folder: Path, name: str, moment: Moment) -> bool:
    """Let a person do something at a moment of a run; whether it took a resume to land everything."""
    world = make_world(folder, {"README.md": "# Example\n", "src/a.txt": "a\n"})
    repository, deed, done = world.repository, DEEDS[name], []
    repository.commit_on("upstream", {"upstream.txt": "up\n"})
    repository.commit({"src/b.txt": "b\n"}, "what the person may rewrite")
    run_id = world.accept(_PLAN)

    def act() -> None:
        done.append(moment)
        deed.act(repository)

    with world.workshop() as shop:
        finished = Session(interrupted_shop(shop, moment, act), run_id).run()
    assert done, f"{moment} never came"
    is_held = finished.exit_code != 0
    if is_held:
        assert_told_what_to_do(world, run_id)
    deed.undo(repository)
    if is_held:
        finished = world.drive(run_id).finished
    assert finished.exit_code == 0, (moment, finished.reason)
    assert_theirs_and_ours(world, run_id, name)
    return is_held


def test_a_person_who_prunes_without_grace_loses_nothing_that_resume_does_not_make_again(
    tmp_path: Path, tell: Tell, short: bool
) -> None:
    take_time()
    moments = MOMENTS[3:4] if short else MOMENTS
    hints: list[str] = []
    failed = 0
    for number, moment in enumerate(moments):
        world = make_world(tmp_path / str(number), {"README.md": "# Example\n", "src/a.txt": "a\n"})
        world.repository.branch("upstream")
        world.repository.commit({"src/b.txt": "b\n"})
        run_id = world.accept(_PLAN)
        try:
            pruned_at(world, run_id, moment)
        except EnvironmentFault as fault:
            hints.append(fault.hint or str(fault))
        story = world.drive(run_id)
        # Failed, or sealed as a commit that was pruned before its ref was there: its entry is cancelled.
        for node_id in (name for name in ("one", "two") if not story.node(name).landed):
            failed += 1
            world.tell(run_id, CommandGiven(command="retry", by="me", node_id=NodeId(node_id)))
            story = world.drive(run_id)
        assert story.finished.exit_code == 0, (moment, story.finished.reason)
        kept = [slot.name for slot in slots_of(world) if slot.state is SlotState.KEPT]
        assert len(kept) <= failed
        world.repository.git("fsck", "--no-dangling")
        assert_landed_once(world, run_id)
    assert all("gc --prune=now" in hint for hint in hints)
    tell(
        Part.COMPANY,
        f"a person runs git gc --prune=now with an empty reflog, at {len(moments)} moments of a run",
        f"{len(hints)} times exit 5 with why, {failed} times a node failed by name; "
        "resume or retry landed both, the repository is sound",
        cases=len(moments),
    )


def pruned_at(world: World, run_id: RunId, moment: Moment) -> None:
    """Drive the run until it rests; somebody prunes at a moment."""
    with world.workshop() as shop:
        Session(interrupted_shop(shop, moment, lambda: prunes(world.repository)), run_id).run()


def slots_of(world: World) -> tuple[SlotInfo, ...]:
    """Every slot that is there."""
    with world.workshop() as shop:
        return shop.worktrees.list()


def assert_told_what_to_do(world: World, run_id: RunId) -> None:
    """Held work names its reason and the command that lands it."""
    facts = [event.data for event in world.events_of(run_id)]
    held = [fact for fact in facts if isinstance(fact, MergeHeld)]
    assert held, [getattr(fact, "reason", "") for fact in facts]
    assert all(fact.reason and fact.command for fact in held)


def assert_theirs_and_ours(world: World, run_id: RunId, name: str) -> None:
    """What the person made is there, what the nodes made is there, and nothing else."""
    repository = world.repository
    theirs = {"commit": ["person.txt"], "amend": ["person.txt"], "rebase": ["upstream.txt"]}.get(name, [])
    assert repository.files("main") == sorted(
        ["README.md", "src/a.txt", "src/b.txt", "src/one", "src/two", *theirs]
    )
    assert repository.status() == ""
    assert repository.git("symbolic-ref", "--short", "HEAD") == "main"
    assert_landed_once(world, run_id)
    world.assert_nothing_left(run_id, kept=["upstream"])


def assert_landed_once(world: World, run_id: RunId) -> None:
    """Both nodes landed, once, as trees that were checked."""
    facts = [event.data for event in world.queue_events()]
    landed = [fact for fact in facts if isinstance(fact, MergeLanded)]
    entries = sorted(entry.partition("@")[0] for fact in landed for entry in fact.entries)
    assert entries == [f"{run_id}/one", f"{run_id}/two"]  # `@2`: of a node that was retried
    passed = {fact.tree for fact in facts if isinstance(fact, CheckFinished) and fact.verdict == "passed"}
    assert all(world.repository.tree_of(fact.commit) in passed for fact in landed)
