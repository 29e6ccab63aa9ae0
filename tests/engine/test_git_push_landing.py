"""A landing on a remote and here, told apart by the remote's refs whatever has happened before."""

from pathlib import Path

import pytest

from cli_multi_rapid.git import (
    Landed,
    LandedThereOnly,
    LandingRequest,
    RemoteRefused,
    Repository,
    TargetMoved,
    land_and_push,
    open_repository,
)
from tests.fakes.landings import MAIN, START, a_train, assert_landed, assert_nothing_moved
from tests.fakes.remotes import assert_same_landings, markers_of, push_foreign, set_hook
from tests.fakes.repositories import RepositoryBuilder, make_bare_remote, make_repository


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "a folder", START)


@pytest.fixture
def remote(builder: RepositoryBuilder, tmp_path: Path) -> RepositoryBuilder:
    return make_bare_remote(tmp_path / "remote.git", builder)


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


@pytest.fixture
def request_(repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder) -> LandingRequest:
    """A train that is ready to land."""
    return a_train(repository, builder, {"a.txt": "lane\n"})


def push_by_hand(builder: RepositoryBuilder, request: LandingRequest) -> None:
    """The remote half of a landing, as a killed process leaves it."""
    specs = [f"{request.new}:{marker}" for marker in request.markers]
    builder.git("push", "-q", "--atomic", "origin", f"{request.new}:refs/heads/main", *specs)


def test_a_landing_is_on_both_sides_and_the_same_request_again_changes_nothing(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    for look_first in (False, True, False):
        outcome = land_and_push(repository.remote("origin"), request_, look_first=look_first)
        assert isinstance(outcome, Landed)
        assert outcome.commit == request_.new
        assert_landed(builder, request_)
        assert_same_landings(builder, remote)


def test_a_landing_that_the_remote_has_is_finished_here_without_asking_it_to_take_anything(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    push_by_hand(builder, request_)
    builder.git("config", "remote.origin.pushurl", str(builder.path.parent / "closed.git"))
    outcome = land_and_push(open_again(builder).remote("origin"), request_, look_first=True)
    assert isinstance(outcome, Landed)
    assert_landed(builder, request_)
    assert_same_landings(builder, remote)


def open_again(builder: RepositoryBuilder) -> Repository:
    """As the next process does: with the configuration as it is now."""
    return open_repository(builder.path, builder.path.parent / "state")


def test_a_landing_that_never_reached_the_remote_is_pushed_by_the_next_process(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    outcome = land_and_push(repository.remote("origin"), request_, look_first=True)
    assert isinstance(outcome, Landed)
    assert_same_landings(builder, remote)


def test_a_landing_on_the_remote_is_not_denied_because_the_branch_here_went_elsewhere(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    push_by_hand(builder, request_)
    mine = builder.commit({"mine.txt": "mine\n"})
    outcome = land_and_push(repository.remote("origin"), request_, look_first=True)
    assert isinstance(outcome, LandedThereOnly)
    assert "diverged" in outcome.reason
    assert builder.commit_of("main") == mine


def test_a_branch_here_that_moved_keeps_a_landing_from_the_remote(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    mine = builder.commit({"mine.txt": "mine\n"})
    assert land_and_push(repository.remote("origin"), request_, look_first=False) == TargetMoved(actual=mine)
    assert remote.commit_of("main") == request_.expected
    assert markers_of(remote) == {}


def test_a_remote_that_moved_brings_the_branch_here_along_and_the_landing_is_to_be_planned_again(
    repository: Repository,
    builder: RepositoryBuilder,
    remote: RepositoryBuilder,
    request_: LandingRequest,
    tmp_path: Path,
) -> None:
    foreign = push_foreign(remote, tmp_path / "other", {"foreign.txt": "theirs\n"})
    outcome = land_and_push(repository.remote("origin"), request_, look_first=False)
    assert outcome == TargetMoved(actual=foreign)
    assert builder.commit_of("main") == remote.commit_of("main") == foreign
    assert markers_of(builder) == markers_of(remote) == {}


def test_a_stale_lock_of_the_remote_is_no_movement_of_its_branch(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    (remote.path / "refs" / "heads" / "main.lock").touch()
    outcome = land_and_push(repository.remote("origin"), request_, look_first=False)
    assert isinstance(outcome, RemoteRefused)
    assert not outcome.unreachable
    assert "main.lock" in outcome.reason
    assert_nothing_moved(builder, request_)


def test_a_remote_whose_every_word_is_too_long_is_cut_short(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    set_hook(remote, "pre-receive", "head -c 20000 /dev/zero | tr '\\0' x >&2; exit 1")
    outcome = land_and_push(repository.remote("origin"), request_, look_first=False)
    assert isinstance(outcome, RemoteRefused)
    assert len(outcome.reason) < 600
    assert_nothing_moved(builder, request_)


def test_a_remote_that_cannot_take_several_refs_at_once_gets_none(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, request_: LandingRequest
) -> None:
    remote.git("config", "receive.advertiseAtomic", "false")
    outcome = land_and_push(repository.remote("origin"), request_, look_first=False)
    assert isinstance(outcome, RemoteRefused)
    assert "atomic" in outcome.reason
    assert remote.commit_of(MAIN) == request_.expected
    assert_nothing_moved(builder, request_)
