"""Candidates on the workbench: the same as merging everything anew, without merging anything twice."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cli_multi_rapid.core.ids import Branch, Commit, EntryId, Tree
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.queue_intents import Tip
from cli_multi_rapid.engine.candidates import Candidate, Workbench
from cli_multi_rapid.git import Conflicted, Merged, Repository, open_repository
from tests.engine.test_git_merge import NOW
from tests.fakes.repositories import RepositoryBuilder, make_repository

LINES = "".join(f"{number}\n" for number in range(40))


class Asked:
    """The merges that git was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heads: list[Commit] = []
        merge = Repository.merge

        def counted(repository: Repository, ours: Commit, theirs: Commit) -> Merged | Conflicted:
            self.heads.append(theirs)
            return merge(repository, ours, theirs)

        monkeypatch.setattr(Repository, "merge", counted)

    def take(self) -> list[Commit]:
        heads, self.heads = self.heads, []
        return heads


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repository", {"a": LINES})


@pytest.fixture
def repository(builder: RepositoryBuilder, tmp_path: Path) -> Repository:
    return open_repository(builder.path, tmp_path / "state")


def entry(builder: RepositoryBuilder, line: int) -> MergeEntry:
    """A branch that changes one line of the file that all of them change."""
    name = f"line-{line}"
    head = builder.commit_on(name, {"a": LINES.replace(f"{line}\n", f"{line} changed\n", 1)})
    base = Commit(builder.git("rev-parse", "main"))
    return MergeEntry(
        id=EntryId(name), branch=Branch(name), head=Commit(head), base=base, target=Branch("main")
    )


def tip_of(repository: Repository, commit: Commit) -> Tip:
    return Tip(commit=commit, tree=repository.tree_of(commit))


def anew(repository: Repository, tip: Tip, entries: list[MergeEntry]) -> Candidate:
    return Workbench(repository).build(tip, entries, NOW)


def test_a_longer_candidate_on_the_same_tip_merges_only_what_is_new(
    builder: RepositoryBuilder, repository: Repository, asked: Asked
) -> None:
    entries = [entry(builder, line) for line in (11, 21, 31)]
    tip = tip_of(repository, entries[0].base)
    bench = Workbench(repository)
    bench.build(tip, entries[:2], NOW)
    assert asked.take() == [entries[0].head, entries[1].head]
    seen = replace(tip, contents=((("*.py",), Tree("0" * 40)),))
    longer = bench.build(seen, entries, NOW)  # the same commit, read again, with what its checks see
    assert asked.take() == [entries[2].head]
    assert longer == anew(repository, tip, entries)


def test_what_follows_a_landed_candidate_is_not_merged_again(
    builder: RepositoryBuilder, repository: Repository, asked: Asked
) -> None:
    entries = [entry(builder, line) for line in (11, 21, 31)]
    bench = Workbench(repository)
    start = tip_of(repository, entries[0].base)
    landed = bench.build(start, entries[:1], NOW)
    bench.build(start, entries[:2], NOW)
    asked.take()
    tip = tip_of(repository, landed.commit)
    rest = bench.build(tip, entries[1:], NOW)
    assert asked.take() == [entries[2].head]
    assert rest == anew(repository, tip, entries[1:])


def test_another_tip_leaves_nothing_of_what_was_merged(
    builder: RepositoryBuilder, repository: Repository, asked: Asked
) -> None:
    entries = [entry(builder, line) for line in (11, 21)]
    bench = Workbench(repository)
    bench.build(tip_of(repository, entries[0].base), entries, NOW)
    other = tip_of(repository, Commit(builder.commit_on("elsewhere", {"b": "b\n"})))
    asked.take()
    assert bench.build(other, entries, NOW) == anew(repository, other, entries)
    assert asked.take() == [entry.head for entry in (*entries, *entries)]
