"""Landing: the target and its markers move once, and a kill in the middle is put right."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.errors import InternalError
from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.git import (
    AlreadyLanded,
    Landed,
    LandingEvidence,
    LandingRefused,
    LandingRequest,
    RefChange,
    Repository,
    TargetMoved,
    open_repository,
)
from cli_multi_rapid.git_landing import land
from tests.fakes.landings import (
    MAIN,
    MARKERS,
    NOW,
    START,
    a_train,
    assert_landed,
    assert_nothing_moved,
    away_from_main,
    fingerprint,
    make_child,
    run_by_hand,
)
from tests.fakes.repositories import RepositoryBuilder, make_repository


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", START)


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


@pytest.fixture
def request_(repository: Repository, builder: RepositoryBuilder) -> LandingRequest:
    """A train of one member that changes a.txt and adds new.txt, on top of main."""
    return a_train(repository, builder, {"a.txt": "lane\n", "new.txt": "new\n"})


# --- the target is not checked out --------------------------------------------------------------------------


def test_a_target_that_nobody_shows_moves_with_its_markers(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    before = fingerprint(builder)
    assert repository.landing_evidence(request_) is LandingEvidence.NOT_LANDED
    assert repository.land(request_) == Landed(commit=request_.new)
    assert_landed(builder, request_)
    assert fingerprint(builder) == before
    assert repository.landing_evidence(request_) is LandingEvidence.LANDED


def test_landing_again_changes_nothing(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    repository.land(request_)
    assert repository.land(request_) == Landed(commit=request_.new)
    assert_landed(builder, request_)


def test_a_target_that_somebody_moved_is_reported_and_nothing_is_left(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    moved = builder.commit({"b.txt": "theirs\n"})
    away_from_main(builder)
    assert repository.land(request_) == TargetMoved(actual=moved)
    assert builder.commit_of("main") == moved
    assert builder.git("for-each-ref", "refs/cli-orchestrator") == ""


def test_a_deleted_target_is_reported(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    builder.git("branch", "-D", "main")
    assert repository.land(request_) == TargetMoved(actual=None)


def test_the_same_entries_never_land_twice(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    repository.land(request_)
    tip = request_.new
    again = repository.commit(repository.tree_of(tip), (tip,), "the same work again", when=NOW)
    second = replace(request_, expected=tip, new=again)
    assert repository.land(second) == AlreadyLanded(markers=MARKERS)
    assert builder.commit_of("main") == tip


def test_one_landed_member_stops_the_whole_train(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    repository.land(replace(request_, markers=MARKERS[:1]))
    again = repository.commit(repository.tree_of(request_.new), (request_.new,), "more", when=NOW)
    second = replace(request_, expected=request_.new, new=again)
    assert repository.land(second) == AlreadyLanded(markers=MARKERS[:1])
    assert builder.try_git("rev-parse", "-q", "--verify", MARKERS[1]).returncode != 0


def test_of_many_landings_of_one_entry_one_lands(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest, tmp_path: Path
) -> None:
    away_from_main(builder)
    tree = repository.tree_of(request_.new)
    rivals = [
        replace(request_, new=repository.commit(tree, (request_.expected,), f"rival {n}", when=NOW))
        for n in range(6)
    ]
    processes = [open_repository(builder.path, tmp_path / f"state{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda pair: pair[0].land(pair[1]), zip(processes, rivals, strict=True)))
    landed = [outcome for outcome in outcomes if isinstance(outcome, Landed)]
    assert len(landed) == 1
    assert builder.commit_of("main") == landed[0].commit
    assert {type(outcome) for outcome in outcomes} <= {Landed, AlreadyLanded, TargetMoved}


def test_a_commit_that_does_not_contain_the_tip_is_a_bug_of_ours(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    orphan = repository.commit(builder.tree_of("main"), (), "orphan", when=NOW)
    with pytest.raises(InternalError, match="does not contain"):
        repository.land(replace(request_, new=orphan))


def test_a_lock_left_behind_refuses_with_the_command_to_type(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    lock = builder.path / ".git/refs/heads/main.lock"
    lock.touch()
    site = repository._site  # without the usual patience
    outcome = land(replace(site, git=site.git.with_settings("core.filesRefLockTimeout=10")), request_)
    assert isinstance(outcome, LandingRefused)
    assert "main.lock" in outcome.reason
    assert_nothing_moved(builder, request_)
    lock.unlink()
    run_by_hand(builder, outcome.command)
    assert builder.commit_of("main") == request_.new
    assert repository.land(request_) == Landed(commit=request_.new)


def test_a_target_that_is_only_another_name_is_refused(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    builder.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    outcome = repository.land(replace(request_, target=Branch("alias")))
    assert isinstance(outcome, LandingRefused)
    assert "symbolic" in outcome.reason
    assert_nothing_moved(builder, request_)


# --- after a kill -------------------------------------------------------------------------------------------


def test_markers_without_the_target_are_a_half_landing_that_is_finished(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    repository.update_refs([RefChange(ref=MARKERS[0], old=None, new=request_.new)])
    assert repository.landing_evidence(request_) is LandingEvidence.HALF
    assert repository.land(request_) == Landed(commit=request_.new, checkout=builder.path)
    assert_landed(builder, request_)


def test_a_half_landing_is_withdrawn_when_the_target_went_elsewhere(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    repository.update_refs([RefChange(ref=MARKERS[0], old=None, new=request_.new)])
    moved = builder.commit({"b.txt": "theirs\n"})
    assert repository.land(request_) == TargetMoved(actual=moved)
    assert builder.git("for-each-ref", "refs/cli-orchestrator") == ""
    assert repository.landing_evidence(request_) is LandingEvidence.NOT_LANDED


def test_a_foreign_commit_on_top_of_the_landed_one_is_still_landed(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    repository.land(request_)
    builder.commit({"b.txt": "theirs\n"})
    assert repository.landing_evidence(request_) is LandingEvidence.LANDED
    assert repository.land(request_) == Landed(commit=request_.new)


def test_a_marker_of_a_landing_that_the_target_lost_is_explained(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    repository.land(request_)
    builder.git("update-ref", "refs/heads/main", request_.expected)
    other = replace(request_, new=make_child(repository, request_.expected))
    outcome = repository.land(other)
    assert isinstance(outcome, LandingRefused)
    assert "which main lacks" in outcome.reason
    assert outcome.command.startswith("git update-ref -d refs/cli-orchestrator/landed/run/n1")


def test_a_checkout_half_written_by_a_killed_git_is_finished(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    """Files of the new commit, index and HEAD of the old one: what a power cut in the middle leaves."""
    repository.update_refs([RefChange(ref=marker, old=None, new=request_.new) for marker in MARKERS])
    builder.write({"a.txt": "lane\n", "new.txt": "new\n", "keep.txt": "mine\n"})
    assert repository.land(request_) == Landed(commit=request_.new, checkout=builder.path)
    assert builder.status() == " M keep.txt"
    assert_landed(builder, request_)


def test_a_half_written_symlink_is_recognised_too(repository: Repository, builder: RepositoryBuilder) -> None:
    builder.git("checkout", "-q", "-b", "with-link")
    (builder.path / "link").symlink_to("a.txt")
    builder.commit({"gone/x": "1\n"})
    new = builder.head
    builder.git("checkout", "-q", "main")
    request = LandingRequest(
        target=MAIN, expected=builder.head, new=new, markers=MARKERS, update_checkout=True
    )
    repository.update_refs([RefChange(ref=MARKERS[0], old=None, new=new)])
    (builder.path / "link").symlink_to("a.txt")
    assert repository.land(request) == Landed(commit=new, checkout=builder.path)
    assert builder.status() == ""


@pytest.mark.parametrize("mine", ["folder", "link", "file"])
def test_another_kind_of_thing_in_the_way_is_not_mistaken_for_ours(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest, mine: str
) -> None:
    repository.update_refs([RefChange(ref=MARKERS[0], old=None, new=request_.new)])
    path = builder.path / "new.txt"
    if mine == "folder":
        path.mkdir()
        (path / "x").write_text("mine\n")
    elif mine == "link":
        path.symlink_to("keep.txt")
    else:
        path.write_text("new\nand mine\n")
    before = fingerprint(builder)
    assert isinstance(repository.land(request_), LandingRefused)
    assert fingerprint(builder) == before
    assert_nothing_moved(builder, request_)


def test_a_half_written_checkout_with_edits_in_the_way_is_left_to_the_person(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    repository.update_refs([RefChange(ref=marker, old=None, new=request_.new) for marker in MARKERS])
    builder.write({"a.txt": "lane\n", "new.txt": "mine\n"})
    before = fingerprint(builder)
    outcome = repository.land(request_)
    assert isinstance(outcome, LandingRefused)
    assert fingerprint(builder) == before
    assert_nothing_moved(builder, request_)


def test_a_landing_waits_for_another_one_in_the_same_repository(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    away_from_main(builder)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(repository.land, [request_] * 4))
    assert outcomes == [Landed(commit=request_.new)] * 4
    assert os.path.lexists(repository.scratch / "landing.lock")
