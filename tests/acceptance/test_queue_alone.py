"""The merge queue alone: branches made by anything, checked together and landed only when green."""

import re
import signal
from pathlib import Path

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import Ended, type_in
from tests.fakes.real_runs import ended, make_gate, start, wait_for_event
from tests.fakes.repositories import RepositoryBuilder, make_repository

CHECKED = """\
version: 1
checks:
  good: {run: "! grep -rq bad --include=*.txt ."}
"""
NO_CHECKS = "version: 1\nmerge_policy: {checklist: []}\n"


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(
        tmp_path / "repo", {"README.md": "# Example\n", "config/orchestrator.yaml": CHECKED}
    )


def configure(repository: RepositoryBuilder, text: str) -> None:
    repository.commit({"config/orchestrator.yaml": text}, "configure")


def waiting(repository: RepositoryBuilder) -> list[str]:
    document = type_in(repository.path, "queue", "list", "--format", "json").document
    assert schema_violations(document, "queue") == []
    return [line["branch"] for line in document["queue"]]


def process(repository: RepositoryBuilder, *words: str) -> Ended:
    return type_in(repository.path, "queue", "process", *words)


# --- landing ------------------------------------------------------------------------------------------------


def test_green_branches_land_together_and_stay_as_they_were(repository: RepositoryBuilder) -> None:
    heads = {name: repository.commit_on(name, {f"{name}.txt": "fine\n"}) for name in ("one", "two")}
    added = type_in(repository.path, "queue", "add", "one", "two")
    assert added.status == 0, added.err
    assert f"queued as one@{heads['one'][:10]} (good)" in added.out
    assert "cli-orchestrator queue process --target main" in added.out

    processed = process(repository)
    assert processed.status == 0, processed.err
    assert "2 of 2 landed" in processed.out
    assert repository.show("main", "one.txt") == repository.show("main", "two.txt") == "fine\n"
    assert (repository.path / "one.txt").exists()
    assert repository.status() == ""
    for name, head in heads.items():
        assert repository.commit_of(name) == head
        assert repository.commit_of(f"refs/cli-orchestrator/landed/queue/{name}/{head[:10]}")
    assert repository.git("for-each-ref", "refs/cli-orchestrator/candidate") == ""


def test_what_a_check_does_not_read_lands_by_its_earlier_verdict_and_why_names_that_log(
    repository: RepositoryBuilder,
) -> None:
    configure(
        repository,
        'version: 1\nchecks:\n  good: {run: "! grep -rq bad src", inputs: ["src/**"]}\n',
    )
    repository.commit_on("code", {"src/a.txt": "fine\n"})
    repository.commit_on("words", {"README.md": "# Better\n"})
    type_in(repository.path, "queue", "add", "code")
    assert process(repository).status == 0
    type_in(repository.path, "queue", "add", "words")
    assert process(repository).status == 0
    assert repository.show("main", "README.md") == "# Better\n"
    why = type_in(repository.path, "queue", "why", "words").out
    (log,) = (repository.path / "artifacts/logs/checks").iterdir()
    assert f"good passed reused from {log} on tree {repository.tree_of('main')[:10]}" in why


def test_json_documents_of_the_queue_keep_their_schemas(repository: RepositoryBuilder) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    added = type_in(repository.path, "queue", "add", "one", "--format", "json").document
    assert schema_violations(added, "queue_added") == []
    why = type_in(repository.path, "queue", "why", "one", "--format", "json").document
    assert schema_violations(why, "queue_entry") == []
    assert why["entry"]["waits_for"] == ["a process to work on the queue"]
    processed = process(repository, "--format", "json").document
    assert schema_violations(processed, "queue_processed") == []
    assert (processed["exit_code"], processed["landed"]) == (0, 1)
    assert waiting(repository) == []


