"""Keeping house: streams, tools, worktrees, doctor, and the help of every command."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli_multi_rapid.cli.main import ENTRIES, cli
from cli_multi_rapid.process_tree import find_marked, kill_marked
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import (
    ended,
    latest_run,
    leave_behind,
    living_run,
    make_gate,
    node,
    plan_of,
    writes,
)
from tests.fakes.repositories import RepositoryBuilder, make_empty_repository, make_repository
from tests.fakes.wardens import kill_with_wardens

EXAMPLES = Path(__file__).parent.parent / "data" / "examples"
OURS = (
    *("runs", "status", "watch", "logs", "events", "replay", "report", "export", "import", "cost"),
    *("resume", "cancel", "pause", "unpause", "retry", "approve", "reject", "waive", "inject", "queue"),
    *("streams", "tools", "worktrees", "doctor", "coordination"),
)


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def commands() -> Iterator[tuple[str, ...]]:
    """Every command of ours, with those of the groups."""
    context = click.Context(cli)
    for name in OURS:
        command = cli.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, inner) for inner in command.list_commands(context))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_the_help_of_a_command_says_what_it_does_and_how_to_type_it(
    repository: RepositoryBuilder, words: tuple[str, ...]
) -> None:
    told = type_in(repository.path, *words, "--help")
    assert told.status == 0
    assert f"cli-orchestrator {words[0]}" in told.out.partition("Examples:")[2]
    assert max(map(len, told.out.splitlines())) <= 80


def test_the_table_of_commands_names_every_command_of_ours() -> None:
    assert set(OURS) <= set(ENTRIES)


# --- streams ------------------------------------------------------------------------------------------------


def test_the_streams_of_a_file_are_listed_in_their_order(repository: RepositoryBuilder) -> None:
    text = (EXAMPLES / "multi_stream.yaml").read_text()
    repository.commit({"workflows/multi_stream.yaml": text})
    document = type_in(repository.path, "streams", "list", "--format", "json").document
    assert schema_violations(document, "stream_list") == []
    assert [stream["id"] for stream in document["streams"]][:3] == ["stream-a", "stream-b", "stream-c"]
    listed = type_in(repository.path, "streams", "list").out
    assert "1. parallel" in listed
    shown = type_in(repository.path, "streams", "show", "stream-e").out
    assert "docs/**" in shown
    assert "stream-a" not in shown.partition("after")[0]


def test_streams_that_are_not_there_are_named(repository: RepositoryBuilder) -> None:
    assert "cli-orchestrator init" in type_in(repository.path, "streams", "list").err
    wrong = type_in(repository.path, "streams", "show", "stream-x", EXAMPLES / "multi_stream.yaml")
    assert (wrong.status, "did you mean" in wrong.err) == (2, True)
    assert type_in(repository.path, "streams", "list", "none.yaml").status == 2


# --- tools --------------------------------------------------------------------------------------------------

TOOLS = """\
version: 1
tools:
  - {name: quick, argv: [sh, "{prompt}"], version_cmd: [sh, -c, "echo quick 1.2.3"], cost_class: free}
  - {name: gone, argv: [no-such-program, "{prompt}"], version_cmd: [no-such-program, --version]}
