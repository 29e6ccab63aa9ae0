"""How an attempt ends when something about it is odd: nothing hangs, nothing is lost or told in silence."""

import json
import sys
from pathlib import Path
from typing import cast

import pytest

from cli_multi_rapid.adapters.shell import ShellAdapter
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import Branch, NodeId, RunId, ToolName
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.node_events import NodeAttemptFailed
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.engine.attempt import AttemptRunner
from cli_multi_rapid.engine.attempt_terms import AttemptOrder
from cli_multi_rapid.engine.dispatcher import Dispatcher
from cli_multi_rapid.engine.inbox import AttemptEnded, Inbox
from tests.fakes.worlds import World

NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"
SECRET = "ghp_" + "a1B2" * 8


def test_what_an_ipt_node_writes_is_dropped_but_not_in_silence(world: World) -> None:
    story = world.execute(
        NO_CHECKS + "nodes: [{id: n1, role: ipt, tool: shell, run: 'echo 1 > src/new; rm README.md'}]"
    )
    success = story.node("n1").success
    assert success is not None
    (warning,) = success.warnings
    assert "README.md" in warning
    assert "src/new" in warning
    assert world.repository.files("main") == ["README.md", "src/a.txt"]


def test_a_secret_in_the_prompt_does_not_get_into_the_history(world: World) -> None:
    run_id = world.accept(f"{NO_CHECKS}nodes: [{{id: n1, tool: shell, run: 'echo 1 > src/1'}}]")
    world.tell(run_id, CommandGiven(command="inject", by="me", text=f"use {SECRET}"))
    story = world.drive(run_id)
    assert story.node("n1").landed
    history = world.repository.git("log", "--format=%B", "main")
    assert "use [redacted]" in history
    assert SECRET not in history


def test_sealed_work_lands_though_its_slot_cannot_be_put_away(world: World) -> None:
    run = "echo 1 > src/1.txt; rm -rf ../.pool; touch ../.pool"
    story = world.execute(NO_CHECKS + f"nodes: [{{id: n1, tool: shell, run: '{run}'}}]")
    assert story.finished.exit_code == 0
    assert "src/1.txt" in world.repository.files("main")
    success = story.node("n1").success
    assert success is not None
    assert "could not be put away" in success.warnings[0]


def test_the_evidence_of_a_thousand_unsafe_files_stays_small(world: World) -> None:
    links = "import os; [os.symlink('/etc/passwd', f'src/l{number}') for number in range(1000)]"
    argv = json.dumps([sys.executable, "-IS", "-c", links])
    story = world.execute(NO_CHECKS + f"nodes: [{{id: n1, tool: shell, argv: {argv}}}]")
    attempt = story.node("n1").attempts[-1]
    assert attempt.failure is FailureClass.UNSAFE_TREE
    assert attempt.evidence.endswith("and 950 more")


def test_work_whose_adapter_breaks_down_is_kept_on_a_branch_and_not_left_in_its_slot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ShellAdapter, "read", break_down)
    story = world.execute(NO_CHECKS + "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1.txt'}]")
    attempt = story.node("n1").attempts[-1]
    assert (attempt.failure, attempt.outcome) == (
        FailureClass.ENVIRONMENT,
        "internal error: ZeroDivisionError: ",
    )
    assert attempt.branch is not None
    assert world.repository.show(attempt.branch, "src/1.txt") == "1\n"
    world.assert_nothing_left(story.run_id, kept=[attempt.branch])


def test_a_slot_that_its_tool_deleted_is_not_said_to_be_kept(world: World) -> None:
    plan = "nodes: [{id: n1, tool: shell, run: 'rm -rf \"$PWD\"', path_claims: [src/1]}]"
    story = world.execute(NO_CHECKS + plan)
    attempt = story.node("n1").attempts[-1]
    assert "is gone" in attempt.outcome
    assert attempt.kept == ""
    world.assert_nothing_left(story.run_id)


class BrokenRunner:
    """A runner with a bug."""

    def run(self, *_: object) -> None:
        """Never gets to its facts."""
        raise ZeroDivisionError


def test_a_bug_in_a_worker_ends_its_attempt_instead_of_letting_the_run_wait_for_ever(tmp_path: Path) -> None:
    inbox = Inbox()
    dispatcher = Dispatcher(cast("AttemptRunner", BrokenRunner()), inbox, 1)
    dispatcher.start(order_of(Node(id=NodeId("n1"), label="n1", tool=ToolName("shell")), tmp_path))
    (ended,) = inbox.wait(20.0)
    assert isinstance(ended, AttemptEnded)
    (fact,) = ended.facts
    assert isinstance(fact, NodeAttemptFailed)
    assert fact.reason == "internal error: ZeroDivisionError"
    dispatcher.done(ended.node_id)
    dispatcher.close()


def order_of(node: Node, tmp_path: Path) -> AttemptOrder:
    """An order for the first attempt of a node."""
    return AttemptOrder(
        run_id=RunId("r1"),
        node=node,
        attempt=1,
        tool=node.tool,
        target=Branch("main"),
        lane=Branch("lane/r1/n1"),
        heads=(),
        prompt="",
        log=tmp_path / "log",
        slot_name="slot",
        cap=None,
        reserved=ZERO,
        session_id=None,
        keep_on_failure=True,
        claims_rule="fail",
    )
