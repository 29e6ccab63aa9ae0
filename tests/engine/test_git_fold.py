"""Folding branches that have nothing to do with each other: the same tree as merging them one by one."""

from pathlib import Path
from random import Random

import pytest

from cli_multi_rapid.core.ids import Commit, Tree
from cli_multi_rapid.git import Conflicted, Merged, Repository, open_repository
from tests.engine.test_git_merge import NOW
from tests.fakes.repositories import Content, RepositoryBuilder, make_repository

START: dict[str, Content] = {
    "a": "a\n",
    "b": "b\n",
    "lib/x": "x\n",
    "lib/y": "y\n",
    "lib-z": "z\n",
    "lib/deep/w": "w\n",
}


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repository", START)


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


def merged_one_by_one(repository: Repository, tip: Commit, heads: list[Commit]) -> Tree:
    current, tree = tip, repository.tree_of(tip)
    for head in heads:
        outcome = repository.merge(current, head)
        assert isinstance(outcome, Merged)
        tree = outcome.tree
        current = repository.commit(tree, (current, head), "step", when=NOW)
    return tree


def folded(repository: Repository, tip: Commit, heads: list[Commit]) -> int:
    """How many heads fold; the tree is that of merging them."""
    found = repository.fold_onto(tip).fold(heads)
    assert found.tree == merged_one_by_one(repository, tip, heads[: found.count])
    return found.count


@pytest.mark.parametrize("setting", ["", "core.fsync=all"])
def test_branches_that_touch_different_files_fold_at_once(
    builder: RepositoryBuilder, tmp_path: Path, setting: str
) -> None:
    if setting:
        builder.git("config", *setting.split("="))
    heads = [
        builder.commit_on("one", {"a": "new\n", "lib/deep/v": "v\n", "ü/ö\udcff": "odd\n"}),
        builder.commit_on("two", {"lib/x": "new\n", "lib.c": "sorts before the folder\n"}),
        builder.commit_on("three", {"fresh/and/deep": "1\n", "lib0": "sorts behind it\n"}),
        builder.commit_on("empty", {}),
    ]
    tip = builder.commit({"elsewhere": "landed meanwhile\n"})
    repository = open_repository(builder.path, tmp_path / "state")
    assert folded(repository, tip, heads) == 4
    assert builder.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a": "other\n"}, "the same file"),
        ({"a": "1\n"}, "the same content"),
        ({"dir": "x\n"}, "a file where the first has a folder"),
        ({"b": None}, "it deletes something"),
        ({"file/below": "x\n"}, "a folder where the first has a file"),
    ],
)
def test_a_branch_that_may_meet_another_is_left_to_a_merge(
    repository: Repository, builder: RepositoryBuilder, files: dict[str, Content], why: str
) -> None:
    first = builder.commit_on("first", {"a": "1\n", "dir/file": "1\n", "file": "1\n"})
    second = builder.commit_on("second", files)
    assert folded(repository, builder.head, [first, second]) == 1, why


def test_what_the_target_changed_meanwhile_is_left_to_a_merge(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    old = builder.commit_on("old", {"a": "1\n"})
    tip = builder.commit({"a": "a\n0\n"})
    fine = builder.commit_on("fine", {"a": "2\n"}, start="main")
    fold = repository.fold_onto(tip)
    assert fold.fold([old]).count == 0
    assert fold.fold([fine]).count == 1


def test_a_folder_that_the_target_renamed_is_left_to_a_merge(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    head = builder.commit_on("lane", {"lib/new": "n\n"})
    builder.git("mv", "lib", "moved")
    tip = builder.commit()
    assert folded(repository, tip, [head]) == 0
    assert isinstance(repository.merge(tip, head), Conflicted)  # should it be in the folder's new place?


def test_branches_with_commits_in_common_are_left_to_a_merge(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    """The second removes what the first brought: beside their common base this is no change at all."""
    below = builder.commit_on("below", {"mine": "1\n"})
    above = builder.commit_on("above", {"mine": None, "other": "1\n"}, start=below)
    tip = builder.head
    assert folded(repository, tip, [below, above]) == 1
    assert folded(repository, tip, [above]) == 1


def test_a_branch_that_merged_is_left_to_a_merge(repository: Repository, builder: RepositoryBuilder) -> None:
    builder.commit_on("lane", {"a": "1\n"})
    builder.commit({"b": "1\n"})
    builder.git("checkout", "-q", "lane")
    builder.git("merge", "-q", "-m", "m", "main")
    head = builder.head
    builder.git("checkout", "-q", "main")
    assert folded(repository, builder.head, [head]) == 0


def test_a_head_that_is_not_there_is_left_to_a_merge(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    head = builder.commit_on("lane", {"a": "1\n"})
    fold = repository.fold_onto(builder.head)
    fold.learn([Commit("1" * 40)])
    assert fold.fold([head, Commit("1" * 40)]).count == 1


@pytest.mark.parametrize("seed", range(2))
def test_whatever_branches_do_a_fold_is_what_merging_gives(
    repository: Repository, builder: RepositoryBuilder, seed: int
) -> None:
    dice = Random(seed)
    names = [*START, "c", "lib/n", "lib/deep/m", "new/p", "new"]
    heads = [builder.head]
    for number in range(10):
        start = builder.head if dice.random() < 0.8 else dice.choice(heads)
        known = builder.files(start)
        files: dict[str, Content] = {
            name: None if name in known and dice.random() < 0.15 else f"{number} {name}\n"
            for name in dice.sample(names, dice.choice([1, 1, 2]))
        }
        if len({"new", "new/p"}.intersection([*known, *files])) == 2:
            continue  # a file below a file cannot be written
        heads.append(builder.commit_on(f"lane{number}", files, start=start))
        if dice.random() < 0.2:
            builder.commit({dice.choice(["a", "c"]): f"main {number}\n"})
    fold, tip = repository.fold_onto(builder.head), builder.head
    for _ in range(12):
        line = dice.sample(heads, 5)
        found = fold.fold(line)
        assert found.tree == merged_one_by_one(repository, tip, line[: found.count])
