"""Refs change together or not at all, and a refusal says why."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git import (
    ANY,
    RefChange,
    RefsRefused,
    RefsUpdated,
    RefUnchanged,
    Refusal,
    Repository,
    open_repository,
)
from cli_multi_rapid.git_command import Git
from cli_multi_rapid.git_names import is_branch, is_inside, is_ref
from cli_multi_rapid.git_refs import update_refs
from tests.fakes.repositories import RepositoryBuilder, make_repository


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    repository = make_repository(tmp_path / "r")
    repository.commit({"a": "1\n"})
    return repository


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


def impatient(repository: Repository) -> Git:
    return repository.plumbing.with_settings("core.filesRefLockTimeout=10")


def test_several_refs_move_in_one_transaction(repository: Repository, builder: RepositoryBuilder) -> None:
    old, new = builder.commit_of("HEAD~1"), builder.head
    builder.branch("side", "HEAD~1")
    builder.branch("away")
    outcome = repository.update_refs(
        [
            RefChange(ref="refs/cli-orchestrator/x", old=None, new=new),
            RefChange(ref="refs/heads/side", old=old, new=new),
            RefChange(ref="refs/heads/away", old=ANY, new=None),
            RefUnchanged(ref="refs/heads/main", at=new),
            RefUnchanged(ref="refs/heads/nope", at=None),
        ]
    )
    assert outcome == RefsUpdated()
    assert repository.refs("refs/") == {
        "refs/cli-orchestrator/x": new,
        "refs/heads/main": new,
        "refs/heads/side": new,
    }
    assert repository.refs("refs/heads/main") == {"refs/heads/main": new}
    assert repository.refs("refs/cli-orchestrator/") == {"refs/cli-orchestrator/x": new}


def test_no_change_is_fine(repository: Repository) -> None:
    assert repository.update_refs([]) == RefsUpdated()


@pytest.mark.parametrize(
    ("ref", "old", "new"),
    [
        ("refs/heads/main", "HEAD~1", "HEAD"),
        ("refs/heads/main", None, "HEAD"),
        ("refs/heads/nope", "HEAD~1", "HEAD"),
        ("refs/heads/nope", "HEAD", None),
    ],
)
def test_one_failed_comparison_moves_nothing(
    repository: Repository, builder: RepositoryBuilder, ref: str, old: str | None, new: str | None
) -> None:
    wrong = RefChange(ref=ref, old=commit_or_none(builder, old), new=commit_or_none(builder, new))
    assert_moves_nothing(repository, builder, wrong)


@pytest.mark.parametrize(
    ("ref", "at"), [("refs/heads/main", "HEAD~1"), ("refs/heads/main", None), ("refs/heads/nope", "HEAD")]
)
def test_one_failed_condition_moves_nothing(
    repository: Repository, builder: RepositoryBuilder, ref: str, at: str | None
) -> None:
    assert_moves_nothing(repository, builder, RefUnchanged(ref=ref, at=commit_or_none(builder, at)))


def commit_or_none(builder: RepositoryBuilder, revision: str | None) -> Commit | None:
    return None if revision is None else builder.commit_of(revision)


def assert_moves_nothing(
    repository: Repository, builder: RepositoryBuilder, wrong: RefChange | RefUnchanged
) -> None:
    fine = RefChange(ref="refs/x/fresh", old=None, new=builder.head)
    outcome = repository.update_refs([fine, wrong])
    assert isinstance(outcome, RefsRefused)
    assert outcome.kind is Refusal.MOVED
    assert wrong.ref in outcome.reason
    assert set(repository.refs("refs/")) == {"refs/heads/main"}


def test_a_lock_left_behind_is_told_from_a_lost_race(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    (builder.path / ".git/refs/heads/main.lock").touch()
    outcome = update_refs(
        impatient(repository), [RefChange(ref="refs/heads/main", old=builder.head, new=builder.head)]
    )
    assert isinstance(outcome, RefsRefused)
    assert outcome.kind is Refusal.LOCKED
    assert "main.lock" in outcome.reason


def test_a_lock_that_goes_away_in_time_is_waited_for(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    lock = builder.path / ".git/refs/heads/side.lock"
    lock.touch()
    change = RefChange(ref="refs/heads/side", old=None, new=builder.head)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(repository.update_refs, [change])
        lock.unlink()
        assert running.result() == RefsUpdated()


def test_a_branch_named_lane_forbids_lanes_below_it(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.branch("lane")
    outcome = repository.update_refs([RefChange(ref="refs/heads/lane/r/n", old=None, new=builder.head)])
    assert isinstance(outcome, RefsRefused)
    assert outcome.kind is Refusal.NAME_TAKEN
    assert "'refs/heads/lane' exists" in outcome.reason


def test_a_commit_that_does_not_exist_is_refused(repository: Repository) -> None:
    outcome = repository.update_refs([RefChange(ref="refs/x/y", old=None, new=Commit("1" * 40))])
    assert isinstance(outcome, RefsRefused)
    assert outcome.kind is Refusal.OTHER


def test_a_lane_whose_commit_was_pruned_is_removed_and_all_others_stay(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    for name in ("lane/r/sound", "lane/r/hollow", "lane/other/hollow"):
        builder.branch(name)
    lost = f"{'e' * 40}\n"
    for name in ("lane/r/hollow", "lane/other/hollow"):
        (builder.path / ".git/refs/heads" / name).write_text(lost)
    with pytest.raises(EnvironmentFault, match="missing object"):
        repository.refs("refs/heads/lane/r")
    assert repository.drop_hollow("refs/heads/lane/r") == ("refs/heads/lane/r/hollow",)
    assert list(repository.refs("refs/heads/lane/r")) == ["refs/heads/lane/r/sound"]
    assert (builder.path / ".git/refs/heads/lane/other/hollow").read_text() == lost
    assert repository.drop_hollow("refs/heads/lane/none") == ()


@pytest.mark.parametrize(
    "ref", ["main", "refs/heads/a b", "refs/heads/x\0delete refs/heads/main", "--stdin", "refs/"]
)
def test_a_name_cannot_smuggle_in_another_instruction(repository: Repository, ref: str) -> None:
    with pytest.raises(UserError):
        repository.update_refs([RefChange(ref=ref, old=ANY, new=None)])


def test_a_change_from_nothing_to_nothing_is_refused(repository: Repository) -> None:
    with pytest.raises(UserError, match="nothing to change"):
        repository.update_refs([RefChange(ref="refs/x/y", old=None, new=None)])


def test_of_many_who_create_one_ref_one_wins(repository: Repository, builder: RepositoryBuilder) -> None:
    change = RefChange(ref="refs/cli-orchestrator/landed/r/n", old=None, new=builder.head)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: repository.update_refs([change]), range(12)))
    assert outcomes.count(RefsUpdated()) == 1
    assert {outcome.kind for outcome in outcomes if isinstance(outcome, RefsRefused)} == {Refusal.MOVED}


LETTERS = [*"ab.-/@{~^:?*[\\ \x7f\x01é", ".lock"]
names = st.lists(st.sampled_from(LETTERS), max_size=7).map("".join)


@given(name=names)
def test_our_rules_for_ref_names_are_those_of_git(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    judge = RepositoryBuilder(path=tmp_path_factory.getbasetemp())
    accepted = judge.try_git("check-ref-format", f"refs/heads/{name}").returncode == 0
    assert is_ref(f"refs/heads/{name}") == accepted
    if is_branch(name):
        assert judge.try_git("check-ref-format", "--branch", name).returncode == 0


@pytest.mark.parametrize("path", ["a", "a/b.c", ".github/x", "a..b"])
def test_a_path_inside_a_tree(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize("path", ["", "/a", "a/../b", "a//b", "./a", ".git/x", "a/.GIT", "a\0b", "a/"])
def test_a_path_that_is_not_inside_a_tree(path: str) -> None:
    assert not is_inside(path)