def test_a_branch_that_fails_a_check_is_named_with_its_log_and_the_others_land(
    repository: RepositoryBuilder,
) -> None:
    repository.commit_on("fine", {"fine.txt": "fine\n"})
    repository.commit_on("broken", {"broken.txt": "bad\n"})
    type_in(repository.path, "queue", "add", "broken", "fine")
    processed = process(repository)
    assert processed.status == 1
    assert "1 of 2 landed" in processed.out
    assert "broken -> main  FAILED: good failed with exit code 1" in processed.out
    assert "artifacts/logs/checks/good." in processed.out
    assert "cli-orchestrator queue retry broken@" in processed.out
    assert repository.files("main").count("fine.txt") == 1
    assert "broken.txt" not in repository.files("main")


def test_a_repaired_branch_is_retried_at_its_new_head(repository: RepositoryBuilder) -> None:
    repository.commit_on("broken", {"broken.txt": "bad\n"})
    type_in(repository.path, "queue", "add", "broken")
    assert process(repository).status == 1
    repository.commit_on("broken", {"broken.txt": "good\n"})
    assert type_in(repository.path, "queue", "retry", "broken").status == 0
    assert process(repository).status == 0
    assert repository.show("main", "broken.txt") == "good\n"


def test_a_conflict_names_the_files_and_the_partner(repository: RepositoryBuilder) -> None:
    first = repository.commit_on("first", {"shared.txt": "one\n"})
    repository.commit_on("second", {"shared.txt": "two\n"})
    type_in(repository.path, "queue", "add", "first", "second")
    processed = process(repository)
    assert processed.status == 1
    assert f"conflicts with first@{first[:10]} in shared.txt" in processed.out
    assert "files: shared.txt" in processed.out
    why = type_in(repository.path, "queue", "why", "second").out
    assert "CONFLICTED" in why
    assert f"with      first@{first[:10]}" in why
    assert "merge.conflicted" in why


def test_nothing_to_do_is_done(repository: RepositoryBuilder) -> None:
    processed = process(repository)
    assert (processed.status, processed.out) == (0, "nothing waits for main\n")
    assert type_in(repository.path, "queue", "list").out == "the queue is empty\n"


def test_looking_at_a_queue_makes_nothing(repository: RepositoryBuilder) -> None:
    assert type_in(repository.path, "queue", "list").out == "the queue is empty\n"
    assert not (repository.path / "state").exists()


# --- adding -------------------------------------------------------------------------------------------------


def test_the_same_branch_again_waits_already_and_a_newer_commit_replaces_it(
    repository: RepositoryBuilder,
) -> None:
    old = repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    assert "waits already" in type_in(repository.path, "queue", "add", "one").out
    new = repository.commit_on("one", {"more.txt": "fine\n"})
    again = type_in(repository.path, "queue", "add", "one")
    assert f"queued as one@{new[:10]}" in again.out
    assert f"in place of one@{old[:10]}" in again.out
    assert waiting(repository) == ["one"]
    assert process(repository).status == 0
    assert repository.show("main", "more.txt") == "fine\n"


def test_what_has_landed_is_not_queued_again(repository: RepositoryBuilder) -> None:
    repository.branch("same")
    added = type_in(repository.path, "queue", "add", "same")
    assert (added.status, "has landed already" in added.out) == (0, True)
    assert waiting(repository) == []


def test_priority_decides_who_is_first(repository: RepositoryBuilder) -> None:
    for name, priority in (("late", "low"), ("usual", "medium"), ("urgent", "high")):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
        assert type_in(repository.path, "queue", "add", name, "--priority", priority).status == 0
    assert waiting(repository) == ["urgent", "usual", "late"]


def test_checks_are_chosen_by_name_and_may_be_none(repository: RepositoryBuilder) -> None:
    configure(repository, CHECKED + '  never: {run: "exit 1"}\n')
    for name in ("one", "two"):
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    assert "(good)" in type_in(repository.path, "queue", "add", "one", "--checks", "good").out
    assert "(no check)" in type_in(repository.path, "queue", "add", "two", "--checks", "").out
    assert process(repository).status == 0


