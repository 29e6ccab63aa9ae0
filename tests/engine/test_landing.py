"""The last look before a ref moves: only exactly what was verified may land."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.ids import Branch, Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import MergeEntry, MergeLanding
from cli_multi_rapid.engine.landing import assert_as_verified
from cli_multi_rapid.git import Repository, open_repository
from tests.fakes.repositories import RepositoryBuilder, make_repository

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    """A repository with a lane of one commit."""
    builder = make_repository(tmp_path / "repo")
    builder.commit_on("lane/r/n", {"new.txt": "new\n"})
    return builder


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    """The same repository, as the engine opens it."""
    return open_repository(builder.path, tmp_path / "scratch")


def landing_of(
    builder: RepositoryBuilder, commit: Commit, tree: Tree
) -> tuple[MergeLanding, list[MergeEntry]]:
    """The landing of the lane by a commit that is said to have a tree."""
    entry = MergeEntry(
        id=EntryId("r/n"),
        branch=Branch("lane/r/n"),
        head=builder.commit_of("lane/r/n"),
        base=builder.commit_of("main"),
        target=Branch("main"),
    )
    landing = MergeLanding(
        entries=(entry.id,),
        expected=builder.commit_of("main"),
        commit=commit,
        tree=tree,
        markers=("refs/x/n",),
    )
    return landing, [entry]


def test_the_verified_commit_may_land(builder: RepositoryBuilder, repository: Repository) -> None:
    main, lane = builder.commit_of("main"), builder.commit_of("lane/r/n")
    tree = builder.tree_of("lane/r/n")
    commit = repository.commit(tree, (main, lane), "train", when=NOW)
    assert_as_verified(repository, *landing_of(builder, commit, tree))
    assert repository.commit_facts(commit).parents == (main, lane)


def test_another_tree_than_the_verified_one_never_lands(
    builder: RepositoryBuilder, repository: Repository
) -> None:
    main, lane = builder.commit_of("main"), builder.commit_of("lane/r/n")
    commit = repository.commit(builder.tree_of("main"), (main, lane), "forged", when=NOW)
    with pytest.raises(InternalError, match="was verified"):
        assert_as_verified(repository, *landing_of(builder, commit, builder.tree_of("lane/r/n")))


def test_a_commit_that_leaves_out_a_head_or_the_tip_never_lands(
    builder: RepositoryBuilder, repository: Repository
) -> None:
    main, lane = builder.commit_of("main"), builder.commit_of("lane/r/n")
    tree = builder.tree_of("lane/r/n")
    for parents in ((main,), (lane,), (lane, main)):
        commit = repository.commit(tree, parents, "forged", when=NOW)
        with pytest.raises(InternalError, match="does not join"):
            assert_as_verified(repository, *landing_of(builder, commit, tree))
