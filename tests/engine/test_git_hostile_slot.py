"""What an agent may plant in its slot never runs when we look at the slot, fill it again or throw it away."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_multi_rapid.worktrees import NothingChanged, SnapshotRefused
from tests.engine.test_git_snapshot import Attempt
from tests.fakes.repositories import RepositoryBuilder, make_empty_repository, make_repository


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", {"a.txt": "a\n", "src/b.txt": "b\n"})


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """A program that must never run: it leaves a file behind."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    program.chmod(0o755)
    yield program
    assert not (tmp_path / "sprung").exists(), "something that the agent planted was executed"


@pytest.fixture
def attempt(builder: RepositoryBuilder, tmp_path: Path) -> Iterator[Attempt]:
    attempt = Attempt(builder, tmp_path / "state")
    yield attempt
    attempt.worktrees.close()


def arm(repository: RepositoryBuilder, trap: Path) -> None:
    """Plant everything that git would execute in a repository."""
    git_dir = Path(repository.git("rev-parse", "--absolute-git-dir"))
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "hooks").mkdir(exist_ok=True)
    for hook in ("pre-commit", "post-checkout", "post-index-change", "reference-transaction", "post-merge"):
        shutil.copy(trap, git_dir / "hooks" / hook)
    settings = {
        "filter.evil.clean": str(trap),
        "filter.evil.smudge": str(trap),
        "filter.evil.process": str(trap),
        "diff.evil.textconv": str(trap),
        "diff.evil.command": str(trap),
        "merge.evil.driver": str(trap),
        "diff.external": str(trap),
        "core.fsmonitor": str(trap),
        "core.hooksPath": str(git_dir / "hooks"),
        "core.pager": str(trap),
        "core.editor": str(trap),
        "core.sshCommand": str(trap),
        "core.alternateRefsCommand": str(trap),
        "uploadpack.packObjectsHook": str(trap),
        "extensions.worktreeConfig": "true",
    }
    with (git_dir / "config").open("a") as config:
        for name, value in settings.items():
            section, _, key = name.rpartition(".")
            room, _, part = section.partition(".")
            config.write(f'[{room} "{part}"]\n' if part else f"[{room}]\n")
            config.write(f'\t{key} = "{value}"\n')
    (git_dir / "info/attributes").write_text("* filter=evil diff=evil merge=evil\n")


def live_through(attempt: Attempt) -> None:
    """All that we do with a slot after the agent: look, commit, pool, fill for the next one, clean."""
    attempt.snapshot()
    attempt.snapshot()
    attempt.worktrees.unsaved(attempt.slot.name)
    attempt.worktrees.list()
    attempt.worktrees.release(attempt.slot)
    again = attempt.worktrees.open("n2", attempt.builder.head)
    assert attempt.worktrees.snapshot(
        again, "x", when=__import__("datetime").datetime.now().astimezone()
    ) == (NothingChanged())
    attempt.worktrees.release(again)
    attempt.worktrees.clean(force=True)
    attempt.worktrees.empty_trash()


def test_hooks_filters_drivers_and_monitors_of_the_slot_never_run(attempt: Attempt, trap: Path) -> None:
    arm(attempt.inside, trap)
    attempt.inside.write({".gitattributes": "* filter=evil diff=evil merge=evil\n", "a.txt": "changed\n"})
    assert {change.path for change in attempt.taken().changes} == {".gitattributes", "a.txt"}
    live_through(attempt)


def test_a_git_file_that_points_elsewhere_is_not_followed(
    attempt: Attempt, trap: Path, tmp_path: Path, builder: RepositoryBuilder
) -> None:
    evil = make_repository(tmp_path / "evil")
    arm(evil, trap)
    shutil.rmtree(attempt.slot.path / ".git")
    (attempt.slot.path / ".git").write_text(f"gitdir: {evil.path}/.git\n")
    attempt.inside.write({"a.txt": "changed\n"})
    snapshot = attempt.taken()
    assert [change.path for change in snapshot.changes] == ["a.txt"]
    assert builder.tree_of(snapshot.commit) == snapshot.tree
    live_through(attempt)