def test_another_target_has_a_queue_of_its_own(repository: RepositoryBuilder) -> None:
    repository.branch("release")
    repository.commit_on("fix", {"fix.txt": "fine\n"})
    assert type_in(repository.path, "queue", "add", "fix", "--target", "release").status == 0
    before = repository.commit_of("main")
    assert process(repository).status == 0
    assert repository.show("release", "fix.txt") == "fine\n"
    assert repository.commit_of("main") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "one", "nope"), "there is no branch nope"),
        (("add", "one", "--target", "develop"), "there is no branch develop to land on"),
        (("add", "one", "--checks", "magic"), "the checklist names magic, which has no command"),
        (("add", "one", "--priority", "now"), "none of high, medium, low"),
        (("add", "main"), "cannot land on itself"),
        (("add",), "Missing argument"),
        (("add", "one", "orphan"), "have no common history"),
        (("why", "nope"), "no merge queue has an entry nope"),
        (("retry", "nope"), "no merge queue has an entry nope"),
    ],
)
def test_wrong_input_is_refused_and_adds_nothing(
    repository: RepositoryBuilder, words: tuple[str, ...], said: str
) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    empty = repository.git("mktree", stdin=b"")
    repository.git("branch", "orphan", repository.git("commit-tree", empty, "-m", "alone"))
    refused = type_in(repository.path, "queue", *words)
    assert refused.status == 2
    assert said in refused.err
    assert waiting(repository) == []


# --- a word about an entry ----------------------------------------------------------------------------------


def test_a_cancelled_entry_leaves_the_queue_and_its_branch_stays(repository: RepositoryBuilder) -> None:
    head = repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    cancelled = type_in(repository.path, "queue", "cancel", "one", "--reason", "not yet", "--format", "json")
    assert schema_violations(cancelled.document, "queue_command") == []
    assert waiting(repository) == []
    assert "not yet" in type_in(repository.path, "queue", "why", "one").out
    assert repository.commit_of("one") == head
    assert type_in(repository.path, "queue", "cancel", "one").status == 2
    assert process(repository).out == "nothing waits for main\n"


def test_what_needs_approval_waits_for_it(repository: RepositoryBuilder) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one", "--approval")
    asked = process(repository)
    assert asked.status == 4
    assert "cli-orchestrator queue approve one@" in asked.out
    assert "waits for your approval" in type_in(repository.path, "queue", "list").out
    assert type_in(repository.path, "queue", "approve", "one").status == 0
    assert process(repository).status == 0
    assert type_in(repository.path, "queue", "approve", "one").status == 2


def test_a_repository_can_ask_for_approval_of_everything(repository: RepositoryBuilder) -> None:
    configure(repository, "version: 1\nmerge_policy: {checklist: [], approval: manual}\n")
    repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    assert process(repository).status == 4


def test_a_target_that_fails_itself_halts_the_queue_and_blames_nobody(
    repository: RepositoryBuilder,
) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    repository.commit({"old.txt": "bad\n"}, "break main")
    type_in(repository.path, "queue", "add", "one")
    halted = process(repository)
    assert halted.status == 1
    assert "HALTED main: main itself fails good" in halted.out
    assert waiting(repository) == ["one"]
    assert type_in(repository.path, "queue", "list").out.startswith("HALTED: main: main itself fails good")
    assert "the queue of main halted" in type_in(repository.path, "doctor").out

    repository.commit({"old.txt": "fine\n"}, "repair main")
    assert type_in(repository.path, "queue", "retry", "one").status == 0
    assert process(repository).status == 0


def test_a_checkout_in_the_way_holds_the_landing_and_says_what_to_type(repository: RepositoryBuilder) -> None:
    configure(repository, NO_CHECKS)
    repository.commit_on("one", {"one.txt": "fine\n"})
    repository.write({"one.txt": "mine\n"})
    type_in(repository.path, "queue", "add", "one")
    held = process(repository)
    assert held.status == 1
    assert "BLOCKED" in held.out
    assert "type:" in held.out
    assert (repository.path / "one.txt").read_text() == "mine\n"
    repository.write({"one.txt": None})
    assert process(repository).status == 0
    assert (repository.path / "one.txt").read_text() == "fine\n"


