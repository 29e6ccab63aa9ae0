"""A person's repository with a train that is ready to land, and ways to see what became of it."""

import hashlib
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime

from cli_multi_rapid.core.ids import Branch, Commit
from cli_multi_rapid.git import LandingRequest, Merged, Repository
from tests.fakes.repositories import Content, RepositoryBuilder, git_environment

NOW = datetime(2024, 5, 6, tzinfo=UTC)
MAIN = Branch("main")
MARKERS = ("refs/cli-orchestrator/landed/run/n1", "refs/cli-orchestrator/landed/run/n2")
START = {"a.txt": "a\n", "b.txt": "b\n", "keep.txt": "k\n", ".gitignore": "*.log\n"}


def a_train(
    repository: Repository, builder: RepositoryBuilder, files: Mapping[str, Content]
) -> LandingRequest:
    tip = builder.commit_of("main")
    lane = builder.commit_on("lane/run/n1", files, start="main")
    merged = repository.merge(tip, lane)
    assert isinstance(merged, Merged)
    train = repository.commit(merged.tree, (tip, lane), "train", when=NOW)
    return LandingRequest(target=MAIN, expected=tip, new=train, markers=MARKERS, update_checkout=True)


def away_from_main(builder: RepositoryBuilder) -> None:
    builder.git("checkout", "-q", "-b", "work")


def fingerprint(builder: RepositoryBuilder) -> dict[str, str]:
    """Every byte of the work tree and of the index, and what git makes of them."""
    files = {
        str(path.relative_to(builder.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in builder.path.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(builder.path).parts
    }
    return files | {"status": builder.status(), "index": builder.git("ls-files", "--stage")}


def assert_landed(builder: RepositoryBuilder, request: LandingRequest) -> None:
    assert builder.commit_of(request.target) == request.new
    for marker in request.markers:
        assert builder.commit_of(marker) == request.new


def assert_nothing_moved(builder: RepositoryBuilder, request: LandingRequest) -> None:
    assert builder.commit_of(request.target) == request.expected
    assert builder.git("for-each-ref", "refs/cli-orchestrator") == ""


def make_child(repository: Repository, parent: Commit) -> Commit:
    """A commit on top of another one, with the same tree."""
    return repository.commit(repository.tree_of(parent), (parent,), "child", when=NOW)


def run_by_hand(builder: RepositoryBuilder, command: str) -> None:
    """Type a command as the person would."""
    done = subprocess.run(
        ["sh", "-c", command], env=git_environment(builder.path), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
