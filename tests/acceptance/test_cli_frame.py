"""What holds for every command: help, errors, exit codes, streams, interruption, start-up."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from cli_multi_rapid.cli import main as entry
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import PACKAGE_ROOT, start_in, type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository

HEAVY = ("sqlmodel", "sqlalchemy", "jsonschema", "rich", "networkx", "yaml", "sqlite3")
SLOW = """\
plan_id: slow
nodes:
  - {id: n1, tool: shell, run: echo begun > begun.txt; sleep 60, path_claims: [begun.txt], retries: 0}
merge_policy: {checklist: []}
"""
QUICK = """\
nodes:
  - {id: n1, tool: shell, run: echo 1 > one.txt, path_claims: [one.txt]}
merge_policy: {checklist: []}
"""
DEAR = """\
nodes:
  - {id: n1, tool: scripted, goal: g, est_cost: 5, script: [{write: a, text: b}], path_claims: [a]}
merge_policy: {checklist: []}
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


@pytest.mark.parametrize("name", [*entry.ENTRIES])
def test_every_command_has_help_with_examples(tmp_path: Path, name: str) -> None:
    ended = type_in(tmp_path, name, "--help")
    assert ended.status == 0
    assert re.search(r"^ *Examples?:\n +\S*cli-orchestrator ", ended.out, re.MULTILINE), ended.out


