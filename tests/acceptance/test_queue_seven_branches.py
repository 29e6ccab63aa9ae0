"""Seven branches, of which four can land: one conflicts, one fails, and two fail only together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from cli_multi_rapid import wiring
from cli_multi_rapid.core.ids import Branch, queue_stream
from cli_multi_rapid.core.merge_events import CheckStarted
from tests.fakes.command_line import type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository

CHECKED = """\
version: 1
checks:
  tests: {run: "! grep -rq BAD src && { [ ! -e src/left.txt ] || [ ! -e src/right.txt ]; }"}
"""
BRANCHES: Mapping[str, Mapping[str, str]] = {
    "colours": {"src/app.txt": "title\ncolours\nend\n"},
    "left": {"src/left.txt": "left\n"},
    "docs": {"src/docs.txt": "docs\n"},
    "fonts": {"src/app.txt": "title\nfonts\nend\n"},  # the line that `colours` changes too
    "right": {"src/right.txt": "right\n"},
    "broken": {"src/broken.txt": "BAD\n"},
    "menu": {"src/menu.txt": "menu\n"},
}
FIT = ["colours", "docs", "left", "menu"]


class Processed(Struct, frozen=True, kw_only=True):
    """The repository after `queue process`, and what that said as JSON."""

    repository: RepositoryBuilder
    status: int
    document: dict[str, Any]


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """The seven branches, queued in this order and processed."""
    repository = make_repository(
        tmp_path_factory.mktemp("seven") / "repo",
        {"src/app.txt": "title\nplain\nend\n", "config/orchestrator.yaml": CHECKED},
    )
    for name, files in BRANCHES.items():
        repository.commit_on(name, files, name)
    assert type_in(repository.path, "queue", "add", *BRANCHES).status == 0
    done = type_in(repository.path, "queue", "process", "--format", "json")
    return Processed(repository=repository, status=done.status, document=done.document)


def check_runs(repository: RepositoryBuilder) -> int:
    """How often a check was started for the queue."""
    with wiring.open_records(wiring.find_home(repository.path)) as records:
        events = records.log.read(queue_stream(Branch("main")))
    return sum(1 for event in events if isinstance(event.data, CheckStarted))


def by_branch(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is said about each branch."""
    return {entry["entry"]["branch"]: entry for entry in document["entries"]}


def test_the_four_that_fit_land_and_the_partner_is_found_with_at_most_ten_check_runs(
    processed: Processed,
) -> None:
    repository = processed.repository
    assert processed.status == 1
    assert repository.files("main") == [
        "config/orchestrator.yaml",
        "src/app.txt",
        *(f"src/{name}.txt" for name in ("docs", "left", "menu")),
    ]
    assert repository.show("main", "src/app.txt") == "title\ncolours\nend\n"
    assert repository.status() == ""
    assert check_runs(repository) <= 10


def test_the_three_that_do_not_fit_are_named_with_reason_files_evidence_and_what_to_type(
    processed: Processed,
) -> None:
    found = by_branch(processed.document)
    assert sorted(name for name, entry in found.items() if entry["landed_commit"]) == FIT
    ids = {name: entry["entry"]["id"] for name, entry in found.items()}
    assert found["fonts"]["entry"]["status"] == "CONFLICTED"
    assert found["fonts"]["entry"]["reason"] == f"conflicts with {ids['colours']} in src/app.txt"
    assert (found["fonts"]["files"], found["fonts"]["partner"]) == (["src/app.txt"], ids["colours"])
    for name in ("broken", "right"):
        entry = found[name]
        assert (entry["entry"]["status"], entry["check"]) == ("FAILED", "tests")
        assert "tests failed with exit code 1" in entry["entry"]["reason"]
        assert Path(entry["log"]).is_file()
    for name in ("fonts", "broken", "right"):
        assert found[name]["entry"]["next_command"] == f"cli-orchestrator queue retry {ids[name]}"
        assert processed.repository.commit_of(name)


def test_the_one_that_fails_only_beside_another_names_it(processed: Processed) -> None:
    found = by_branch(processed.document)
    assert found["right"]["partner"] == found["left"]["entry"]["id"]
    assert found["right"]["files"] == ["src/left.txt", "src/right.txt"]
    assert (found["broken"]["partner"], found["broken"]["files"]) == ("", ["src/broken.txt"])