"""


def test_tools_are_listed_with_whether_they_can_be_used(repository: RepositoryBuilder) -> None:
    repository.write({"config/tools.yaml": TOOLS})
    document = type_in(repository.path, "tools", "list", "--format", "json").document
    assert schema_violations(document, "tool_list") == []
    usable = {tool["name"]: tool["usable"] for tool in document["tools"]}
    assert (usable["shell"], usable["quick"], usable["gone"]) == (True, True, False)
    text = type_in(repository.path, "tools", "list").out
    assert "not asked yet" in text
    assert "no-such-program" in text


def test_pinged_tools_are_remembered_in_a_file(repository: RepositoryBuilder) -> None:
    repository.write({"config/tools.yaml": TOOLS})
    pinged = type_in(repository.path, "tools", "ping", "--format", "json")
    assert pinged.status == 0
    health = {tool["name"]: tool["health"] for tool in pinged.document["tools"]}
    assert (health["quick"]["status"], health["quick"]["version"]) == ("healthy", "1.2.3")
    assert health["gone"]["status"] == "unhealthy"
    remembered = json.loads((repository.path / "state/tool_health.json").read_text())
    assert schema_violations(remembered, "tool_health") == []
    assert remembered["quick"]["version"] == "1.2.3"
    assert "healthy 1.2.3" in type_in(repository.path, "tools", "list").out


def test_a_named_tool_that_does_not_answer_is_an_environment_fault(repository: RepositoryBuilder) -> None:
    repository.write({"config/tools.yaml": TOOLS})
    assert type_in(repository.path, "tools", "ping", "quick").status == 0
    assert type_in(repository.path, "tools", "ping", "gone").status == 5
    wrong = type_in(repository.path, "tools", "ping", "quik")
    assert (wrong.status, "did you mean `quick`?" in wrong.err) == (2, True)


# --- worktrees ----------------------------------------------------------------------------------------------


def leave_slot(repository: RepositoryBuilder, *, survivors: bool = False) -> None:
    """A worktree with half a work in it, whose process was killed; its tool lives on or not."""
    gate, arrival = make_gate(repository.path.parent), make_gate(repository.path.parent, "arrival")
    plan = plan_of(node("a", f"echo half > a.txt; {arrival.announce}; {gate.wait}"))
    with living_run(repository, plan) as run:
        arrival.await_arrival()
        if survivors:
            kill_with_wardens(run, latest_run(repository))
        run.kill()
        ended(run)
    if not survivors:
        kill_marked(latest_run(repository))


def test_worktrees_with_unsaved_work_are_kept_until_forced(repository: RepositoryBuilder) -> None:
    leave_slot(repository)
    listed = type_in(repository.path, "worktrees", "list", "--format", "json").document
    assert schema_violations(listed, "worktrees") == []
    (slot,) = listed["worktrees"]
    assert (slot["state"], slot["unsaved"]) == ("orphaned", "holds changes that no branch has")
    assert "cli-orchestrator worktrees clean" in type_in(repository.path, "worktrees", "list").out

    cleaned = type_in(repository.path, "worktrees", "clean", "--format", "json").document
    assert schema_violations(cleaned, "cleaned") == []
    assert [kept["name"] for kept in cleaned["kept"]] == [slot["name"]]
    assert (Path(slot["path"]) / "a.txt").read_text() == "half\n"
    assert "clean --force" in type_in(repository.path, "worktrees", "clean").out
    assert type_in(repository.path, "worktrees", "clean", "--force").status == 0
    assert not Path(slot["path"]).exists()
    assert type_in(repository.path, "worktrees", "list").out == "there are no worktrees\n"


def test_a_worktree_in_use_is_never_removed(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}; echo a > a.txt"))) as run:
        cleaned = type_in(repository.path, "worktrees", "clean", "--force").out
        gate.open()
        assert ended(run).status == 0
    assert "in use" in cleaned or "removed 0" in cleaned


def test_a_worktree_that_a_process_of_a_dead_run_works_in_stays(repository: RepositoryBuilder) -> None:
    leave_slot(repository, survivors=True)
    (slot,) = type_in(repository.path, "worktrees", "list", "--format", "json").document["worktrees"]
    run_id = latest_run(repository)
    pids = [str(left.pid) for left in find_marked(run_id)]
    try:
        for more in ([], ["--force"]):
            told = type_in(repository.path, "worktrees", "clean", *more).out
            pid = told.partition(f"kept {slot['name']}: in use by pid ")[2].partition(" ")[0]
            assert pid in pids
            assert f"cli-orchestrator resume {run_id}, or end it: kill {pid}\n" in told
            assert "clean --force" not in told
        assert (Path(slot["path"]) / "a.txt").exists()
    finally:
        kill_marked(run_id)
    assert "removed 1" in type_in(repository.path, "worktrees", "clean", "--force").out


# --- doctor -------------------------------------------------------------------------------------------------


def findings(repository: RepositoryBuilder, *words: str) -> list[dict[str, str]]:
    document = type_in(repository.path, "doctor", *words, "--format", "json").document
    assert schema_violations(document, "doctor") == []
    found = document["findings"]
    assert isinstance(found, list)
    return found


def test_a_healthy_place_is_called_so_and_left_as_it_was(repository: RepositoryBuilder) -> None:
    repository.commit({"config/orchestrator.yaml": "version: 1\nchecks: {fine: {run: 'true'}}\n"})
    told = type_in(repository.path, "doctor")
    assert told.status == 0
    assert told.out.endswith("all is well\n")
    assert not (repository.path / "state").exists()


def test_a_place_without_repository_or_commit_is_told_what_to_do(tmp_path: Path) -> None:
    outside = type_in(tmp_path, "doctor")
    assert (outside.status, "git init" in outside.out) == (5, True)
    empty = make_empty_repository(tmp_path / "empty")
    assert "git commit --allow-empty" in type_in(empty.path, "doctor").out


def test_wrong_configuration_and_missing_programs_are_problems(repository: RepositoryBuilder) -> None:
    repository.write({"config/orchestrator.yaml": "version: 1\nchecks: {magic: {argv: [no-such-program]}}\n"})
    assert "magic needs no-such-program" in type_in(repository.path, "doctor").out
    repository.write({"config/orchestrator.yaml": "version: 1\nworkers: many\n"})
    told = type_in(repository.path, "doctor")
    assert told.status == 5
    assert "cli-orchestrator validate config/orchestrator.yaml" in told.out


def test_leftovers_come_with_what_puts_them_in_order(repository: RepositoryBuilder) -> None:
    leave_slot(repository)
    run_id = leave_behind(repository, plan_of(writes("b")))
    commands = {finding["command"] for finding in findings(repository)}
    assert f"cli-orchestrator resume {run_id}" in commands
    assert "cli-orchestrator worktrees clean" in commands


def test_a_process_that_outlived_its_run_is_a_problem(repository: RepositoryBuilder) -> None:
    run_id = leave_behind(repository, plan_of(writes("a")))
    gate = make_gate(repository.path.parent)
    stray = subprocess.Popen(
        ["sh", "-c", gate.wait], env={**os.environ, "CLI_ORCHESTRATOR_MARKER": f"{run_id}/a/1"}
    )
    try:
        told = type_in(repository.path, "doctor")
    finally:
        gate.open()
        stray.wait()
    assert told.status == 5
    told_words = " ".join(told.out.split())
    assert f"pid {stray.pid} of {run_id} lives on although nobody drives that" in told_words


def test_a_run_at_work_is_named_with_its_process_and_is_no_problem(repository: RepositoryBuilder) -> None:
    gate = make_gate(repository.path.parent)
    with living_run(repository, plan_of(node("a", f"{gate.wait}; echo a > a.txt"))) as run:
        told = type_in(repository.path, "doctor")
        gate.open()
        ended(run)
    assert told.status == 0
    assert f"is driven by pid {run.pid}" in " ".join(told.out.split())
