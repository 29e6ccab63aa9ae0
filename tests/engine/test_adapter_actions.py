"""The steps of a phase, done without a model."""

from pathlib import Path

import pytest

from cli_multi_rapid.adapters.actions import ActionsAdapter
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.plan import (
    Action,
    Actions,
    Argv,
    MakeDirs,
    PythonCall,
    RunTests,
    ShellLine,
    WriteFile,
)
from tests.contract.adapter_world import AdapterWorld, Attempt


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    for name in ("slot", "temp"):
        (tmp_path / name).mkdir()
    return AdapterWorld(tmp_path / "slot", tmp_path / "temp")


def run(world: AdapterWorld, *actions: Action) -> Attempt:
    return world.run(ActionsAdapter(), Actions(actions=actions))


def test_steps_are_done_in_order_and_each_is_announced_before_its_output(world: AdapterWorld) -> None:
    attempt = run(
        world,
        MakeDirs(paths=("docs",)),
        WriteFile(path="docs/index.md", text="# Docs\r\n"),
        Argv(argv=("cat", "docs/index.md")),
        ShellLine(run="echo $((6 * 7)) && cp docs/index.md copy.md"),
    )
    assert attempt.text.splitlines()[:6] == [
        "[1/4] mkdirs docs",
        "[2/4] write docs/index.md",
        "[3/4] run cat docs/index.md",
        "# Docs",
        "[4/4] run echo $((6 * 7)) && cp docs/index.md copy.md",
        "42",
    ]
    assert attempt.reading.ok
    assert attempt.reading.summary == "4 of 4 steps done"
    assert (world.slot / "copy.md").read_bytes() == b"# Docs\r\n"


def test_the_first_failing_step_ends_the_node_with_its_name_and_exit_code(world: AdapterWorld) -> None:
    attempt = run(world, ShellLine(run="exit 7"), WriteFile(path="late.txt", text=""))
    assert attempt.exit_code == 7
    assert attempt.reading.reason == "[1/2] run exit 7: exit code 7"
    assert world.files() == {}


def test_a_step_that_a_signal_ends_says_which(world: AdapterWorld) -> None:
    attempt = run(world, ShellLine(run="kill -KILL $$"))
    assert attempt.exit_code == 137
    assert "ended by SIGKILL" in attempt.reading.reason


def test_a_program_that_is_not_there_is_named(world: AdapterWorld) -> None:
    attempt = run(world, Argv(argv=("no-such-program", "--now")))
    assert attempt.exit_code == 1
    assert "the program no-such-program" in attempt.reading.reason
    assert attempt.reading.failure is FailureClass.TOOL_MISSING


def test_functions_of_the_repository_are_called(world: AdapterWorld) -> None:
    (world.slot / "steps.py").write_text("def add(a, b):\n    open('sum', 'w').write(str(a + b))\n")
    attempt = run(world, PythonCall(target="steps:add", kwargs={"a": 40, "b": 2}))
    assert attempt.reading.ok, attempt.text
    assert (world.slot / "sum").read_text() == "42"


def test_tests_are_pytest_unless_told_otherwise(world: AdapterWorld) -> None:
    (world.slot / "test_it.py").write_text("def test_it():\n    assert False, 'by design'\n")
    attempt = run(world, RunTests(argv=("sh", "-c", "echo own tests")), RunTests())
    assert "[2/2] tests pytest -q" in attempt.text
    assert not attempt.reading.ok


def test_a_folder_that_stays_empty_is_kept_for_git_and_others_are_not_littered(world: AdapterWorld) -> None:
    run(world, MakeDirs(paths=("empty", "used", "a/b")), WriteFile(path="used/x", text="x"))
    assert set(world.files()) == {"empty/.gitkeep", "used/x", "a/b/.gitkeep"}


@pytest.mark.parametrize(
    "path", ["../out.txt", "/tmp/out.txt", "link/out.txt", "dangling", ".git/config", "a/.GIT/x", ""]
)
def test_writes_stay_inside_the_slot(path: str, world: AdapterWorld, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (world.slot / "link").symlink_to(tmp_path / "elsewhere")
    (world.slot / "dangling").symlink_to(tmp_path / "elsewhere" / "not-yet")
    for action in (WriteFile(path=path, text="x"), MakeDirs(paths=(path,))):
        attempt = run(world, action)
        assert not attempt.reading.ok
        assert "[1/1]" in attempt.reading.reason
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert sorted(path.name for path in world.slot.iterdir()) == ["dangling", "link"]


def test_a_link_that_stays_inside_may_be_written_through(world: AdapterWorld) -> None:
    (world.slot / "real").mkdir()
    (world.slot / "link").symlink_to("real")
    assert run(world, WriteFile(path="link/x", text="x")).reading.ok
    assert (world.slot / "real" / "x").read_text() == "x"


def test_a_step_may_print_what_looks_like_our_record_without_deciding_the_end(world: AdapterWorld) -> None:
    lie = '{"type": "result", "result": "all fine", "cost": 1}'
    attempt = run(world, ShellLine(run=f"printf '%s' '{lie}'; exit 3"))
    assert not attempt.reading.ok
    assert "exit code 3" in attempt.reading.reason
