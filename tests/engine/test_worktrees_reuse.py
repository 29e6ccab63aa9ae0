"""After an attempt: slots are reused clean, kept for a person, found after a crash, never lost with work."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.git import Repository, open_repository
from cli_multi_rapid.git_lock import locked
from cli_multi_rapid.worktree_trash import Trash, delete
from cli_multi_rapid.worktrees import NothingChanged, Slot, SlotState, Strategy, Worktrees
from tests.engine.test_worktrees import LANE, NOW, START, Room, contents, work
from tests.fakes.meanwhile import wait_until
from tests.fakes.repositories import RepositoryBuilder, make_repository


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", START)


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state/git")


@pytest.fixture
def room(repository: Repository, tmp_path: Path) -> Iterator[Room]:
    room = Room(repository, tmp_path / "state")
    yield room
    for worktrees in room.made:
        worktrees.close()


@pytest.fixture(params=list(Strategy))
def worktrees(room: Room, request: pytest.FixtureRequest) -> Worktrees:
    return room.enter(strategy=request.param)


def states(worktrees: Worktrees) -> dict[str, SlotState]:
    return {info.name: info.state for info in worktrees.list() if info.state is not SlotState.POOLED}


def pooled(worktrees: Worktrees) -> int:
    return sum(info.state is SlotState.POOLED for info in worktrees.list())


# --- the pool -----------------------------------------------------------------------------------------------


def test_a_pooled_slot_comes_back_clean_on_another_base(room: Room, builder: RepositoryBuilder) -> None:
    worktrees = room.enter()
    slot = worktrees.open("n1", builder.head, lane=LANE)
    inside = RepositoryBuilder(path=slot.path)
    inside.commit({"a.txt": "agent\n", "new.txt": "x\n"}, "agent")
    inside.write({"x.log": "ignored\n", "src/b.txt": None, "deep/er/f": "x\n", "a.txt": "b\n"})
    (slot.path / "link").symlink_to("/")
    (slot.path / "deep" / "locked").mkdir(mode=0o500)
    worktrees.release(slot)
    assert pooled(worktrees) == 1
    base = builder.commit({"a.txt": "2\n", "more": "m\n"})
    again = worktrees.open("n2", base, lane=Branch("lane/run/n2"))
    assert pooled(worktrees) == 0
    assert contents(again.path) == {name: text.encode() for name, text in START.items()} | {
        "a.txt": b"2\n",
        "more": b"m\n",
    }
    inside = RepositoryBuilder(path=again.path)
    assert inside.status() == ""
    assert inside.git("for-each-ref", "--format=%(refname)") == "refs/heads/lane/run/n2"
    assert inside.git("log", "--format=%s") == "change\nfirst"


def test_a_folder_replaced_by_a_symlink_is_restored_in_the_slot_not_behind_the_link(
    room: Room, builder: RepositoryBuilder, tmp_path: Path
) -> None:
    worktrees = room.enter()
    slot = worktrees.open("n1", builder.head)
    private = tmp_path / "private"
    private.mkdir()
    (private / "b.txt").write_text("private\n")
    (slot.path / "src").rename(tmp_path / "moved")
    (slot.path / "src").symlink_to(private)
    worktrees.release(slot)
    again = worktrees.open("n2", builder.head)
    assert (again.path / "src/b.txt").read_text() == "b\n"
    assert not (again.path / "src").is_symlink()
    assert {path.name: path.read_text() for path in private.iterdir()} == {"b.txt": "private\n"}


def test_the_pool_has_a_limit_and_can_be_off(room: Room, builder: RepositoryBuilder) -> None:
    for size in (0, 2):
        worktrees = room.enter(pool_size=size)
        for slot in [worktrees.open(f"s{size}-{number}", builder.head) for number in range(3)]:
            worktrees.release(slot)
        assert pooled(worktrees) == size


def test_a_pooled_folder_without_its_index_is_thrown_away(room: Room, builder: RepositoryBuilder) -> None:
    worktrees = room.enter()
    worktrees.release(worktrees.open("n1", builder.head))
    for index in (room.repository.scratch / "pool").iterdir():
        index.unlink()
    slot = worktrees.open("n2", builder.head)
    assert contents(slot.path).keys() == START.keys()


def test_an_index_that_a_killed_process_parted_from_its_folder_goes_when_nobody_moves_any(
    room: Room, builder: RepositoryBuilder
) -> None:
    worktrees = room.enter()
    worktrees.release(worktrees.open("s", builder.head))
    pool = room.repository.scratch / "pool"
    (whole,) = pool.iterdir()
    half = pool / "half"
    half.touch()
    with locked(pool.with_name("pool.lock"), shared=True):  # another process might be moving it
        worktrees.forget_the_dead()
        assert half.exists()
    worktrees.forget_the_dead()
    assert (list(pool.iterdir()), pooled(worktrees)) == ([whole], 1)


def test_slots_with_submodules_are_not_pooled(room: Room, builder: RepositoryBuilder) -> None:
    builder.git("update-index", "--add", "--cacheinfo", f"160000,{builder.head},sub")
    builder.git("commit", "-q", "-m", "a submodule without .gitmodules")
    worktrees = room.enter()
    worktrees.release(worktrees.open("n1", builder.head))
    assert pooled(worktrees) == 0


def test_releasing_twice_is_fine(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    slot = worktrees.open("n1", builder.head)
    worktrees.release(slot)
    worktrees.release(slot)
    assert states(worktrees) == {}
    assert not slot.path.exists()


def test_a_linked_slot_leaves_no_trace_in_the_repository(room: Room, builder: RepositoryBuilder) -> None:
    worktrees = room.enter(strategy=Strategy.LINKED)
    slot = worktrees.open("n1", builder.head)
    assert builder.git("worktree", "list").count("\n") == 1
    worktrees.release(slot)
    assert builder.git("worktree", "list").count("\n") == 0
    assert not list((builder.path / ".git/worktrees").glob("*"))


# --- keeping and cleaning -----------------------------------------------------------------------------------


def test_a_kept_slot_stays_until_somebody_cleans_up(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    slot = worktrees.open("n1", builder.head)
    RepositoryBuilder(path=slot.path).write({"a.txt": "half done\n"})
    worktrees.release(slot, keep=True)
    assert states(worktrees) == {"n1": SlotState.KEPT}
    cleaned = worktrees.clean()
    assert cleaned.removed == ()
    assert cleaned.kept == (("n1", "holds changes that no branch has"),)
    assert (slot.path / "a.txt").read_text() == "half done\n"
    assert worktrees.clean(force=True).removed == ("n1",)
    assert not slot.path.exists()


def test_a_kept_slot_whose_work_is_sealed_can_go(worktrees: Worktrees, builder: RepositoryBuilder) -> None:
    slot = worktrees.open("n1", builder.head)
    worktrees.seal(slot, work(worktrees, slot, {"a.txt": "done\n"}), LANE)
    worktrees.keep(slot)
    assert worktrees.clean().removed == ("n1",)


def test_commits_that_only_the_agents_git_has_are_not_thrown_away(
    room: Room, builder: RepositoryBuilder
) -> None:
    worktrees = room.enter()
    slot = worktrees.open("n1", builder.head)
    inside = RepositoryBuilder(path=slot.path)
    inside.commit({"a.txt": "x\n"})
    inside.git("checkout", "-q", "-b", "elsewhere", builder.head)
    worktrees.keep(slot)
    assert worktrees.clean().kept == (("n1", "holds commits of its own"),)


def test_files_that_git_cannot_take_are_not_thrown_away(room: Room, builder: RepositoryBuilder) -> None:
    worktrees = room.enter()
    slot = worktrees.open("n1", builder.head)
    RepositoryBuilder(path=slot.path).git("init", "-q", "vendor")
    worktrees.keep(slot)
    (name, reason), *_ = worktrees.clean().kept
    assert (name, "git cannot take" in reason) == ("n1", True)


def test_a_slot_in_use_is_never_cleaned_even_by_another_process(
    room: Room, builder: RepositoryBuilder
) -> None:
    slot = room.enter().open("n1", builder.head)
    other = room.enter()
    assert states(other) == {"n1": SlotState.ACTIVE}
    assert other.clean(force=True).kept == (("n1", "in use"),)
    assert slot.path.exists()


def test_the_slots_of_a_dead_process_are_found(room: Room, builder: RepositoryBuilder) -> None:
    dead = room.enter()
    slot, untouched = dead.open("n1", builder.head), dead.open("n2", builder.head)
    RepositoryBuilder(path=slot.path).write({"a.txt": "half done\n"})
    dead.close()
    alive = room.enter()
    assert states(alive) == {"n1": SlotState.ORPHANED, "n2": SlotState.ORPHANED}
    info = next(info for info in alive.list() if info.name == "n1")
    assert (info.path, info.base) == (slot.path, builder.head)
    assert info.age_s >= 0
    cleaned = alive.clean()
    assert cleaned.removed == ("n2",)
    assert [name for name, _ in cleaned.kept] == ["n1"]
    assert not untouched.path.exists()


@pytest.mark.parametrize("strategy", list(Strategy))
def test_opening_over_the_slot_of_a_dead_process_keeps_its_work_aside(
    room: Room, builder: RepositoryBuilder, strategy: Strategy
) -> None:
    dead = room.enter(strategy=strategy)
    RepositoryBuilder(path=dead.open("n1", builder.head).path).write({"a.txt": "half done\n"})
    dead.close()
    alive = room.enter(strategy=strategy)
    slot = alive.open("n1", builder.head)
    assert (slot.path / "a.txt").read_text() == "a\n"
    old = next(info for info in alive.list() if info.name.startswith("n1.old-"))
    assert old.state is SlotState.KEPT
    assert (old.path / "a.txt").read_text() == "half done\n"
    assert RepositoryBuilder(path=old.path).status() == " M a.txt"
    assert [reason for _, reason in alive.clean().kept] == ["in use", "holds changes that no branch has"]


def test_a_slot_that_was_only_half_opened_is_made_again(
    room: Room, builder: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = room.enter()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cli_multi_rapid.worktrees.make_isolated", killed)
        with pytest.raises(KeyboardInterrupt):
            dead.open("n1", builder.head)
    dead.close()
    alive = room.enter()
    slot = alive.open("n1", builder.head)
    assert contents(slot.path).keys() == START.keys()
    assert states(alive) == {"n1": SlotState.ACTIVE}


def test_a_slot_whose_process_died_while_making_it_holds_no_work(
    room: Room, builder: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = room.enter()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cli_multi_rapid.worktrees.fill", killed)
        with pytest.raises(KeyboardInterrupt):
            dead.open("n1", builder.head, lane=LANE)
    dead.close()
    heir = room.enter()
    half = Slot(path=heir.folder / "n1", name="n1", base=builder.head, lane=LANE)
    assert heir.snapshot(half, "x", when=NOW) == NothingChanged()
    heir.release(half)
    assert (states(heir), pooled(heir)) == ({}, 0)


def test_what_a_killed_process_was_writing_of_a_slot_goes_with_the_slot(
    room: Room, builder: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    worktrees = room.enter()
    slot = worktrees.open("n1", builder.head)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            worktrees.keep(slot)
    records = room.repository.scratch / "slots"
    assert len(list(records.glob("*.fresh"))) == 1
    worktrees.release(slot)
    assert list(records.iterdir()) == []


def test_a_broken_record_does_not_hide_the_other_slots(room: Room, builder: RepositoryBuilder) -> None:
    worktrees = room.enter()
    worktrees.open("n1", builder.head)
    (room.repository.scratch / "slots/n0.json").write_text("{")
    assert states(worktrees) == {"n1": SlotState.ACTIVE}


# --- trash and locks ----------------------------------------------------------------------------------------


def test_the_trash_deletes_what_resists_and_follows_no_link(tmp_path: Path) -> None:
    trash = Trash(tmp_path / "trash")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("stays\n")
    stubborn = tmp_path / "stubborn"
    (stubborn / "deep").mkdir(parents=True)
    (stubborn / "deep/file").write_text("x\n")
    (stubborn / "deep/link").symlink_to(outside)
    (stubborn / "deep").chmod(0o500)
    stubborn.chmod(0o500)
    trash.throw(stubborn)
    trash.throw(tmp_path / "not there")
    assert not stubborn.exists()
    trash.empty()
    assert list((tmp_path / "trash").iterdir()) == []
    assert (outside / "f").read_text() == "stays\n"
    delete(tmp_path / "not there")


def test_a_folder_that_two_delete_at_once_is_gone_for_both(tmp_path: Path) -> None:
    for number in range(20):
        shared = tmp_path / f"shared{number}"
        for name in range(30):
            (shared / f"d{name}").mkdir(parents=True)
        beside = threading.Thread(target=delete, args=(shared,))
        beside.start()
        delete(shared)
        assert not shared.exists()
        beside.join()


def test_what_an_earlier_process_did_not_manage_to_delete_goes_with_the_next_thing_thrown(
    tmp_path: Path,
) -> None:
    left = tmp_path / "trash" / "grave"
    (left / "deep").mkdir(parents=True)
    (tmp_path / "more").mkdir()
    Trash(tmp_path / "trash").throw(tmp_path / "more")
    wait_until(lambda: list((tmp_path / "trash").iterdir()) == [], "an empty trash")


def test_the_trash_of_an_earlier_process_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "trash/left/over").mkdir(parents=True)
    assert Trash(tmp_path / "trash").empty() == 1
    assert Trash(tmp_path / "nowhere").empty() == 0


def test_a_thrown_folder_goes_away_in_the_background(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    trash = Trash(tmp_path / "trash")
    for name in ("f", "g"):
        (tmp_path / name).write_text("x\n")
        trash.throw(tmp_path / name)
    (reaper,) = set(threading.enumerate()) - before
    assert reaper.daemon
    trash.close()
    reaper.join(timeout=30)
    assert not reaper.is_alive(), "a closed trash keeps its thread"
    assert list((tmp_path / "trash").iterdir()) == []


def test_a_trash_that_was_closed_takes_more(tmp_path: Path) -> None:
    trash = Trash(tmp_path / "trash")
    for name in ("f", "g"):
        (tmp_path / name).write_text("x\n")
        before = set(threading.enumerate())
        trash.throw(tmp_path / name)
        reapers = set(threading.enumerate()) - before
        trash.close()
        for reaper in reapers:
            reaper.join(timeout=30)
    wait_until(lambda: list((tmp_path / "trash").iterdir()) == [], "an empty trash")
