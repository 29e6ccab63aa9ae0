"""What a repository tells: found once, names resolved safely, history read exactly."""

import os
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git import ChangeKind, Repository, open_repository
from cli_multi_rapid.git_command import git_environment
from cli_multi_rapid.git_discovery import find_git
from tests.fakes.repositories import RepositoryBuilder, make_empty_repository, make_repository


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "a repository with spaces", {"a.txt": "1\n", "src/b.txt": "2\n"})


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


def test_the_root_is_found_from_a_folder_inside(builder: RepositoryBuilder, tmp_path: Path) -> None:
    found = open_repository(builder.path / "src", tmp_path / "state")
    assert found.root == builder.path
    assert found.git_dir == builder.path / ".git"
    assert found.object_format == "sha1"


def test_a_folder_outside_any_repository_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no git repository"):
        open_repository(tmp_path, tmp_path / "state")


def test_an_empty_repository_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    empty = make_empty_repository(tmp_path / "r")
    with pytest.raises(UserError, match="no commit yet") as caught:
        open_repository(empty.path, tmp_path / "state")
    assert "git commit" in caught.value.hint


def test_a_bare_repository_can_be_opened(builder: RepositoryBuilder, tmp_path: Path) -> None:
    builder.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    bare = open_repository(tmp_path / "bare.git", tmp_path / "state")
    assert bare.is_bare
    assert bare.root == tmp_path / "bare.git"
    assert bare.branch_tip(Branch("main")) == builder.head


def test_too_old_a_git_is_named_with_the_version_that_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.37.1\n")
    old.chmod(0o755)
    with pytest.raises(
        EnvironmentFault, match=r"git 2\.38 or newer is needed, here is: git version 2\.37\.1"
    ):
        find_git({"PATH": str(old.parent)})


def test_inherited_git_variables_are_scrubbed_but_the_way_to_the_person_stays() -> None:
    inherited = {
        "GIT_DIR": "/x",
        "GIT_INDEX_FILE": "/y",
        "GIT_SSH_COMMAND": "ssh -4",
        "PATH": "/bin",
        "LANG": "de",
    }
    environment = git_environment(inherited)
    assert "GIT_DIR" not in environment
    assert "GIT_INDEX_FILE" not in environment
    assert environment["GIT_SSH_COMMAND"] == "ssh -4"
    assert environment["LC_ALL"] == "C"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"