def test_a_git_symlink_is_not_followed(attempt: Attempt, trap: Path, tmp_path: Path) -> None:
    evil = make_repository(tmp_path / "evil")
    arm(evil, trap)
    shutil.rmtree(attempt.slot.path / ".git")
    (attempt.slot.path / ".git").symlink_to(evil.path / ".git")
    attempt.inside.write({"a.txt": "changed\n"})
    assert [change.path for change in attempt.taken().changes] == ["a.txt"]
    live_through(attempt)
    assert (evil.path / ".git/HEAD").exists()


def test_an_embedded_repository_is_refused_by_name(attempt: Attempt, trap: Path) -> None:
    embedded = make_repository(attempt.slot.path / "vendor/lib", {"f": "1\n"})
    arm(embedded, trap)
    refused = attempt.refused()
    assert "git repository inside" in refused.reason
    assert refused.paths == ("vendor/lib",)
    assert attempt.refused() == refused
    live_through(attempt)


def test_an_embedded_repository_without_commits_is_refused_by_name(attempt: Attempt) -> None:
    make_empty_repository(attempt.slot.path / "vendor")
    refused = attempt.refused()
    assert refused.paths == ("vendor",)
    assert "does not have a commit" in refused.reason


def test_a_repository_planted_around_tracked_files_does_not_hide_them(attempt: Attempt, trap: Path) -> None:
    arm(make_repository(attempt.slot.path / "src", {"b.txt": "changed\n"}), trap)
    outcome = attempt.snapshot()
    if not isinstance(outcome, SnapshotRefused):
        assert [change.path for change in attempt.taken().changes] == ["src/b.txt"]
    live_through(attempt)


# --- submodules of the base ---------------------------------------------------------------------------------


@pytest.fixture
def with_submodule(builder: RepositoryBuilder, tmp_path: Path) -> Iterator[Attempt]:
    other = make_repository(tmp_path / "other", {"f": "1\n"})
    builder.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "sub")
    builder.commit()
    attempt = Attempt(builder, tmp_path / "state")
    yield attempt
    attempt.worktrees.close()


def test_a_submodule_stays_empty_and_is_no_change(with_submodule: Attempt) -> None:
    assert list((with_submodule.slot.path / "sub").iterdir()) == []
    assert with_submodule.inside.status() == ""
    assert with_submodule.snapshot() == NothingChanged()
    with_submodule.inside.write({"a.txt": "x\n"})
    assert [change.path for change in with_submodule.taken().changes] == ["a.txt"]


def test_what_is_planted_in_a_submodule_never_runs(
    with_submodule: Attempt, trap: Path, tmp_path: Path
) -> None:
    planted = with_submodule.slot.path / "sub"
    with_submodule.inside.git("clone", "-q", str(tmp_path / "other"), str(planted))
    arm(RepositoryBuilder(path=planted), trap)
    os.utime(planted / "f", (1, 1))
    assert with_submodule.snapshot() == NothingChanged()
    live_through(with_submodule)


def test_a_moved_submodule_is_refused_by_name(with_submodule: Attempt, tmp_path: Path) -> None:
    planted = with_submodule.slot.path / "sub"
    with_submodule.inside.git("clone", "-q", str(tmp_path / "other"), str(planted))
    submodule = RepositoryBuilder(path=planted)
    submodule.git("checkout", "-q", "--detach")
    assert with_submodule.snapshot() == NothingChanged()
    submodule.git("-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "moved")
    refused = with_submodule.refused()
    assert (refused.reason, refused.paths) == ("a submodule was changed", ("sub",))


def test_files_in_the_place_of_a_submodule_are_not_lost_in_silence(with_submodule: Attempt) -> None:
    with_submodule.inside.write({"sub/file": "x\n"})
    assert with_submodule.refused().paths == ("sub",)


def test_a_removed_submodule_is_a_change(with_submodule: Attempt) -> None:
    (with_submodule.slot.path / "sub").rmdir()
    with_submodule.inside.write({".gitmodules": None})
    assert {change.path for change in with_submodule.taken().changes} == {".gitmodules", "sub"}
