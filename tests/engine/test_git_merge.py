"""Merging and committing in memory."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import Commit
from cli_multi_rapid.git import Conflicted, Identity, Merged, Repository, open_repository
from tests.fakes.repositories import RepositoryBuilder, git_environment, make_repository

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", {"a.txt": "1\n2\n3\n", "b.txt": "1\n2\n3\n", "d/list.txt": "1\n"})


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


def test_disjoint_work_merges_to_the_tree_that_git_merge_makes(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    theirs = builder.commit_on("lane", {"b.txt": "1\n2\n3\n4\n", "new": "x\n"})
    ours = builder.commit({"b.txt": "0\n1\n2\n3\n", "a.txt": "9\n"})
    merged = repository.merge(ours, theirs)
    builder.git("merge", "-q", "--no-edit", "lane")
    assert merged == Merged(tree=builder.tree_of("HEAD"))


def test_a_conflict_names_its_files_and_leaves_nothing_behind(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    theirs = builder.commit_on("lane", {"a.txt": "1\nX\n3\n", "d/list.txt": "Y\n", "fine": "x\n"})
    ours = builder.commit({"a.txt": "1\nZ\n3\n", "d/list.txt": "W\n"})
    outcome = repository.merge(ours, theirs)
    assert isinstance(outcome, Conflicted)
    assert outcome.files == ("a.txt", "d/list.txt")
    assert any("Merge conflict in a.txt" in message for message in outcome.messages)
    assert builder.status() == ""


def test_changed_here_and_deleted_there_is_a_conflict(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    theirs = builder.commit_on("lane", {"a.txt": None})
    ours = builder.commit({"a.txt": "9\n"})
    outcome = repository.merge(ours, theirs)
    assert isinstance(outcome, Conflicted)
    assert outcome.files == ("a.txt",)


def test_merging_what_is_contained_changes_nothing(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    old = builder.head
    ours = builder.commit({"a.txt": "9\n"})
    assert repository.merge(ours, old) == Merged(tree=builder.tree_of("HEAD"))


def test_histories_without_a_common_commit_conflict(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    stranger = repository.commit(builder.tree_of("HEAD"), (), "stranger", when=NOW)
    outcome = repository.merge(builder.head, stranger)
    assert outcome == Conflicted(files=(), messages=("the two sides have no common history",))


def test_a_commit_that_is_missing_is_no_conflict(repository: Repository, builder: RepositoryBuilder) -> None:
    with pytest.raises(EnvironmentFault):
        repository.merge(builder.head, Commit("1" * 40))


def test_the_attributes_of_the_target_decide_not_those_of_a_checkout(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.commit({".gitattributes": "a.txt merge=union\n", "d/.gitattributes": "list.txt merge=union\n"})
    theirs = builder.commit_on("lane", {"a.txt": "1\n2\n3\nlane\n", "d/list.txt": "1\nlane\n"})
    ours = builder.commit({"a.txt": "1\n2\n3\nmain\n", "d/list.txt": "1\nmain\n"})
    builder.git("checkout", "-q", "--detach", "main~2")  # the person looks at a commit without attributes
    merged = repository.merge(ours, theirs)
    assert isinstance(merged, Merged)
    assert builder.show(merged.tree, "a.txt") == "1\n2\n3\nmain\nlane\n"
    assert builder.show(merged.tree, "d/list.txt") == "1\nmain\nlane\n"


def test_attributes_that_only_the_lane_brings_do_not_count(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    theirs = builder.commit_on("lane", {".gitattributes": "* merge=union\n", "a.txt": "1\nlane\n3\n"})
    ours = builder.commit({"a.txt": "1\nmain\n3\n"})
    builder.git("checkout", "-q", "lane")
    outcome = repository.merge(ours, theirs)
    assert isinstance(outcome, Conflicted)
    assert outcome.files == ("a.txt",)


def test_a_file_marked_binary_is_not_merged_line_by_line(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    builder.commit({".gitattributes": "*.txt binary\n"})
    theirs = builder.commit_on("lane", {"a.txt": "1\n2\n3\n4\n"})
    ours = builder.commit({"a.txt": "0\n1\n2\n3\n"})
    assert isinstance(repository.merge(ours, theirs), Conflicted)


def test_a_difference_is_replayed_on_another_history(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    base = builder.commit_on("other", {"a.txt": "x\n2\n3\n", "unrelated": "no\n"})
    head = builder.commit_on("other", {"b.txt": "1\n2\n3\nadded\n"})
    onto = builder.commit({"b.txt": "top\n1\n2\n3\n"})
    replayed = repository.replay(base, head, onto)
    assert isinstance(replayed, Merged)
    assert builder.show(replayed.tree, "b.txt") == "top\n1\n2\n3\nadded\n"
    assert builder.show(replayed.tree, "a.txt") == "1\n2\n3\n"
    assert "unrelated" not in builder.files(replayed.tree)


def test_replaying_a_lane_from_its_base_gives_what_merging_it_gives(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    base = builder.head
    lane = builder.commit_on("lane", {"b.txt": "1\n2\n3\n4\n", "new": "x\n"})
    builder.commit({"b.txt": "0\n1\n2\n3\n"})
    tip = builder.commit({"a.txt": "9\n"})
    assert repository.replay(base, lane, tip) == repository.merge(tip, lane)


def test_a_replay_over_the_same_lines_conflicts(repository: Repository, builder: RepositoryBuilder) -> None:
    base = builder.head
    head = builder.commit_on("other", {"a.txt": "1\nX\n3\n"})
    onto = builder.commit({"a.txt": "1\nY\n3\n"})
    outcome = repository.replay(base, head, onto)
    assert isinstance(outcome, Conflicted)
    assert outcome.files == ("a.txt",)


def test_a_replay_merges_by_the_attributes_of_where_it_goes(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    base = builder.head
    head = builder.commit_on("other", {"a.txt": "1\n2\n3\nX\n"})
    onto = builder.commit({"a.txt": "1\n2\n3\nY\n", ".gitattributes": "a.txt merge=union\n"})
    replayed = repository.replay(base, head, onto)
    assert isinstance(replayed, Merged)
    assert builder.show(replayed.tree, "a.txt") == "1\n2\n3\nY\nX\n"


def test_a_commit_says_who_when_and_why(repository: Repository, builder: RepositoryBuilder) -> None:
    tool = Identity(name="Tool <x>\n", mail="tool@example.invalid")
    made = repository.commit(
        builder.tree_of("HEAD"), (builder.head,), "why: ü\n\nbody\n", when=NOW, author=tool, committer=None
    )
    shown = builder.git("log", "-1", "--format=%an|%ae|%cn|%at|%s|%b|%P|%T", made)
    seconds = int(NOW.timestamp())
    parent, tree = builder.head, builder.tree_of("HEAD")
    assert shown == f"Tool x|tool@example.invalid|Tool x|{seconds}|why: ü|body\n|{parent}|{tree}"


def test_the_same_commit_is_made_twice_alike(repository: Repository, builder: RepositoryBuilder) -> None:
    first, second = (repository.commit(builder.tree_of("HEAD"), (), "x", when=NOW) for _ in range(2))
    assert first == second
    assert repository.tree_of(first) == builder.tree_of("HEAD")


@pytest.mark.parametrize("name", ["", "<>", "...", "\x01"])
def test_a_name_that_git_would_refuse_gets_a_stand_in(
    repository: Repository, builder: RepositoryBuilder, name: str
) -> None:
    made = repository.commit(
        builder.tree_of("HEAD"), (), "--amend", when=NOW, author=Identity(name=name, mail=name)
    )
    shown = builder.git("log", "-1", "--format=%an|%ae|%s", made)
    assert shown == "cli-orchestrator|cli-orchestrator@localhost|--amend"


@pytest.mark.parametrize("setting", ["", "core.sharedRepository=group", "core.fsync=all"])
def test_commits_written_by_hand_are_those_that_git_writes(
    builder: RepositoryBuilder, tmp_path: Path, setting: str
) -> None:
    if setting:
        builder.git("config", *setting.split("="))
    repository = open_repository(builder.path, tmp_path / "state2")
    author = Identity(name="Zoë “Z” Doe", mail="zoe@example.invalid")
    parents = (builder.head, builder.commit({"a.txt": "9\n"}))
    made = repository.commit(builder.tree_of("HEAD"), parents, "one\n\ntwo\n", when=NOW, author=author)
    stamp = f"{int(NOW.timestamp())} +0000"
    persons = [f"GIT_{role}_{key}" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL", "DATE")]
    values = [author.name, author.mail, stamp] * 2
    variables = [f"{name}={value}" for name, value in zip(persons, values, strict=True)]
    options = ["-p", parents[0], "-p", parents[1], builder.tree_of("HEAD")]
    theirs = subprocess.run(
        ["env", *variables, "git", "commit-tree", *options],
        cwd=builder.path,
        env=git_environment(builder.path),
        input=b"one\n\ntwo\n",
        capture_output=True,
        check=True,
    )
    assert theirs.stdout.decode().strip() == made
    assert builder.git("fsck", "--strict", "--no-dangling") == ""


def test_an_object_store_that_cannot_be_written_is_explained(
    repository: Repository, builder: RepositoryBuilder
) -> None:
    message = next(
        text for text in map(str, range(9999)) if not object_folder(repository, builder, text).exists()
    )
    object_folder(repository, builder, message).write_text("in the way")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        repository.commit(builder.tree_of("HEAD"), (), message, when=NOW)


def object_folder(repository: Repository, builder: RepositoryBuilder, message: str) -> Path:
    """The folder where a commit with this message belongs; nothing is left in the repository."""
    made = repository.commit(builder.tree_of("HEAD"), (), message, when=NOW)
    folder = builder.path / ".git/objects" / made[:2]
    (folder / made[2:]).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return folder