def test_a_caller_inside_a_git_hook_does_not_redirect_us(
    builder: RepositoryBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    assert open_repository(builder.path, tmp_path / "state").root == builder.path


def test_the_person_is_who_git_says(repository: Repository) -> None:
    assert (repository.identity().name, repository.identity().mail) == ("Ada Example", "ada@example.invalid")


def test_without_a_configured_name_a_stand_in_commits(
    builder: RepositoryBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.git("config", "--remove-section", "user")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    anonymous = open_repository(builder.path, tmp_path / "state").identity()
    assert (anonymous.name, anonymous.mail) == ("cli-orchestrator", "cli-orchestrator@localhost")


def test_branches_tags_and_ids_resolve(repository: Repository, builder: RepositoryBuilder) -> None:
    builder.git("tag", "-a", "-m", "release", "v1")
    for revision in ("main", "v1", "HEAD", builder.head, builder.head[:10], "refs/heads/main"):
        assert repository.resolve(revision) == builder.head
    assert repository.branch_tip(Branch("main")) == builder.head


def test_a_branch_wins_over_a_tag_of_the_same_name(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    first = builder.head
    builder.git("tag", "both", first)
    second = builder.commit({"a.txt": "3\n"})
    builder.branch("both")
    assert repository.resolve("both") == second


@pytest.mark.parametrize("revision", ["", "nope", "--help", "-n1", "a b", "x\ny", "x\0y", "HEAD:a.txt", "-"])
def test_what_names_no_commit_resolves_to_nothing(repository: Repository, revision: str) -> None:
    assert repository.resolve(revision) is None


@pytest.mark.parametrize(
    "branch", ["--force", "a..b", "a b", "", "HEAD", "a.lock", "a/.b", "é~", "-x", "a\nb", "é" * 130]
)
def test_a_name_that_git_forbids_never_reaches_it(repository: Repository, branch: str) -> None:
    with pytest.raises(UserError, match="cannot be the name of a branch"):
        repository.branch_tip(Branch(branch))


def test_the_default_branch_is_the_one_that_is_checked_out(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.git("checkout", "-q", "-b", "feature/x")
    assert repository.default_branch() == "feature/x"


def test_on_a_detached_head_the_default_branch_is_main(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.git("checkout", "-q", "--detach")
    assert repository.default_branch() == "main"


def test_a_detached_head_without_main_asks_for_a_target(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.git("branch", "-m", "main", "trunk")
    builder.git("checkout", "-q", "--detach")
    with pytest.raises(UserError, match="detached"):
        repository.default_branch()


def test_a_missing_commit_is_an_environment_fault(repository: Repository) -> None:
    with pytest.raises(EnvironmentFault, match="has no commit"):
        repository.tree_of(Commit("1" * 40))


def test_ancestry(repository: Repository, builder: RepositoryBuilder) -> None:
    old = builder.head
    new = builder.commit({"a.txt": "2\n"})
    assert repository.is_ancestor(old, new)
    assert repository.is_ancestor(new, new)
    assert not repository.is_ancestor(new, old)
    with pytest.raises(EnvironmentFault):
        repository.is_ancestor(Commit("1" * 40), new)


def test_changes_name_every_file_with_kind_lines_and_mode(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.commit({"move.txt": "".join(f"line {i}\n" for i in range(20)), "gone.txt": "x\n", "kind": "x\n"})
    base = builder.head
    (builder.path / "kind").unlink()
    (builder.path / "kind").symlink_to("a.txt")
    (builder.path / "move.txt").rename(builder.path / "moved.txt")
    head = builder.commit({"a.txt": "1\n2\n", "new.bin": b"\0\1", "gone.txt": None})
    found = {change.path: change for change in repository.changes(base, head)}
    assert {path: change.status for path, change in found.items()} == {
        "a.txt": ChangeKind.MODIFIED,
        "gone.txt": ChangeKind.DELETED,
        "kind": ChangeKind.RETYPED,
        "moved.txt": ChangeKind.RENAMED,
        "new.bin": ChangeKind.ADDED,
    }
    assert (found["a.txt"].added, found["a.txt"].removed) == (1, 0)
    assert (found["new.bin"].added, found["new.bin"].removed) == (0, 0)
    assert found["moved.txt"].names == ("move.txt", "moved.txt")
    assert found["kind"].mode == 0o120000
    assert found["gone.txt"].mode == 0


def test_equal_commits_have_no_changes(repository: Repository, builder: RepositoryBuilder) -> None:
    assert repository.changes(builder.head, builder.head) == ()


def test_names_that_are_no_utf8_survive(repository: Repository, builder: RepositoryBuilder) -> None:
    base = builder.head
    strange = os.fsdecode(b'caf\xe9\n"quoted".txt')
    (builder.path / strange).write_text("x\n")
    head = builder.commit()
    assert [change.path for change in repository.changes(base, head)] == [strange]
    assert strange in repository.list_files(head)
    assert repository.read_file(head, strange) == b"x\n"


def test_no_external_diff_and_no_text_conversion_runs(
    repository: Repository, builder: RepositoryBuilder, tmp_path: Path
) -> None:
    builder.git("config", "diff.external", f"touch {tmp_path}/ran;")
    builder.git("config", "diff.odd.textconv", f"touch {tmp_path}/ran; cat")
    builder.git("config", "diff.odd.command", f"touch {tmp_path}/ran;")
    base = builder.commit({".gitattributes": "* diff=odd\n"})
    head = builder.commit({"a.txt": "9\n"})
    assert [change.path for change in repository.changes(base, head)] == ["a.txt"]
    assert not (tmp_path / "ran").exists()


def test_files_are_read_from_commits_and_never_from_outside(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    assert repository.read_file(builder.head, "src/b.txt") == b"2\n"
    for path in ("nope", "src", "", "../a.txt", "/etc/passwd", "./a.txt", ".git/config", "src/b.txt/x"):
        assert repository.read_file(builder.head, path) is None
    assert repository.list_files(builder.head) == ("a.txt", "src/b.txt")
    assert repository.list_files(builder.head, "src") == ("src/b.txt",)
    assert repository.list_files(builder.head, "src/") == ("src/b.txt",)
    assert repository.list_files(builder.head, "sr") == ()
    assert repository.list_files(builder.head, "..") == ()


def test_a_sha256_repository_works_alike(tmp_path: Path) -> None:
    builder = make_empty_repository(tmp_path / "r", "--object-format=sha256")
    head = builder.commit({"a": "1\n"})
    repository = open_repository(builder.path, tmp_path / "state")
    assert repository.object_format == "sha256"
    assert repository.branch_tip(Branch("main")) == head
    assert len(repository.tree_of(head)) == 64
