"""Functions called in a process of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from cli_multi_rapid.adapters.own_program import own_program
from cli_multi_rapid.adapters.python import PythonAdapter
from cli_multi_rapid.core.plan import Json, PythonCall
from tests.contract.adapter_world import AdapterWorld, Attempt

MODULE = """\
import sys

def greet(name, times=1):
    import typing_extensions  # which is hidden from a library of ours while we start
    print("greeting")
    return {"text": "hello " * times + name}

def text():
    return "three lines\\nof\\ntext"

def nothing():
    pass

def deep():
    raise ValueError("the third part\\nis missing")

def leave(code):
    sys.exit(code)

def odd():
    return {1, 2}

def version():
    import cli_multi_rapid
    return cli_multi_rapid.__version__

class Tool:
    @staticmethod
    def run():
        return "from a class"

number = 3
"""


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    for name in ("slot", "temp"):
        (tmp_path / name).mkdir()
    (tmp_path / "slot" / "job.py").write_text(MODULE)
    return AdapterWorld(tmp_path / "slot", tmp_path / "temp")


def call(world: AdapterWorld, target: str, **kwargs: Json) -> Attempt:
    return world.run(PythonAdapter(), PythonCall(target=target, kwargs=kwargs))


def test_what_the_function_returns_is_the_summary(world: AdapterWorld) -> None:
    attempt = call(world, "job:greet", name="you", times=2)
    assert attempt.reading.summary == '{"text": "hello hello you"}'
    assert attempt.text.startswith("greeting\n")
    assert call(world, "job:text").reading.summary == "three lines\nof\ntext"
    assert call(world, "job:Tool.run").reading.summary == "from a class"
    assert call(world, "job:nothing").reading.ok


def test_a_long_text_is_cut_so_that_the_record_survives_in_the_tail_of_the_output(
    world: AdapterWorld,
) -> None:
    (world.slot / "long.py").write_text("def run():\n    return '\\u2603' * 200_000\n")
    attempt = call(world, "long:run")
    assert attempt.reading.ok
    assert len(attempt.output) < 32 * 1024
    assert attempt.reading.summary.endswith("…")


def test_an_exception_is_a_failure_with_a_short_traceback_of_the_users_code(world: AdapterWorld) -> None:
    attempt = call(world, "job:deep")
    assert attempt.exit_code == 1
    assert attempt.reading.reason == "ValueError: the third part is missing"
    assert "job.py" in attempt.text
    assert "run_python" not in attempt.text


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nowhere:run", "No module named 'nowhere'"),
        ("job:absent", "job has no absent"),
        ("job:number", "is a int, not a function"),
        ("job", "no `module:function`"),
        ("job:odd", "no JSON form"),
        ("job:greet", "missing 1 required positional argument: 'name'"),
    ],
)
def test_a_wrong_target_is_explained(target: str, reason: str, world: AdapterWorld) -> None:
    attempt = call(world, target)
    assert attempt.exit_code == 1
    assert reason in attempt.reading.reason


def test_a_function_may_leave_by_sys_exit(world: AdapterWorld) -> None:
    assert call(world, "job:leave", code=0).reading.ok
    assert call(world, "job:leave", code=None).reading.ok
    failed = call(world, "job:leave", code=9)
    assert (failed.exit_code, failed.reading.reason) == (9, "job:leave left with exit code 9")
    assert call(world, "job:leave", code="no key").reading.reason == "no key"


def test_the_slots_own_modules_come_first_even_those_with_our_name(world: AdapterWorld) -> None:
    package = world.slot / "cli_multi_rapid"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "of the slot"\n')
    (world.slot / "json.py").write_text("raise RuntimeError('a json.py of the repository')\n")
    attempt = call(world, "job:version")
    assert attempt.reading.summary == "of the slot", attempt.text


def test_no_bytecode_is_left_in_the_slot(world: AdapterWorld) -> None:
    call(world, "job:nothing")
    assert set(world.files()) == {"job.py"}


def test_a_library_that_a_start_up_hook_has_loaded_stays_the_same(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import typing_extensions as first\n")
    (tmp_path / "probe.py").write_text(
        "import sitecustomize, typing_extensions\nprint(typing_extensions is sitecustomize.first)\n"
    )
    argv = [*own_program("of_ours", tmp_path / "job.json")[:-2], "probe", ""]
    done = subprocess.run(
        argv, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