# --- several processes --------------------------------------------------------------------------------------


def test_a_second_processor_says_who_has_the_queue_or_waits_its_turn(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    configure(repository, f'version: 1\nchecks:\n  slow: {{run: "{gate.wait}"}}\n')
    repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    first = start(repository, "queue", "process")
    wait_for_event(repository, "check.started", stream="queue:main")

    refused = process(repository)
    assert refused.status == 5
    assert f"pid {first.pid}" in refused.err
    listed = type_in(repository.path, "queue", "list").out
    assert f"main is being processed by pid {first.pid}" in listed
    assert "waits for check slow" in listed

    second = start(repository, "queue", "process", "--watch")
    assert f"is being processed by pid {first.pid}" in second.read_complaint()
    gate.open()
    assert ended(first).status == 0
    gate.path.unlink()
    gate.path.write_text("open for ever")
    repository.commit_on("two", {"two.txt": "fine\n"})
    assert type_in(repository.path, "queue", "add", "two").status == 0
    while not ("two@" in (line := second.read_complaint()) and " landed in " in line):
        assert line, "it ended too early"
    second.send_signal(signal.SIGINT)
    assert ended(second).status == 130
    assert repository.show("main", "two.txt") == "fine\n"


def test_ctrl_c_during_a_check_leaves_the_entry_for_the_next_processor(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    configure(repository, f'version: 1\nchecks:\n  slow: {{run: "{gate.wait}"}}\n')
    repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    first = start(repository, "queue", "process")
    wait_for_event(repository, "check.started", stream="queue:main")
    first.send_signal(signal.SIGINT)
    assert ended(first).status == 130
    gate.path.unlink()
    gate.path.write_text("open for ever")
    assert waiting(repository) == ["one"]
    assert process(repository).status == 0


def test_after_kill_9_during_a_check_the_next_processor_lands_it_once(repository: RepositoryBuilder) -> None:
    gate, arrival = make_gate(repository.path.parent), make_gate(repository.path.parent, "arrival")
    configure(repository, f'version: 1\nchecks:\n  slow: {{run: "{arrival.announce}; {gate.wait}"}}\n')
    repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    first = start(repository, "queue", "process")
    arrival.await_arrival()
    first.kill()
    ended(first)
    doctor = " ".join(type_in(repository.path, "doctor").out.split())
    assert re.search(r"refs/cli-orchestrator/candidate/main/[0-9a-f]+ was left by a dead process", doctor)
    assert "1 entry waits for main and nobody processes it" in doctor
    arrival.path.unlink()
    gate.path.unlink()
    gate.path.write_text("open for ever")
    assert process(repository).status == 0
    assert "entry waits" not in type_in(repository.path, "doctor").out
    events = type_in(repository.path, "events", "queue:main", "--type", "merge.landed", "--format", "json")
    assert len(events.document["events"]) == 1


def test_an_entry_that_is_being_checked_can_be_cancelled(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    configure(repository, f'version: 1\nchecks:\n  slow: {{run: "{gate.wait}"}}\n')
    repository.commit_on("one", {"one.txt": "fine\n"})
    type_in(repository.path, "queue", "add", "one")
    processor = start(repository, "queue", "process")
    wait_for_event(repository, "check.started", stream="queue:main")
    told = type_in(repository.path, "queue", "cancel", "one", "--reason", "not yet", "--format", "json")
    assert f"pid {processor.pid}" in told.document["told"]
    done = ended(processor)
    assert done.status == 1
    assert "one -> main  CANCELLED: not yet" in done.out
    assert "one.txt" not in repository.files("main")


def test_two_people_who_add_the_same_branch_at_once_get_one_entry(repository: RepositoryBuilder) -> None:
    repository.commit_on("one", {"one.txt": "fine\n"})
    both = [start(repository, "queue", "add", "one") for _ in range(2)]
    assert [ended(each).status for each in both] == [0, 0]
    assert waiting(repository) == ["one"]
    assert process(repository).status == 0
