"""Slots: opened quickly, sealed as lanes, given back or kept, and never lost."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.ids import Branch, Commit, NodeId, RunId
from cli_multi_rapid.git import Merged, Repository, open_repository
from cli_multi_rapid.worktree_slots import SLOT_NAME
from cli_multi_rapid.worktrees import (
    NothingChanged,
    Sealed,
    SealRefused,
    Slot,
    Snapshot,
    Strategy,
    Worktrees,
    slot_name,
)
from tests.fakes.repositories import RepositoryBuilder, make_empty_repository, make_repository

NOW = datetime(2024, 5, 6, tzinfo=UTC)
LANE = Branch("lane/run/n1")
START = {"a.txt": "a\n", "src/b.txt": "b\n", ".gitignore": ".env\nnode_modules\n*.log\n"}


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "the repository", START)


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state/git")


class Room:
    """Makes `Worktrees` of one repository; each is a process of its own as far as the others can tell."""

    def __init__(self, repository: Repository, state: Path) -> None:
        self.repository = repository
        self.state = state
        self.made: list[Worktrees] = []

    def enter(self, **options: Any) -> Worktrees:
        self.made.append(Worktrees(self.repository, self.state / "worktrees", **options))
        return self.made[-1]


@pytest.fixture
def room(repository: Repository, tmp_path: Path) -> Iterator[Room]:
    room = Room(repository, tmp_path / "state")
    yield room
    for worktrees in room.made:
        worktrees.close()


@pytest.fixture(params=list(Strategy))
def worktrees(room: Room, request: pytest.FixtureRequest) -> Worktrees:
    return room.enter(strategy=request.param)


def work(worktrees: Worktrees, slot: Slot, files: dict[str, str]) -> Snapshot:
    RepositoryBuilder(path=slot.path).write(files)
    snapshot = worktrees.snapshot(slot, "work", when=NOW)
    assert isinstance(snapshot, Snapshot), snapshot
    return snapshot


def contents(folder: Path) -> dict[str, bytes]:
    paths = (
        path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# --- names --------------------------------------------------------------------------------------------------


@given(run=st.text(), node=st.text(), attempt=st.integers(min_value=0, max_value=10**6))
def test_every_attempt_gets_a_safe_folder_name(run: str, node: str, attempt: int) -> None:
    name = slot_name(RunId(run), NodeId(node), attempt)
    assert SLOT_NAME.fullmatch(name)
    assert len(name) <= 120


def test_attempts_that_look_alike_get_different_names() -> None:
    alike = [("r", "a/b", 1), ("r", "a-b", 1), ("r", "a/b", 2), ("r-a", "b", 1), ("r", "n" * 90 + "1", 1)]
    alike += [("r", "n" * 90 + "2", 1), ("R", "a/b", 1)]
    names = {slot_name(RunId(run), NodeId(node), attempt).lower() for run, node, attempt in alike}
    assert len(names) == len(alike)
    assert slot_name(RunId("run-1"), NodeId("build"), 2).startswith("run-1.build.2.")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".git", "-x", "a\0b", "x" * 200])
def test_a_name_cannot_lead_out_of_the_folder(room: Room, builder: RepositoryBuilder, name: str) -> None:
    with pytest.raises(UserError, match="name of a slot"):
        room.enter().open(name, builder.head)


# --- opening ------------------------------------------------------------------------------------------------


def test_a_slot_shows_its_base_and_a_clean_git_status(
    worktrees: Worktrees, builder: RepositoryBuilder
) -> None:
    base = builder.head
    builder.commit({"later": "x\n"})
    slot = worktrees.open("n1", base, lane=LANE)
    assert contents(slot.path) == {name: text.encode() for name, text in START.items()}
    inside = RepositoryBuilder(path=slot.path)
    assert inside.status() == ""
    assert inside.head == base
    assert (slot.name, slot.base, slot.lane) == ("n1", base, LANE)


def test_an_agents_git_works_in_the_slot_as_the_person(room: Room, builder: RepositoryBuilder) -> None:
    slot = room.enter().open("n1", builder.head, lane=LANE)
    inside = RepositoryBuilder(path=slot.path)
    assert inside.git("symbolic-ref", "HEAD") == f"refs/heads/{LANE}"
    made = inside.commit({"a.txt": "changed\n"}, "by the agent")
    assert inside.git("log", "-1", "--format=%an|%ae|%s") == "Ada Example|ada@example.invalid|by the agent"
    assert inside.git("log", "--format=%s") == "by the agent\nfirst"
    assert inside.git("fsck", "--strict") == ""
    assert builder.try_git("cat-file", "-e", made).returncode != 0
    assert builder.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_opening_a_slot_leaves_the_person_alone(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    builder.write({"a.txt": "mine\n"})
    before = (builder.status(), builder.git("for-each-ref"), (builder.path / ".git/index").read_bytes())
    worktrees.release(worktrees.open("n1", builder.head))
    assert before == (
        builder.status(),
        builder.git("for-each-ref"),
        (builder.path / ".git/index").read_bytes(),
    )


def test_a_name_in_use_is_refused(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    worktrees.open("n1", builder.head)
    with pytest.raises(EnvironmentFault, match="in use"):
        worktrees.open("n1", builder.head)


def test_a_base_that_does_not_exist_is_an_environment_fault_and_leaves_nothing(
    worktrees: Worktrees, builder: RepositoryBuilder
) -> None:
    with pytest.raises(EnvironmentFault):
        worktrees.open("n1", Commit("1" * 40))
    assert worktrees.list() == ()
    assert worktrees.open("n1", builder.head).path.exists()


def test_32_slots_open_at_once(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    def live(number: int) -> str:
        slot = worktrees.open(f"n{number}", builder.head, lane=Branch(f"lane/run/n{number}"))
        snapshot = work(worktrees, slot, {f"out{number}": f"{number}\n"})
        assert worktrees.seal(slot, snapshot, slot.lane) == Sealed(commit=snapshot.commit)
        worktrees.release(slot)
        return snapshot.commit

    with ThreadPoolExecutor(32) as pool:
        commits = list(pool.map(live, range(32)))
    lanes = builder.git("for-each-ref", "--format=%(objectname)", "refs/heads/lane/").split("\n")
    assert sorted(lanes) == sorted(commits)
    assert builder.git("fsck", "--strict", "--no-dangling") == ""


def test_a_dependent_starts_from_merged_work(
    room: Room, repository: Repository, builder: RepositoryBuilder
) -> None:
    worktrees = room.enter()
    first = work(worktrees, worktrees.open("n1", builder.head), {"one": "1\n"})
    second = work(worktrees, worktrees.open("n2", builder.head), {"two": "2\n"})
    merged = repository.merge(first.commit, second.commit)
    assert isinstance(merged, Merged)
    base = repository.commit(merged.tree, (first.commit, second.commit), "base", when=NOW)
    slot = worktrees.open("n3", base)
    assert {"one", "two"} <= set(contents(slot.path))
    assert RepositoryBuilder(path=slot.path).status() == ""


# --- what changes content -----------------------------------------------------------------------------------


def test_a_shallow_clone_has_slots(builder: RepositoryBuilder, tmp_path: Path) -> None:
    builder.commit({"a.txt": "2\n"})
    builder.git("clone", "-q", "--depth=1", f"file://{builder.path}", str(tmp_path / "shallow"))
    shallow = open_repository(tmp_path / "shallow", tmp_path / "state2/git")
    assert shallow.is_shallow
    worktrees = Worktrees(shallow, tmp_path / "state2/worktrees")
    slot = worktrees.open("n1", builder.head)
    assert RepositoryBuilder(path=slot.path).git("log", "--format=%s") == "change"
    assert work(worktrees, slot, {"x": "1\n"}).base == builder.head
    worktrees.close()


def test_a_partial_clone_falls_back_to_linked_worktrees(builder: RepositoryBuilder, tmp_path: Path) -> None:
    builder.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{builder.path}"
    builder.git("clone", "-q", "--no-checkout", "--filter=blob:none", url, str(tmp_path / "partial"))
    partial = open_repository(tmp_path / "partial", tmp_path / "state2/git")
    worktrees = Worktrees(partial, tmp_path / "state2/worktrees")
    assert worktrees.strategy is Strategy.LINKED
    slot = worktrees.open("n1", builder.head)
    assert contents(slot.path) == {name: text.encode() for name, text in START.items()}
    assert [change.path for change in work(worktrees, slot, {"a.txt": "x\n"}).changes] == ["a.txt"]
    worktrees.close()


def test_a_sha256_repository_has_slots(tmp_path: Path) -> None:
    builder = make_empty_repository(tmp_path / "r", "--object-format=sha256")
    builder.commit(START)
    worktrees = Worktrees(open_repository(builder.path, tmp_path / "state/git"), tmp_path / "state/worktrees")
    slot = worktrees.open("n1", builder.head)
    assert RepositoryBuilder(path=slot.path).status() == ""
    assert len(work(worktrees, slot, {"x": "1\n"}).commit) == 64
    worktrees.close()


def test_a_sparse_checkout_of_the_person_does_not_hide_files_from_an_agent(
    builder: RepositoryBuilder, room: Room
) -> None:
    builder.git("sparse-checkout", "set", "--no-cone", "/a.txt")
    assert not (builder.path / "src").exists()
    worktrees = room.enter()
    slot = worktrees.open("n1", builder.head)
    assert (slot.path / "src/b.txt").exists()
    assert [change.path for change in work(worktrees, slot, {"src/b.txt": "x\n"}).changes] == ["src/b.txt"]


def test_a_person_without_a_name_still_gets_commits(builder: RepositoryBuilder, tmp_path: Path) -> None:
    builder.git("config", "--remove-section", "user")
    os.environ["GIT_CONFIG_GLOBAL"] = "/dev/null"  # the fixture of every test puts it back
    anonymous = open_repository(builder.path, tmp_path / "state/git")
    worktrees = Worktrees(anonymous, tmp_path / "state/worktrees")
    slot = worktrees.open("n1", builder.head)
    RepositoryBuilder(path=slot.path).commit({"a.txt": "x\n"})
    snapshot = worktrees.snapshot(slot, "work", when=NOW)
    assert isinstance(snapshot, Snapshot)
    assert builder.git("log", "-1", "--format=%an", snapshot.commit) == "cli-orchestrator"
    worktrees.close()


# --- links --------------------------------------------------------------------------------------------------


def test_links_are_there_for_the_agent_and_never_part_of_the_work(
    room: Room, builder: RepositoryBuilder
) -> None:
    builder.write({".env": "SECRET=1\n", "node_modules/x/index.js": "x\n"})
    builder.commit({".gitignore": "*.log\nnode_modules\n"})  # without .env: even then
    builder.git("rm", "-q", "--cached", ".env")
    builder.git("commit", "-q", "-m", "not tracked")
    worktrees = room.enter(links=[".env", "node_modules", "missing.env"])
    slot = worktrees.open("n1", builder.head)
    assert (slot.path / ".env").read_text() == "SECRET=1\n"
    assert (slot.path / "node_modules/x/index.js").exists()
    assert slot.missing_links == ("missing.env",)
    assert worktrees.snapshot(slot, "x", when=NOW) == NothingChanged()
    snapshot = work(worktrees, slot, {".env": "SECRET=2\n", "a.txt": "x\n"})
    assert [change.path for change in snapshot.changes] == ["a.txt"]
    declared = worktrees.snapshot(slot, "x", when=NOW, declared=[".env"])
    assert isinstance(declared, Snapshot)
    assert [change.path for change in declared.changes] == ["a.txt"]
    assert (builder.path / ".env").read_text() == "SECRET=1\n"
    worktrees.release(slot)
    worktrees.clean(force=True)
    worktrees.empty_trash()
    assert (builder.path / "node_modules/x/index.js").exists()


def test_a_link_does_not_replace_what_the_commit_brings(room: Room, builder: RepositoryBuilder) -> None:
    builder.write({"a.txt": "mine, uncommitted\n"})
    slot = room.enter(links=["a.txt"]).open("n1", builder.head)
    assert (slot.path / "a.txt").read_text() == "a\n"


@pytest.mark.parametrize("link", ["/etc/passwd", "../x", ".git/config", ""])
def test_a_link_must_be_inside_the_repository(room: Room, link: str) -> None:
    with pytest.raises(UserError, match=r"worktrees\.links"):
        room.enter(links=[link])


# --- sealing ------------------------------------------------------------------------------------------------


def test_a_sealed_snapshot_is_a_branch_of_the_person(
    worktrees: Worktrees, builder: RepositoryBuilder
) -> None:
    slot = worktrees.open("n1", builder.head, lane=LANE)
    snapshot = work(worktrees, slot, {"a.txt": "x\n"})
    assert worktrees.seal(slot, snapshot, LANE) == Sealed(commit=snapshot.commit)
    assert worktrees.seal(slot, snapshot, LANE) == Sealed(commit=snapshot.commit)
    assert builder.commit_of(LANE) == snapshot.commit
    assert builder.git("diff", "--name-only", "main", LANE) == "a.txt"


def test_a_lane_with_other_commits_is_never_overwritten(
    worktrees: Worktrees, builder: RepositoryBuilder
) -> None:
    theirs = builder.commit_on(LANE, {"a.txt": "theirs\n"})
    slot = worktrees.open("n1", builder.head)
    snapshot = work(worktrees, slot, {"a.txt": "x\n"})
    assert isinstance(worktrees.seal(slot, snapshot, LANE), SealRefused)
    assert builder.commit_of(LANE) == theirs
    assert worktrees.seal(slot, snapshot, LANE, replacing=theirs) == Sealed(commit=snapshot.commit)


def test_a_lane_that_somebody_looks_at_is_not_moved(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    theirs = builder.commit_on(LANE, {"a.txt": "theirs\n"})
    base = builder.head
    builder.git("checkout", "-q", LANE)
    slot = worktrees.open("n1", base)
    outcome = worktrees.seal(slot, work(worktrees, slot, {"a.txt": "x\n"}), LANE, replacing=theirs)
    assert isinstance(outcome, SealRefused)
    assert "checked out" in outcome.reason


def test_a_branch_named_lane_is_explained(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    builder.branch("lane")
    slot = worktrees.open("n1", builder.head)
    outcome = worktrees.seal(slot, work(worktrees, slot, {"a.txt": "x\n"}), LANE)
    assert isinstance(outcome, SealRefused)
    assert "'refs/heads/lane' exists" in outcome.reason
