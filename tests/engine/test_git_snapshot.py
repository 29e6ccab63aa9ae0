"""Snapshots: what an agent left in its slot becomes one commit, or is refused with a reason."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.git import ChangeKind, Repository, open_repository
from cli_multi_rapid.git_snapshot import stays_inside
from cli_multi_rapid.worktrees import NothingChanged, Slot, Snapshot, SnapshotRefused, Worktrees
from tests.fakes.repositories import RepositoryBuilder, make_repository

NOW = datetime(2024, 5, 6, tzinfo=UTC)
START = {"a.txt": "a\n", "src/b.txt": "b\n", ".gitignore": "*.log\nbuild/\n"}

Take = Callable[..., Snapshot | NothingChanged | SnapshotRefused]


class Attempt:
    """A slot of a repository, and what its snapshot gives."""

    def __init__(self, builder: RepositoryBuilder, state: Path, **options: object) -> None:
        self.builder = builder
        self.repository: Repository = open_repository(builder.path, state / "git")
        self.worktrees = Worktrees(self.repository, state / "worktrees", **options)  # type: ignore[arg-type]
        self.slot: Slot = self.worktrees.open("n1", builder.head, lane=Branch("lane/run/n1"))
        self.inside = RepositoryBuilder(path=self.slot.path)

    def snapshot(self, **options: object) -> Snapshot | NothingChanged | SnapshotRefused:
        return self.worktrees.snapshot(self.slot, "work", when=NOW, **options)  # type: ignore[arg-type]

    def taken(self, **options: object) -> Snapshot:
        outcome = self.snapshot(**options)
        assert isinstance(outcome, Snapshot), outcome
        return outcome

    def refused(self, **options: object) -> SnapshotRefused:
        outcome = self.snapshot(**options)
        assert isinstance(outcome, SnapshotRefused), outcome
        return outcome


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", START)


@pytest.fixture
def attempt(builder: RepositoryBuilder, tmp_path: Path) -> Iterator[Attempt]:
    attempt = Attempt(builder, tmp_path / "state")
    yield attempt
    attempt.worktrees.close()


# --- what becomes a commit ----------------------------------------------------------------------------------


def test_new_changed_and_deleted_files_become_one_commit_on_the_base(
    attempt: Attempt, builder: RepositoryBuilder
) -> None:
    attempt.inside.write({"a.txt": "changed\n", "new/c.txt": "c\n", "src/b.txt": None, "x.log": "no\n"})
    snapshot = attempt.taken()
    assert {change.path: change.status for change in snapshot.changes} == {
        "a.txt": ChangeKind.MODIFIED,
        "new/c.txt": ChangeKind.ADDED,
        "src/b.txt": ChangeKind.DELETED,
    }
    assert builder.git("log", "-1", "--format=%P|%s|%an|%ae", snapshot.commit) == (
        f"{builder.head}|work|Ada Example|ada@example.invalid"
    )
    assert builder.tree_of(snapshot.commit) == snapshot.tree
    assert builder.show(snapshot.commit, "a.txt") == "changed\n"


def test_the_person_sees_nothing_of_a_snapshot(attempt: Attempt, builder: RepositoryBuilder) -> None:
    def seen() -> list[str]:
        return [builder.status(), *(builder.git(*look) for look in looks)]

    looks = (["for-each-ref"], ["ls-files", "-s"], ["config", "-l"], ["symbolic-ref", "HEAD"])
    builder.write({"a.txt": "mine\n", "untracked": "mine\n"})
    builder.git("add", "a.txt")
    before = seen()
    attempt.inside.write({"a.txt": "changed\n"})
    attempt.taken()
    assert seen() == before


def test_an_untouched_slot_has_nothing_to_commit(attempt: Attempt) -> None:
    (attempt.slot.path / "x.log").write_text("ignored\n")
    os.utime(attempt.slot.path / "a.txt")
    assert attempt.snapshot() == NothingChanged()


def test_a_snapshot_can_be_repeated_and_sees_later_work(attempt: Attempt) -> None:
    attempt.inside.write({"a.txt": "one\n"})
    first = attempt.taken()
    assert attempt.taken() == first
    attempt.inside.write({"a.txt": "two\n"})
    assert attempt.taken().tree != first.tree
    attempt.inside.write({"a.txt": "a\n"})
    assert attempt.snapshot() == NothingChanged()


def test_the_files_decide_not_what_the_agent_committed(attempt: Attempt, builder: RepositoryBuilder) -> None:
    attempt.inside.commit({"a.txt": "committed\n"}, "by the agent")
    attempt.inside.commit({"other.txt": "committed\n"}, "by the agent")
    attempt.inside.write({"other.txt": None, "a.txt": "and edited\n"})
    snapshot = attempt.taken()
    assert [change.path for change in snapshot.changes] == ["a.txt"]
    assert builder.show(snapshot.commit, "a.txt") == "and edited\n"
    assert builder.commit_of(f"{snapshot.commit}^") == builder.head


def test_a_same_size_edit_right_after_opening_is_seen(builder: RepositoryBuilder, tmp_path: Path) -> None:
    for turn in range(5):
        attempt = Attempt(builder, tmp_path / f"state{turn}")
        attempt.inside.write({"a.txt": "b\n"})
        assert [change.path for change in attempt.taken().changes] == ["a.txt"]
        attempt.worktrees.close()


def test_an_agent_that_deletes_everything_is_taken_at_its_word(attempt: Attempt) -> None:
    attempt.inside.write({"a.txt": None, "src/b.txt": None, ".gitignore": None})
    assert {change.status for change in attempt.taken().changes} == {ChangeKind.DELETED}


def test_a_base_without_files_works(builder: RepositoryBuilder, tmp_path: Path) -> None:
    builder.commit(dict.fromkeys(START))
    attempt = Attempt(builder, tmp_path / "state")
    assert attempt.snapshot() == NothingChanged()
    attempt.inside.write({"first": "1\n"})
    assert [change.path for change in attempt.taken().changes] == ["first"]
    attempt.worktrees.close()


def test_names_that_are_no_utf8_and_very_long_paths_survive(
    attempt: Attempt, builder: RepositoryBuilder
) -> None:
    strange = os.fsdecode(b"\xff \n:(top)x")
    long = "/".join(["d" * 200] * 12) + "/f"
    attempt.inside.write({strange: "1\n", long: "2\n"})
    snapshot = attempt.taken()
    assert {change.path for change in snapshot.changes} == {strange, long}
    assert {strange, long} <= set(attempt.repository.list_files(snapshot.commit))


def test_an_executable_bit_is_part_of_the_work(attempt: Attempt) -> None:
    (attempt.slot.path / "a.txt").chmod(0o755)
    assert [(change.path, change.mode) for change in attempt.taken().changes] == [("a.txt", 0o100755)]


def test_declared_outputs_are_taken_even_when_ignored(attempt: Attempt) -> None:
    attempt.inside.write({"build/out.bin": b"\0", "build/b": b"\0", "x.log": "1\n", "src/new.txt": "n\n"})
    declared = ("build/out.bin", "x.log", "missing.log", "../escape", "a.txt", "src/new.txt")
    assert {change.path for change in attempt.taken(declared=declared).changes} == {
        "build/out.bin",
        "src/new.txt",
        "x.log",
    }
    assert {change.path for change in attempt.taken().changes} == {"src/new.txt"}


def test_a_declared_folder_is_taken_whole(attempt: Attempt) -> None:
    attempt.inside.write({"build/one.bin": b"\0", "build/deep/two.bin": b"\0"})
    found = attempt.taken(declared=("build/",)).changes
    assert {change.path for change in found} == {"build/one.bin", "build/deep/two.bin"}


@pytest.mark.parametrize("ignored", ["", ".aider.d/\nsrc\n"])
def test_the_litter_of_a_tool_is_left_out(builder: RepositoryBuilder, tmp_path: Path, ignored: str) -> None:
    """Also when `.gitignore` names it too, which git takes for a mistake in the pathspec."""
    builder.commit({".gitignore": ignored})
    attempt = Attempt(builder, tmp_path / "state")
    litter = (".aider*", "src/*.tmp", "logs/", "**/*.bak", "[x]y", "")
    left = {
        ".aider.md": "x\n",
        ".aider.d/x/y": "x\n",
        "src/1.tmp": "x\n",
        "logs/l": "x\n",
        "d/e.bak": "x\n",
        "xy": "",
    }
    attempt.inside.write(left | {"logs.txt": "kept\n", "d/e.txt": "kept\n"})
    assert {change.path for change in attempt.taken(litter=litter).changes} == {"logs.txt", "d/e.txt"}
    attempt.worktrees.close()


def test_what_the_agent_ignores_itself_stays_out(attempt: Attempt) -> None:
    attempt.inside.write({".gitignore": "*.log\nbuild/\nnode_modules/\n", "node_modules/x.js": "x\n"})
    assert [change.path for change in attempt.taken().changes] == [".gitignore"]


def test_the_excludes_of_the_person_count(builder: RepositoryBuilder, tmp_path: Path) -> None:
    (builder.path / ".git/info").mkdir(exist_ok=True)
    (builder.path / ".git/info/exclude").write_text("*.swp\n")
    attempt = Attempt(builder, tmp_path / "state")
    attempt.inside.write({"a.swp": "x\n", "b.txt": "x\n"})
    assert [change.path for change in attempt.taken().changes] == ["b.txt"]
    assert attempt.inside.status() == "?? b.txt"
    attempt.worktrees.close()


def test_line_endings_are_kept_as_the_repository_wants_them(
    builder: RepositoryBuilder, tmp_path: Path
) -> None:
    builder.git("config", "core.autocrlf", "true")
    builder.git("config", "core.safecrlf", "true")
    attempt = Attempt(builder, tmp_path / "state")
    assert (attempt.slot.path / "a.txt").read_bytes() == b"a\r\n"
    assert attempt.inside.status() == ""
    (attempt.slot.path / "mixed.txt").write_bytes(b"1\r\n2\n")
    (attempt.slot.path / "a.txt").write_bytes(b"changed\r\n")
    assert builder.show(attempt.taken().commit, "a.txt") == "changed\n"
    attempt.worktrees.close()


def test_files_that_a_filter_keeps_elsewhere_arrive_whole_and_are_stored_small(
    builder: RepositoryBuilder, tmp_path: Path
) -> None:
    """As LFS does: pointers in the commit, content in the work tree."""
    builder.git("config", "filter.big.clean", "sed s/CONTENT/POINTER/")
    builder.git("config", "filter.big.smudge", "sed s/POINTER/CONTENT/")
    builder.commit({".gitattributes": "*.bin filter=big\n", "x.bin": "CONTENT\n"})
    assert builder.show("HEAD", "x.bin") == "POINTER\n"
    attempt = Attempt(builder, tmp_path / "state")
    assert (attempt.slot.path / "x.bin").read_text() == "CONTENT\n"
    assert attempt.inside.status() == ""
    attempt.inside.write({"y.bin": "CONTENT\n"})
    assert builder.show(attempt.taken().commit, "y.bin") == "POINTER\n"
    attempt.worktrees.close()


# --- symlinks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", "a.txt"),
        ("l", "src"),
        ("l", "missing"),
        ("d/l", "../a.txt"),
        ("d/e/l", "../../src/b.txt"),
        ("l", "./a"),
    ],
)
def test_a_symlink_inside_the_tree_is_fine(attempt: Attempt, path: str, target: str) -> None:
    assert stays_inside(path, target)
    (attempt.slot.path / path).parent.mkdir(parents=True, exist_ok=True)
    (attempt.slot.path / path).symlink_to(target)
    assert [change.path for change in attempt.taken().changes] == [path]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", "/"),
        ("l", "/etc/passwd"),
        ("l", ".."),
        ("d/l", "../../x"),
        ("l", ".git"),
        ("d/l", "../.git/config"),
        ("l", ".GIT/hooks"),
        ("l", "src/../../x"),
        ("l", "src/../a.txt"),
    ],
)
def test_a_symlink_that_may_lead_out_is_refused(attempt: Attempt, path: str, target: str) -> None:
    (attempt.slot.path / path).parent.mkdir(parents=True, exist_ok=True)
    (attempt.slot.path / path).symlink_to(target)
    refused = attempt.refused()
    assert "symlink" in refused.reason
    assert refused.paths == (path,)


def test_a_symlink_of_the_base_is_not_the_agents_fault(builder: RepositoryBuilder, tmp_path: Path) -> None:
    (builder.path / "old").symlink_to("/somewhere")
    builder.commit()
    attempt = Attempt(builder, tmp_path / "state")
    attempt.inside.write({"a.txt": "x\n"})
    assert [change.path for change in attempt.taken().changes] == ["a.txt"]
    attempt.worktrees.close()


def test_names_that_differ_only_in_case_are_refused_where_they_would_collide(
    builder: RepositoryBuilder, tmp_path: Path
) -> None:
    builder.git("config", "core.ignoreCase", "true")
    attempt = Attempt(builder, tmp_path / "state")
    attempt.inside.write({"c.txt": "1\n"})
    assert isinstance(attempt.snapshot(), Snapshot)
    builder.git("config", "core.ignoreCase", "false")
    tree_only = Attempt(builder, tmp_path / "state2")
    tree_only.inside.write({"A.txt": "1\n"})
    assert isinstance(tree_only.snapshot(), Snapshot)  # fine here
    tree_only.repository.ignores_case = lambda: True  # type: ignore[method-assign]
    assert tree_only.refused().paths == ("A.txt", "a.txt")
    attempt.worktrees.close()
    tree_only.worktrees.close()


# --- a slot that is gone ------------------------------------------------------------------------------------


def test_a_deleted_slot_is_refused(attempt: Attempt, tmp_path: Path) -> None:
    attempt.slot.path.rename(tmp_path / "moved")
    assert "is gone" in attempt.refused().reason
    attempt.worktrees.release(attempt.slot)
    assert "not known" in attempt.refused().reason


def test_a_slot_replaced_by_a_symlink_is_not_followed(attempt: Attempt, tmp_path: Path) -> None:
    attempt.slot.path.rename(tmp_path / "moved")
    private = tmp_path / "private"
    private.mkdir()
    (private / "secret").write_text("s\n")
    attempt.slot.path.symlink_to(private)
    assert "is gone" in attempt.refused().reason
    attempt.worktrees.release(attempt.slot)
    assert (private / "secret").read_text() == "s\n"
    assert not os.path.lexists(attempt.slot.path)
