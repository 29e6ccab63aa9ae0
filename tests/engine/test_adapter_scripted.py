"""The scripted tool does what its script says, the bad things included."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli_multi_rapid.adapters.scripted import ScriptedAdapter
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import FailureClass, Usage
from cli_multi_rapid.core.money import MicroUsd
from cli_multi_rapid.core.plan import JsonObject, Script
from tests.contract.adapter_world import AdapterWorld, Attempt
from tests.fakes.repositories import make_repository


@pytest.fixture
def world(tmp_path: Path) -> AdapterWorld:
    for name in ("slot", "temp"):
        (tmp_path / name).mkdir()
    return AdapterWorld(tmp_path / "slot", tmp_path / "temp")


def run(world: AdapterWorld, *steps: JsonObject, attempt: int = 1) -> Attempt:
    return world.run(ScriptedAdapter(), Script(steps=steps), attempt=attempt)


def test_it_says_that_it_is_scripted(world: AdapterWorld) -> None:
    assert "no model" in ScriptedAdapter().describe()
    assert run(world).text.startswith("scripted tool: following a script, no model is asked\n")


def test_it_writes_appends_and_deletes(world: AdapterWorld) -> None:
    (world.slot / "old.txt").write_text("old")
    attempt = run(
        world,
        {"write": "a/b.txt", "text": "one\n"},
        {"append": "a/b.txt", "text": "two\n"},
        {"append": "new.txt", "text": "x"},
        {"delete": "old.txt"},
        {"say": "all written"},
    )
    assert attempt.reading.summary == "all written"
    assert world.files() == {"a/b.txt": "one\ntwo\n", "new.txt": "x"}


def test_it_reports_cost_tokens_and_session(world: AdapterWorld) -> None:
    attempt = run(world, {"cost": 0.25, "tokens": 1000}, {"cost": "0.5", "tokens": 200})
    assert attempt.reading.usage == Usage(cost=MicroUsd(750_000), output_tokens=1200, source="tool")
    assert attempt.reading.session_id == attempt.invocation.session_id == "scripted-r1-n1"


def test_a_failure_costs_what_was_spent_before_it(world: AdapterWorld) -> None:
    attempt = run(world, {"cost": 1}, {"fail": "overloaded", "exit": 9, "failure": "transient"}, {"cost": 1})
    assert attempt.exit_code == 9
    assert attempt.reading.reason == "overloaded"
    assert attempt.reading.failure is FailureClass.TRANSIENT
    assert attempt.reading.usage.cost == 1_000_000


def test_attempts_can_differ(world: AdapterWorld) -> None:
    script: JsonObject = {"attempts": {"1": [{"fail": "not yet"}], "3": [{"say": "now"}]}}
    readings = [run(world, script, attempt=attempt).reading for attempt in (1, 2, 3, 4)]
    assert [reading.ok for reading in readings] == [False, False, True, True]


def test_exit_code_0_without_a_record_is_a_failure(world: AdapterWorld) -> None:
    attempt = run(world, {"say": "done"}, {"no_record": True})
    assert attempt.exit_code == 0
    assert attempt.reading.reason == "ended without its final record (exit code 0)"


def test_a_flood_is_as_long_as_asked_and_the_record_comes_after_it(world: AdapterWorld) -> None:
    attempt = run(world, {"flood": 100_001})
    assert attempt.reading.ok
    assert attempt.output.count(b"0123456789abcdef") >= 6150
    assert 100_001 < len(attempt.output) < 100_400


def test_it_commits_like_an_agent_that_has_its_own_git(world: AdapterWorld) -> None:
    repository = make_repository(world.slot, {"a.txt": "a"})
    attempt = run(
        world, {"git": ["mv", "a.txt", "b.txt"]}, {"write": "c.txt", "text": "c"}, {"commit": "--amend"}
    )
    assert attempt.reading.ok, attempt.text
    log = repository.git("log", "-1", "--format=%s", "--name-status")
    assert log.split() == ["--amend", "R100", "a.txt", "b.txt", "A", "c.txt"]


def test_a_git_command_that_fails_ends_the_script(world: AdapterWorld) -> None:
    assert run(world, {"git": ["no-such-command"]}).reading.reason == "git: exit code 1"


def test_a_detached_child_outlives_the_script_in_a_session_of_its_own(world: AdapterWorld) -> None:
    brief = world.brief(Script(steps=({"spawn_detached": 987.25},)))
    invocation = ScriptedAdapter().prepare(brief)
    with (world.temp / "out").open("wb") as out:
        done = subprocess.run(invocation.argv, env=invocation.env, cwd=world.slot, stdout=out, check=False)
    assert done.returncode == 0
    listing = subprocess.run(["ps", "-eo", "pid=,sid=,args="], capture_output=True, text=True, check=True)
    (child,) = [line.split() for line in listing.stdout.splitlines() if line.endswith("sleep 987.25")]
    os.kill(int(child[0]), signal.SIGKILL)
    assert int(child[1]) != os.getsid(0)


def test_it_can_hang_and_be_deaf_to_sigterm(world: AdapterWorld) -> None:
    brief = world.brief(Script(steps=({"ignore_sigterm": True}, {"say": "deaf"}, {"hang": True})))
    invocation = ScriptedAdapter().prepare(brief)
    with subprocess.Popen(
        invocation.argv, env=invocation.env, cwd=world.slot, stdout=subprocess.PIPE, start_new_session=True
    ) as program:
        assert program.stdout is not None
        while program.stdout.readline() != b"deaf\n":
            continue
        program.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.3)
        program.kill()


def test_it_takes_its_time(world: AdapterWorld) -> None:
    began = time.monotonic()
    run(world, {"sleep": 0.3})
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"wirte": "x"}, "step 1 has no keyword, only wirte"),
        ({}, "step 1 has no keyword, only nothing"),
        ({"say": "x", "hang": True}, "several keywords: say, hang"),
        ({"say": "x", "text": "y"}, "`say` takes no text"),
        ({"say": 3}, "`say`: expected a text"),
        ({"sleep": -1}, "not negative"),
        ({"sleep": True}, "not negative"),
        ({"cost": "a lot"}, "not an amount"),
        ({"cost": True}, "an amount"),
        ({"cost": 1, "tokens": 1.5}, "whole number"),
        ({"fail": "x", "exit": 0}, "between 1 and 255"),
        ({"fail": "x", "failure": "odd"}, "odd"),
        ({"hang": False}, "expected `true`"),
        ({"git": "status"}, "list of arguments"),
        ({"attempts": {"first": []}}, "maps numbers"),
        ({"attempts": []}, "maps numbers"),
        ({"attempts": {"1": {}}}, "list of steps"),
        ({"attempts": {"1": [], "2": [{"odd": 1}]}}, "attempt 2, step 1"),
        ({"attempts": {"1": ["say"]}}, "no mapping"),
    ],
)
def test_a_step_that_is_none_is_refused_before_anything_runs(
    step: JsonObject, message: str, world: AdapterWorld
) -> None:
    with pytest.raises(UserError, match=r"node n1: step 1") as error:
        run(world, step)
    assert message in error.value.message


@pytest.mark.parametrize("path", ["../x", "/tmp/x", ".git/hooks/x"])
def test_it_stays_in_the_slot(path: str, world: AdapterWorld) -> None:
    attempt = run(world, {"write": path, "text": "x"})
    assert attempt.exit_code == 1
    assert repr(path) in attempt.reading.reason
