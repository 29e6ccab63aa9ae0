"""Landing in a checkout: it steps forward with every edit of the person in place, or nothing moves."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.git import (
    Busy,
    CheckedOut,
    FastForwarded,
    FastForwardRefused,
    Landed,
    LandingEvidence,
    LandingRefused,
    LandingRequest,
    NotCheckedOut,
    Repository,
    TargetMoved,
    open_repository,
)
from tests.fakes.landings import (
    MAIN,
    MARKERS,
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


# --- the target is checked out ------------------------------------------------------------------------------


def test_a_checkout_steps_forward_and_every_edit_stays(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    builder.write({"b.txt": "staged\n", "keep.txt": "unstaged\n"})
    builder.git("add", "b.txt")
    builder.write({"b.txt": "staged and edited\n", "untracked": b"\0\xff", "x.log": "ignored\n"})
    before = fingerprint(builder)
    assert repository.land(request_) == Landed(commit=request_.new, checkout=builder.path)
    assert_landed(builder, request_)
    after = fingerprint(builder)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"a.txt", "new.txt", "index"}
    assert after["status"] == before["status"]
    assert builder.git("show", ":b.txt") == "staged"
    assert builder.git("symbolic-ref", "HEAD") == "refs/heads/main"


@pytest.mark.parametrize("name", ["unstaged", "staged", "untracked", "ignored"])
def test_an_edit_in_the_way_refuses_and_stays_byte_for_byte(
    repository: Repository, builder: RepositoryBuilder, name: str
) -> None:
    file = {"unstaged": "a.txt", "staged": "a.txt", "untracked": "new.txt", "ignored": "new.log"}[name]
    lane = {"a.txt": "lane\n", "new.txt": "new\n"}
    if name == "ignored":
        builder.git("checkout", "-q", "-b", "force")
        (builder.path / "new.log").write_text("lane\n")
        builder.git("add", "-f", "new.log")
        builder.git("commit", "-q", "-m", "log")
        builder.git("checkout", "-q", "main")
        new = builder.commit_of("force")
        request = LandingRequest(
            target=MAIN, expected=builder.head, new=new, markers=MARKERS, update_checkout=True
        )
    else:
        request = a_train(repository, builder, dict(lane))
    builder.write({file: "mine\n"})
    if name == "staged":
        builder.git("add", file)
    before = fingerprint(builder)
    outcome = repository.land(request)
    assert isinstance(outcome, LandingRefused)
    assert outcome.files == (file,)
    assert outcome.command == f"git -C {builder.path} merge --ff-only {request.new}"
    assert fingerprint(builder) == before
    assert_nothing_moved(builder, request)


def test_the_command_of_a_refusal_finishes_the_landing_by_hand(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    builder.write({"a.txt": "mine\n"})
    refused = repository.land(request_)
    assert isinstance(refused, LandingRefused)
    builder.git("checkout", "-q", "a.txt")
    run_by_hand(builder, refused.command)
    assert repository.landing_evidence(request_) is LandingEvidence.HALF
    assert repository.land(request_) == Landed(commit=request_.new)
    assert_landed(builder, request_)


def test_without_permission_the_checkout_stays_as_it_is(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    before = fingerprint(builder)
    outcome = repository.land(replace(request_, update_checkout=False))
    assert isinstance(outcome, LandingRefused)
    assert "merge --ff-only" in outcome.command
    assert fingerprint(builder) == before
    assert_nothing_moved(builder, request_)


def test_a_checkout_whose_target_moved_is_reported(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    moved = builder.commit({"b.txt": "theirs\n"})
    assert repository.land(request_) == TargetMoved(actual=moved)
    assert builder.git("for-each-ref", "refs/cli-orchestrator") == ""


def test_no_hook_stash_or_signature_rule_of_the_person_gets_in_the_way(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest, tmp_path: Path
) -> None:
    for hook in ("post-merge", "post-checkout", "reference-transaction", "pre-merge-commit"):
        path = builder.path / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        path.chmod(0o755)
    for setting in (
        "merge.autoStash=true",
        "merge.verifySignatures=true",
        "merge.ff=false",
        "pull.rebase=true",
    ):
        name, _, value = setting.partition("=")
        builder.git("config", name, value)
    builder.write({"keep.txt": "unstaged\n"})
    assert isinstance(repository.land(request_), Landed)
    assert (builder.path / "keep.txt").read_text() == "unstaged\n"
    assert not (tmp_path / "ran").exists()


def test_an_index_lock_that_stays_is_named(
    repository: Repository,
    builder: RepositoryBuilder,
    request_: LandingRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cli_multi_rapid.git_checkout._WAITS_FOR_INDEX_LOCK_S", (0.01,))
    (builder.path / ".git/index.lock").touch()
    outcome = repository.land(request_)
    assert isinstance(outcome, LandingRefused)
    assert "index.lock" in outcome.reason
    assert_nothing_moved(builder, request_)


def test_a_linked_worktree_of_the_person_steps_forward_where_it_is(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest, tmp_path: Path
) -> None:
    away_from_main(builder)
    linked = tmp_path / "linked tree"
    builder.git("worktree", "add", "-q", str(linked), "main")
    (linked / "keep.txt").write_text("edited\n")
    assert repository.land(request_) == Landed(commit=request_.new, checkout=linked)
    assert (linked / "new.txt").read_text() == "new\n"
    assert builder.git("status", "--porcelain", at=linked) == " M keep.txt"
    assert builder.head == request_.expected


def test_a_repository_opened_in_a_linked_worktree_knows_the_main_one(
    builder: RepositoryBuilder, tmp_path: Path, request_: LandingRequest
) -> None:
    linked = tmp_path / "linked"
    builder.git("worktree", "add", "-q", "-b", "side", str(linked), "main")
    opened = open_repository(linked, tmp_path / "state2")
    assert opened.root == linked
    assert opened.default_branch() == "side"
    where = opened.checkout_of(MAIN)
    assert isinstance(where, CheckedOut)
    assert where.path == builder.path
    assert opened.land(request_) == Landed(commit=request_.new, checkout=builder.path)


def test_a_step_forward_says_why_it_was_not_made(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    where = repository.checkout_of(MAIN)
    assert isinstance(where, CheckedOut)
    old, new = request_.expected, request_.new
    wrong_old = repository.fast_forward(where, MAIN, new, old)
    assert wrong_old == FastForwarded()  # it is there already
    unexpected = repository.fast_forward(where, MAIN, builder.commit_of("lane/run/n1"), new)
    assert isinstance(unexpected, FastForwardRefused)
    assert f"main is at {old}" in unexpected.reason
    away_from_main(builder)
    elsewhere = repository.fast_forward(where, MAIN, old, new)
    assert isinstance(elsewhere, FastForwardRefused)
    assert "no longer has main checked out" in elsewhere.reason
    builder.git("checkout", "-q", "main")
    assert repository.fast_forward(where, MAIN, old, new) == FastForwarded()
    assert (builder.head, builder.status()) == (new, "")


def test_a_worktree_whose_folder_is_gone_does_not_count(
    repository: Repository, builder: RepositoryBuilder, tmp_path: Path
) -> None:
    away_from_main(builder)
    builder.git("worktree", "add", "-q", str(tmp_path / "gone"), "main")
    (tmp_path / "gone").rename(tmp_path / "elsewhere")
    assert repository.checkout_of(MAIN) == NotCheckedOut()
    (builder.path / ".git/worktrees/gone/locked").touch()
    assert isinstance(repository.checkout_of(MAIN), Busy)


def test_a_branch_that_is_checked_out_twice_is_left_alone(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest, tmp_path: Path
) -> None:
    builder.git("worktree", "add", "-q", "-f", str(tmp_path / "second"), "main")
    outcome = repository.land(request_)
    assert isinstance(outcome, LandingRefused)
    assert "also checked out" in outcome.reason
    assert_nothing_moved(builder, request_)


# --- the target is in the middle of something ---------------------------------------------------------------


@pytest.mark.parametrize(
    "operation", ["rebase", "rebase --apply", "merge", "bisect", "cherry-pick", "revert"]
)
def test_a_target_in_the_middle_of_something_is_left_alone(
    repository: Repository, builder: RepositoryBuilder, operation: str
) -> None:
    request = a_train(repository, builder, {"keep.txt": "lane\n"})
    builder.commit_on("side", {"a.txt": "side\n"}, start="main")
    builder.commit({"a.txt": "main\n"})
    request = replace(request, expected=builder.head, new=make_child(repository, builder.head))
    commands = {
        "rebase": ["rebase", "side"],
        "rebase --apply": ["rebase", "--apply", "side"],
        "merge": ["merge", "side"],
        "bisect": ["bisect", "start", "HEAD", "HEAD~1"],
        "cherry-pick": ["cherry-pick", "side"],
        "revert": ["revert", "--no-commit", "HEAD"],
    }
    builder.try_git(*commands[operation])
    if operation == "bisect":
        builder.try_git("checkout", "-q", "--detach")
    before = fingerprint(builder)
    where = repository.checkout_of(MAIN)
    assert isinstance(where, Busy)
    assert where.operation == operation.partition(" ")[0]
    outcome = repository.land(request)
    assert isinstance(outcome, LandingRefused)
    assert operation.partition(" ")[0] in outcome.reason
    assert fingerprint(builder) == before
    assert_nothing_moved(builder, request)


def test_a_rebase_of_another_branch_does_not_matter(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    builder.commit_on("work", {"a.txt": "work\n"}, start="main")
    builder.commit_on("side", {"a.txt": "side\n"}, start="main")
    builder.git("checkout", "-q", "work")
    builder.try_git("rebase", "side")
    assert isinstance(repository.checkout_of(Branch("work")), Busy)
    assert repository.land(request_) == Landed(commit=request_.new)


def test_a_rebase_that_will_update_the_target_too_is_respected(
    repository: Repository, builder: RepositoryBuilder, request_: LandingRequest
) -> None:
    builder.commit({"b.txt": "b2\n"}, "on main")
    builder.git("checkout", "-q", "-b", "top")
    builder.commit({"a.txt": "top\n"})
    builder.commit_on("side", {"a.txt": "side\n"}, start="main~1")
    builder.try_git("rebase", "--update-refs", "side")
    assert isinstance(repository.checkout_of(MAIN), Busy)


def test_a_repository_with_a_separate_git_dir_is_landed_in_its_own_work_tree(tmp_path: Path) -> None:
    builder = make_repository(tmp_path / "r", START)
    builder.git("init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere.git"))
    repository = open_repository(builder.path, tmp_path / "state")
    assert repository.root == builder.path
    request = a_train(repository, builder, {"a.txt": "lane\n"})
    assert repository.land(request) == Landed(commit=request.new, checkout=builder.path)
    linked = tmp_path / "linked"
    builder.git("worktree", "add", "-q", "--detach", str(linked))
    assert isinstance(open_repository(linked, tmp_path / "state2").checkout_of(MAIN), Busy)
