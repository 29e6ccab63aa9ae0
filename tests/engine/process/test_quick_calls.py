"""Programs that we wait for, the environment they get, and where they are found."""

import os
import signal
from pathlib import Path

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.process import (
    MARKER_VARIABLE,
    ProgramMissing,
    ProgramTimeout,
    base_environment,
    inherited_environment,
    run,
    which,
)
from tests.engine.process.bench import is_alive, linux_only, until


def test_a_quick_call_gives_output_errors_and_return_code() -> None:
    done = run(["sh", "-c", "cat; echo two; echo ' wrong ' >&2; exit 3"], env=os.environ, stdin=b"one\n")
    assert (done.ok, done.returncode, done.text, done.error_text) == (False, 3, "one\ntwo", "wrong")
    assert done.argv[0] == "sh"


def test_a_quick_call_sees_the_given_environment_and_nothing_else() -> None:
    assert run(["/usr/bin/env"], env={"ONLY": "this"}).text == "ONLY=this"


def test_a_quick_call_runs_in_the_given_folder_with_nothing_to_read(tmp_path: Path) -> None:
    assert run(["sh", "-c", "pwd; cat"], cwd=tmp_path, env=os.environ).text == str(tmp_path)


def test_bytes_that_are_no_text_survive_a_quick_call() -> None:
    done = run(["printf", r"\377\n"], env=os.environ)
    assert done.text.encode("utf-8", "surrogateescape") == b"\xff"


def test_a_quick_call_takes_and_gives_more_than_a_pipe_holds() -> None:
    data = b"x" * 1_000_000
    done = run(["sh", "-c", "cat | tee /dev/stderr"], env=os.environ, stdin=data)
    assert (done.stdout, done.stderr) == (data, data)


def test_a_signal_shows_as_a_negative_return_code() -> None:
    assert run(["sh", "-c", "kill -TERM $$"], env=os.environ).returncode == -signal.SIGTERM


def test_a_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program") as caught:
        run(["no-such-program"], env=os.environ)
    assert "install" in caught.value.hint


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no program")
    with pytest.raises(ProgramMissing, match="cannot be executed"):
        run([str(tmp_path / "data")], env=os.environ)


def test_a_missing_folder_is_not_mistaken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"folder .*gone") as caught:
        run(["true"], cwd=tmp_path / "gone", env=os.environ)
    assert not isinstance(caught.value, ProgramMissing)


def test_a_nul_in_an_argument_is_the_callers_mistake() -> None:
    with pytest.raises(UserError, match="NUL"):
        run(["echo", "a\0b"], env=os.environ)


def test_an_overlong_command_line_is_explained() -> None:
    with pytest.raises(EnvironmentFault, match="too long"):
        run(["true", "x" * 10_000_000], env=os.environ)


@linux_only
def test_a_quick_call_that_takes_too_long_dies_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(ProgramTimeout, match=r"within 0\.3 s"):
        run(["sh", "-c", "sleep 1000 & echo $! >pid; wait"], cwd=tmp_path, env=os.environ, timeout_s=0.3)
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the death of the child")


@linux_only
def test_a_quick_call_that_takes_too_long_may_remove_its_locks(tmp_path: Path) -> None:
    work = "touch lock; trap 'rm lock; exit' TERM; touch ready; while :; do sleep 0.02; done"
    with pytest.raises(ProgramTimeout):
        run(["sh", "-c", work], cwd=tmp_path, env=os.environ, timeout_s=0.3)
    assert (tmp_path / "ready").exists()
    assert not (tmp_path / "lock").exists()


def test_an_agent_gets_what_it_needs_and_what_it_declares_but_no_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GIT_DIR", "CLI_ORCHESTRATOR_HOME", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LC_TIME", "C")
    env = base_environment({"ANTHROPIC_API_KEY": "declared"})
    assert env["PATH"] == os.environ["PATH"]
    assert env["HOME"] == os.environ["HOME"]
    assert (env["LC_TIME"], env["ANTHROPIC_API_KEY"]) == ("C", "declared")
    assert env.keys().isdisjoint(
        {"GIT_DIR", "CLI_ORCHESTRATOR_HOME", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD"}
    )


def test_a_users_command_gets_the_users_environment_without_gits_and_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "x")
    monkeypatch.setenv(MARKER_VARIABLE, "x")
    monkeypatch.setenv("MY_SETTING", "kept")
    env = inherited_environment()
    assert env["MY_SETTING"] == "kept"
    assert not [name for name in env if name.startswith(("GIT_", "CLI_ORCHESTRATOR_"))]


def test_a_program_is_found_on_the_given_path_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    env = {"PATH": f"relative:.::{tmp_path}"}
    assert which("tool", env) is None
    program.chmod(0o755)
    assert which("tool", env) == program
    assert which("tool", {"PATH": ".:"}) is None
    assert which("./tool", {}) == program
    assert which(str(program), {}) == program
    assert which(str(tmp_path), {}) is None
    assert which("", env) is None
    assert which("sh", {}) is not None