def test_help_lists_every_command_and_imports_none_of_them() -> None:
    script = (
        "import sys\n"
        "from cli_multi_rapid.cli.main import main\n"
        "status = main(['--help'])\n"
        "print([name for name in sys.modules if name.startswith('cli_multi_rapid.')], file=sys.stderr)\n"
        "print(sorted(set(sys.argv[1:]) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *HEAVY],
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    ours, heavy = done.stderr.splitlines()
    assert all(f"  {name} " in done.stdout for name in entry.ENTRIES)
    assert heavy == "[]"
    assert "execute" not in ours


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"], ["-V"]])
def test_asking_for_help_or_version_is_no_failure(tmp_path: Path, words: list[str]) -> None:
    ended = type_in(tmp_path, *words)
    assert (ended.status, ended.err) == (0, "")
    assert "cli-orchestrator" in ended.out


def test_no_words_at_all_show_the_help_as_a_usage_error(tmp_path: Path) -> None:
    ended = type_in(tmp_path)
    assert (ended.status, ended.out) == (2, "")
    assert "Usage:" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exceute"], "did you mean `execute`?"),
        (["execute", "--wokers", "3"], "--workers"),
        (["execute", "--workers", "0"], "--workers"),
        (["graph"], "FILE"),
        (["execute", "--repo", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_word_is_named_with_the_way_out(tmp_path: Path, words: list[str], said: str) -> None:
    ended = type_in(tmp_path, *words)
    assert ended.status == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert said in ended.err
    assert "hint: see: cli-orchestrator" in ended.err


@pytest.mark.parametrize("words", [["execute", "--format", "json", "--bogus"], ["exceute", "--format=json"]])
def test_errors_are_a_document_too_when_json_was_asked_for(tmp_path: Path, words: list[str]) -> None:
    ended = type_in(tmp_path, *words)
    assert ended.status == 2
    assert ended.err == ""
    assert schema_violations(ended.document, "error") == []
    assert (ended.document["error"]["code"], ended.document["error"]["exit_code"]) == ("usage", 2)


def test_text_that_could_steer_the_terminal_is_told_without_its_power(tmp_path: Path) -> None:
    ended = type_in(tmp_path, "validate", "\x1b[31mred\x1b]0;title\x07.yaml")
    assert ended.status == 2
    assert "red.yaml" in ended.out
    assert "\x1b" not in ended.out + ended.err


def crash_when_called(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def broken() -> None:
        raise error

    def get_command(self: entry.Commands, ctx: click.Context, name: str) -> click.Command:
        return broken

    monkeypatch.setattr(entry.Commands, "get_command", get_command)


def test_a_bug_leaves_a_report_without_secrets_beside_the_other_artifacts(
    repository: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "tok-1234567890abcdef")
    (repository.path / "artifacts").mkdir()
    crash_when_called(monkeypatch, RuntimeError("lost tok-1234567890abcdef"))

    ended = type_in(repository.path, "status")

    (report,) = (repository.path / "artifacts").glob("crash_*.txt")
    assert report.stat().st_mode & 0o777 == 0o600
    assert ended.status == ExitCode.BUG
    assert str(report) in ended.err
    assert "tok-1234567890abcdef" not in ended.err
    assert "RuntimeError: lost [redacted]" in report.read_text()
    assert "Traceback" in report.read_text()
    assert "Traceback" not in ended.err


def test_a_bug_elsewhere_makes_no_folder_and_reports_to_the_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp, here = tmp_path / "temp", tmp_path / "here"
    temp.mkdir()
    here.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    crash_when_called(monkeypatch, ValueError("odd"))

    ended = type_in(here, "status", "--format", "json")

    assert (ended.status, ended.document["error"]["code"]) == (70, "bug")
    assert len(list(temp.iterdir())) == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (OSError(28, "No space left on device", "/somewhere"), 5),
        (BrokenPipeError(), 0),
    ],
)
def test_what_happens_around_the_program_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    crash_when_called(monkeypatch, error)
    ended = type_in(tmp_path, "status")
    assert ended.status == status
    assert "bug" not in ended.err


def test_a_reader_that_goes_away_causes_no_noise(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "cli_multi_rapid.cli.main", "schema", "show", "report"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout is not None
    program.stdout.close()
    _, err = program.communicate(timeout=30)
    assert program.returncode == 0
    assert err == b""


@pytest.mark.parametrize(
    ("redirection", "status"), [(">&-", 0), ("</dev/null >/dev/null 2>&-", 0), (">/dev/full", 5)]
)
def test_missing_and_full_streams_are_no_bug(tmp_path: Path, redirection: str, status: int) -> None:
    program = f"{sys.executable} -m cli_multi_rapid schema list {redirection}"
    done = subprocess.run(
        ["sh", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_an_interrupted_run_says_so_and_can_be_taken_up_again(repository: RepositoryBuilder) -> None:
    (repository.path.parent / "plan.yaml").write_text(SLOW)
    program = subprocess.Popen(
        [sys.executable, "-m", "cli_multi_rapid.cli.main", "execute", "../plan.yaml", "--format", "json"],
        cwd=repository.path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    lines = iter(program.stderr.readline, "")
    assert any("n1 started" in line for line in lines)
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=30)

    report = json.loads(out)
    assert program.returncode == 130
    assert (report["status"], report["exit_code"]) == ("CANCELLED", 130)
    assert any("resume" in (step["command"] or "") for step in report["next"])
    assert schema_violations(report, "report") == []


# --- on a terminal ------------------------------------------------------------------------------------------


def on_a_terminal(repository: RepositoryBuilder, plan: str, *words: str, answer: str = "") -> tuple[int, str]:
    """Run with a terminal on all three streams; answer the first question."""
    (repository.path.parent / "plan.yaml").write_text(plan)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "TERM": "xterm-256color", "COLUMNS": "100"}
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "cli_multi_rapid.cli.main", "execute", "../plan.yaml", *words],
        cwd=repository.path,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 1.0)
        if not ready:
            continue
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer is gone
            break
        if not data:
            break
        seen += data
        if answer and b"run what fits?" in seen:
            os.write(ours, answer.encode() + b"\n")
            answer = ""
    os.close(ours)
    return program.wait(timeout=10), seen.decode()


def test_a_terminal_sees_the_run_move_and_keeps_the_lines_that_matter(repository: RepositoryBuilder) -> None:
    status, seen = on_a_terminal(repository, QUICK)
    assert status == 0, seen
    assert "n1 started (shell)" in seen
    assert "n1 landed in" in seen
    assert "SUCCESS" in seen
    assert "\x1b[" in seen


def test_ci_on_a_terminal_stays_plain(repository: RepositoryBuilder) -> None:
    status, seen = on_a_terminal(repository, QUICK, "--ci")
    assert status == 0, seen
    assert "n1 landed in" in seen
    assert "\x1b" not in seen


def test_a_person_is_asked_before_a_part_of_a_plan_runs(repository: RepositoryBuilder) -> None:
    status, seen = on_a_terminal(repository, DEAR, "--budget", "1", answer="n")
    assert status == 3
    assert "0 of 1 nodes fit" in seen
    assert "nothing was started" in seen
    assert not (repository.path / "state").exists()


def test_who_said_yes_beforehand_is_not_asked(repository: RepositoryBuilder) -> None:
    status, seen = on_a_terminal(repository, DEAR, "--budget", "1", "--yes")
    assert status == 3
    assert "run what fits?" not in seen
    assert "skipped" in seen


def test_the_program_starts_as_a_module(tmp_path: Path) -> None:
    assert start_in(tmp_path, "--version").out.startswith("cli-orchestrator ")
