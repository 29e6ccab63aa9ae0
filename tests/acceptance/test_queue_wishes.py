"""What a person may wish for a branch in the queue: urgent, solo, and only after another one."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import ended, make_gate, start
from tests.fakes.repositories import RepositoryBuilder, make_repository

CHECKED = """\
version: 1
checks:
  good: {run: "! grep -rq bad --include=*.txt ."}
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    repository = make_repository(
        tmp_path / "repo", {"README.md": "# Example\n", "config/orchestrator.yaml": CHECKED}
    )
    for name in ("api", "client", "docs"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    return repository


def add(repository: RepositoryBuilder, *words: str) -> dict[str, Any]:
    added = type_in(repository.path, "queue", "add", *words, "--format", "json")
    assert added.status == 0, added.err
    assert schema_violations(added.document, "queue_added") == []
    return added.document


def line_of(repository: RepositoryBuilder, branch: str) -> dict[str, Any]:
    """The newest entry of a branch as `queue list` has it."""
    document = type_in(repository.path, "queue", "list", "--format", "json").document
    assert schema_violations(document, "queue") == []
    found = [e for e in [*document["processing_history"], *document["queue"]] if e["branch"] == branch]
    line: dict[str, Any] = found[-1]
    return line


# --- urgent and solo ----------------------------------------------------------------------------------------


def test_wishes_are_kept_and_shown_and_a_retry_keeps_them(repository: RepositoryBuilder) -> None:
    repository.commit_on("docs", {"docs.txt": "bad\n"})
    (entry,) = add(repository, "docs", "--urgent", "--solo")["entries"]
    assert (entry["urgent"], entry["solo"]) == (True, True)
    assert (line_of(repository, "docs")["urgent"], line_of(repository, "docs")["solo"]) == (True, True)
    assert "urgent, solo" in type_in(repository.path, "queue", "list").out
    assert "urgent, solo" in type_in(repository.path, "queue", "why", "docs").out
    assert type_in(repository.path, "queue", "process").status == 1
    assert type_in(repository.path, "queue", "retry", "docs").status == 0
    again = line_of(repository, "docs")
    assert (again["status"], again["urgent"], again["solo"]) == ("QUEUED", True, True)


def test_another_wish_for_the_same_commit_replaces_the_entry(repository: RepositoryBuilder) -> None:
    first = add(repository, "docs")["entries"][0]["entry_id"]
    (entry,) = add(repository, "docs", "--urgent")["entries"]
    assert (entry["outcome"], entry["replaces"]) == ("added", [first])
    assert add(repository, "docs", "--urgent")["entries"][0]["outcome"] == "waits already"


def test_urgent_in_an_empty_queue_costs_nobody_anything(repository: RepositoryBuilder) -> None:
    added = type_in(repository.path, "queue", "add", "docs", "--urgent")
    assert "costs nobody anything" in added.err


def test_urgent_says_what_it_costs_only_as_far_as_it_was_measured(repository: RepositoryBuilder) -> None:
    add(repository, "api", "client")
    added = type_in(repository.path, "queue", "add", "docs", "--urgent")
    assert added.err.strip() == (
        "urgent: 0 checks under way may be overtaken, and 2 entries in line land later, "
        "by how much is not known yet: no check has ended"
    )


def test_urgent_says_how_many_checks_it_may_overtake_and_how_much_later_others_land(
    repository: RepositoryBuilder,
) -> None:
    gate, arrival = make_gate(repository.path.parent), make_gate(repository.path.parent, "arrival")
    run = f"sleep 0.2; {arrival.announce}; {gate.wait}"
    repository.commit({"config/orchestrator.yaml": f'version: 1\nchecks:\n  slow: {{run: "{run}"}}\n'})
    add(repository, "docs")
    first = start(repository, "queue", "process", "--workers", "1")
    arrival.await_arrival()
    gate.open()
    assert ended(first).status == 0  # now the check has a duration

    add(repository, "api", "client")
    processor = start(repository, "queue", "process", "--workers", "1")
    arrival.await_arrival()
    repository.commit_on("hotfix", {"hotfix.txt": "fine\n"})
    added = type_in(repository.path, "queue", "add", "hotfix", "--urgent", "--format", "json")
    assert added.document["urgent_cost"]["overtaken"] == 1
    assert added.document["urgent_cost"]["delayed"] == 2
    assert added.document["urgent_cost"]["later_s"] >= 0.2
    assert re.search(
        r"1 check under way may be overtaken, and 2 entries in line land later, .* s$", added.err
    )
    processor.send_signal(signal.SIGINT)
    assert ended(processor).status == 130


# --- one after another --------------------------------------------------------------------------------------


def test_a_branch_lands_only_after_what_it_depends_on(repository: RepositoryBuilder) -> None:
    api = add(repository, "api", "--priority", "low")["entries"][0]["entry_id"]
    (client,) = add(repository, "client", "--depends-on", "api", "--priority", "high")["entries"]
    assert client["depends_on"] == [api]
    assert line_of(repository, "client")["waits_for"][0] == api
    assert [line_of(repository, name)["position"] for name in ("api", "client")] == [1, 2]
    assert type_in(repository.path, "queue", "process").status == 0
    assert repository.files("main").count("client.txt") == 1


def test_what_depends_on_a_failure_does_not_land_and_says_why(repository: RepositoryBuilder) -> None:
    repository.commit_on("api", {"api.txt": "bad\n"})
    add(repository, "api")
    add(repository, "client", "--depends-on", "api")
    assert type_in(repository.path, "queue", "process").status == 1
    client = line_of(repository, "client")
    assert client["status"] == "CANCELLED"
    assert re.fullmatch(r"api@\w+, which it depends on, did not land", client["reason"])

    refused = type_in(repository.path, "queue", "retry", "client")
    assert (refused.status, "has left the queue: FAILED" in refused.err) == (2, True)
    repository.commit_on("api", {"api.txt": "fine\n"})
    assert type_in(repository.path, "queue", "retry", "api").status == 0
    assert type_in(repository.path, "queue", "retry", "client").status == 0
    assert type_in(repository.path, "queue", "process").status == 0
    assert repository.files("main").count("client.txt") == 1


def test_what_has_landed_already_is_no_reason_to_wait(repository: RepositoryBuilder) -> None:
    add(repository, "api")
    assert type_in(repository.path, "queue", "process").status == 0
    assert add(repository, "client", "--depends-on", "api")["entries"][0]["depends_on"] == []
    assert add(repository, "docs", "--depends-on", "main")["entries"][0]["depends_on"] == []


def test_a_dependency_that_has_landed_meanwhile_makes_no_other_wish(repository: RepositoryBuilder) -> None:
    add(repository, "api")
    client = add(repository, "client", "--depends-on", "api", "--approval")["entries"][0]["entry_id"]
    assert type_in(repository.path, "queue", "process").status == 4
    (again,) = add(repository, "client", "--depends-on", "api", "--approval")["entries"]
    assert (again["outcome"], again["entry_id"]) == ("waits already", client)


def test_dependents_follow_a_branch_that_is_queued_at_a_newer_commit(repository: RepositoryBuilder) -> None:
    old = add(repository, "api")["entries"][0]["entry_id"]
    add(repository, "client", "--depends-on", "api")
    add(repository, "docs", "--depends-on", "client")
    repository.commit_on("api", {"more.txt": "fine\n"})
    (api,) = add(repository, "api")["entries"]
    assert api["replaces"] == [old]
    assert len(api["carried"]) == 2
    assert line_of(repository, "client")["waits_for"][0] == api["entry_id"]
    assert line_of(repository, "docs")["waits_for"][0] == line_of(repository, "client")["id"]
    assert type_in(repository.path, "queue", "process").status == 0
    assert {"more.txt", "client.txt", "docs.txt"} <= set(repository.files("main"))


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("docs", "--depends-on", "docs"), "docs cannot depend on itself", "name another branch"),
        (("docs", "--depends-on", "apj"), "nothing that docs could depend on is called apj", "api"),
        (("docs", "--depends-on", "zzz"), "is called zzz", "queue list"),
        (("docs", "--depends-on", "a b"), "is called a b", "queue list"),
        (("docs", "--depends-on", "client"), "client neither waits for main nor has it landed", "queue add"),
        (("docs", "--depends-on", "old"), "has left the queue: CANCELLED", "queue add old --target main"),
        (("docs", "--depends-on", "api@"), "may mean api@", "type more of it"),
        (("api", "--depends-on", "web"), "waits for api already, so api cannot wait for it", "queue why"),
    ],
)
def test_what_nothing_can_depend_on_is_refused_and_adds_nothing(
    repository: RepositoryBuilder, words: tuple[str, ...], said: str, hint: str
) -> None:
    for name in ("old", "web", "api@two"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    add(repository, "api", "old", "api@two")
    add(repository, "web", "--depends-on", "api")
    assert type_in(repository.path, "queue", "cancel", "old").status == 0
    repository.commit_on("api", {"more.txt": "fine\n"})
    before = type_in(repository.path, "queue", "list", "--format", "json").document
    refused = type_in(repository.path, "queue", "add", *words)
    assert refused.status == 2
    assert said in refused.err
    assert hint in refused.err
    after = type_in(repository.path, "queue", "list", "--format", "json").document
    assert [e["id"] for e in before["queue"]] == [e["id"] for e in after["queue"]]
