"""Pushing with leases: all or none, never by force."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git import RefChange, Repository, open_repository
from cli_multi_rapid.git_push import Pushed, PushRefused, push
from tests.fakes.real_runs import make_gate
from tests.fakes.remotes import set_hook
from tests.fakes.repositories import RepositoryBuilder, git_environment, make_bare_remote, make_repository

MARKER = "refs/cli-orchestrator/landed/run/n"


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r")


@pytest.fixture
def remote(builder: RepositoryBuilder, tmp_path: Path) -> RepositoryBuilder:
    return make_bare_remote(tmp_path / "remote.git", builder)


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


def train(old: Commit, new: Commit) -> list[RefChange]:
    return [RefChange(ref=MARKER, old=None, new=new), RefChange(ref="refs/heads/main", old=old, new=new)]


def push_to(repository: Repository, remote: str, changes: list[RefChange]) -> Pushed | PushRefused:
    return push(repository.remote(remote).git, remote, changes)


def test_target_and_marker_arrive_together_and_a_repeated_push_is_fine(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    old = builder.head
    new = builder.commit({"a": "1\n"})
    assert push_to(repository, "origin", train(old, new)) == Pushed()
    assert (remote.commit_of("main"), remote.commit_of(MARKER)) == (new, new)
    assert push_to(repository, "origin", train(old, new)) == Pushed()


def test_a_remote_that_moved_gets_nothing(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    old = builder.head
    theirs = builder.commit({"a": "theirs\n"})
    builder.git("push", "-q", "origin", "main")
    builder.git("reset", "-q", "--hard", old)
    new = builder.commit({"a": "ours\n"})
    outcome = push_to(repository, "origin", train(old, new))
    assert isinstance(outcome, PushRefused)
    assert outcome.moved
    assert "refs/heads/main" in outcome.reason
    assert remote.commit_of("main") == theirs
    assert remote.git("for-each-ref", "refs/cli-orchestrator") == ""


def test_a_marker_on_the_remote_stops_a_second_landing(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    old = builder.head
    builder.git("push", "-q", "origin", f"{old}:{MARKER}")
    new = builder.commit({"a": "1\n"})
    outcome = push_to(repository, "origin", train(old, new))
    assert isinstance(outcome, PushRefused)
    assert outcome.moved
    assert remote.commit_of("main") == old


def test_a_hook_of_the_remote_is_quoted(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho frozen until monday >&2\nexit 1\n")
    hook.chmod(0o755)
    old = builder.head
    outcome = push_to(repository, "origin", train(old, builder.commit({"a": "1\n"})))
    assert isinstance(outcome, PushRefused)
    assert not outcome.moved
    assert "hook declined" in outcome.reason
    assert "frozen until monday" in outcome.reason


def test_a_ref_can_be_deleted_on_the_remote(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    builder.git("push", "-q", "origin", "main:refs/heads/lane")
    assert (
        push_to(
            repository,
            "origin",
            [RefChange(ref="refs/heads/lane", old=builder.head, new=None)],
        )
        == Pushed()
    )
    assert remote.git("for-each-ref", "refs/heads/lane") == ""


def test_a_remote_that_is_not_there_is_refused_with_gits_words(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    outcome = push_to(repository, "nowhere", train(builder.head, builder.head))
    assert isinstance(outcome, PushRefused)
    assert "nowhere" in outcome.reason


def test_a_push_without_an_answer_is_given_up_and_counts_as_unreachable(
    repository: Repository, builder: RepositoryBuilder, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    gate = make_gate(tmp_path)
    set_hook(remote, "pre-receive", gate.wait)
    old = builder.head
    git = replace(repository.plumbing, environment=git_environment(tmp_path))
    outcome = push(git, "origin", train(old, builder.commit({"a": "1\n"})), timeout_s=0.5)
    assert isinstance(outcome, PushRefused)
    assert (outcome.reason, outcome.unreachable) == ("no answer within 0.5 s", True)


@pytest.mark.parametrize("configured", [False, True])
def test_ssh_asks_no_questions_unless_a_person_has_a_command_of_their_own(
    builder: RepositoryBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: bool
) -> None:
    programs, words = tmp_path / "bin", tmp_path / "words"
    programs.mkdir()
    for name in ("ssh", "mine"):
        (programs / name).write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> {words}\nexit 255\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    builder.git("remote", "add", "far", "ssh://host.invalid/repo.git")
    if configured:
        builder.git("config", "core.sshCommand", "mine")
    repository = open_repository(builder.path, tmp_path / "state")
    outcome = push_to(repository, "far", train(builder.head, builder.head))
    assert isinstance(outcome, PushRefused)
    assert outcome.unreachable
    said = words.read_text().splitlines()[-1]
    assert said.startswith("mine " if configured else "ssh -oBatchMode=yes ")


@pytest.mark.parametrize("name", ["", "--receive-pack=touch /tmp/x"])
def test_a_remote_is_never_an_option(repository: Repository, builder: RepositoryBuilder, name: str) -> None:
    with pytest.raises(UserError, match="name of a remote"):
        push_to(repository, name, train(builder.head, builder.head))
