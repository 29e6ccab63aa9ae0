"""A fault of the machine is nobody's failure: work stops in order, nothing is booked, the remedy is named."""

import errno
import os
from pathlib import Path
from typing import cast

import pytest

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.ids import Commit, NodeId, ToolName
from cli_multi_rapid.core.merge_events import CheckFinished
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.engine.attempt import AttemptRunner
from cli_multi_rapid.engine.check_desk import CheckDesk
from cli_multi_rapid.engine.check_runner import CheckRunner
from cli_multi_rapid.engine.dispatcher import Dispatcher
from cli_multi_rapid.engine.inbox import AttemptEnded, CheckEnded, Inbox
from cli_multi_rapid.git_step_back import stepped_back
from cli_multi_rapid.machine_faults import machine_fault, remedy_in
from cli_multi_rapid.worktrees import Worktrees
from tests.engine.test_attempt_ends import order_of
from tests.engine.test_checkers import job_of
from tests.fakes.queues import check
from tests.fakes.repositories import Content
from tests.fakes.worlds import World

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere")
NO_CHECKS = "merge_policy: {checklist: []}\nrollback_policy: {max_retry_attempts: 0}\n"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("error: file write error: No space left on device\nfatal: it failed", "free space"),
        ("fatal: sha1 file '/r/.git/index.lock' write error. Out of diskspace", "free space"),
        ("error: unable to write file src/a.txt", "free space"),
        ("fatal: unable to write new index file", "free space"),
        ("/usr/bin/git could not be started: Too many open files", "raise the limit of open files"),
        ("fatal: Out of memory, malloc failed (tried to allocate 9 bytes)", "free memory"),
        ("error: cannot fork() for rev-list: Resource temporarily unavailable", "free memory"),
        (
            "fatal: Unable to create '/r/.git/index.lock': Read-only file system",
            "make the disk writable again",
        ),
    ],
)
def test_what_git_says_of_the_machine_is_known(words: str, remedy: str) -> None:
    assert (remedy_in(words) or "").startswith(remedy)


@pytest.mark.parametrize(
    "words",
    [
        "fatal: Unable to create '/r/.git/index.lock': File exists.",
        'error: open("No space left on device"): Permission denied',
        "error: 'Too many open files/' does not have a commit checked out",
    ],
)
def test_what_is_no_fault_of_the_machine_is_not_taken_for_one(words: str) -> None:
    assert remedy_in(words) is None


def test_a_fault_counts_for_what_it_led_to() -> None:
    try:
        try:
            raise FULL
        except OSError as error:
            raise EnvironmentFault("the log cannot be kept") from error
    except EnvironmentFault as error:
        found = machine_fault(error)
    assert found is not None
    assert (found.message, found.hint) == ("the log cannot be kept", "free space, then try again")


class BrokenRunner:
    """A runner to which something happens."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def run(self, *_: object) -> None:
        """Never gets to its facts."""
        raise self._error


@pytest.mark.parametrize("error", [FULL, SystemExit()], ids=["full disk", "dead thread"])
def test_the_loop_hears_of_an_attempt_whatever_ended_its_thread(tmp_path: Path, error: BaseException) -> None:
    inbox = Inbox()
    dispatcher = Dispatcher(cast("AttemptRunner", BrokenRunner(error)), inbox, 1)
    dispatcher.start(order_of(Node(id=NodeId("n1"), label="n1", tool=ToolName("shell")), tmp_path))
    (ended,) = inbox.wait(20.0)
    dispatcher.done(NodeId("n1"))
    dispatcher.close()
    assert isinstance(ended, AttemptEnded)
    assert (ended.fault is None, ended.facts == ()) == ((False, True) if error is FULL else (True, False))


@pytest.mark.parametrize("error", [FULL, SystemExit()], ids=["full disk", "dead thread"])
def test_the_queue_hears_of_a_check_whatever_ended_its_thread(
    world: World, tmp_path: Path, error: BaseException
) -> None:
    inbox = Inbox()
    desk = CheckDesk(
        cast("CheckRunner", BrokenRunner(error)), inbox, tmp_path / "logs", workers=1, fingerprint=""
    )
    desk.start(job_of(world, tmp_path, check("true")))
    (ended,) = inbox.wait(20.0)
    desk.close()
    assert isinstance(ended, CheckEnded)
    if error is FULL:
        assert (ended.fault is None, ended.facts) == (False, ())
    else:
        (fact,) = ended.facts
        assert isinstance(fact, CheckFinished)
        assert "SystemExit" in fact.reason


def test_a_run_that_a_full_disk_stops_books_no_failure_and_goes_on_when_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = world.accept(
        NO_CHECKS + "nodes: [{id: n1, tool: shell, run: 'echo 1 > src/1', path_claims: [src/1]}]"
    )

    def no_room(*_: object, **__: object) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(Worktrees, "snapshot", no_room)
        with pytest.raises(EnvironmentFault, match="No space left on device"):
            world.drive(run_id)
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    assert story.node("n1").landed
    assert [attempt.failure for attempt in story.node("n1").attempts] == [FailureClass.INTERRUPTED, None]
    kept = [attempt.branch for attempt in story.node("n1").attempts if attempt.branch and attempt.failure]
    world.assert_nothing_left(story.run_id)
    assert kept  # it was saved when there was room again, and went when the node landed


def break_off(world: World, new: str, words: str, files: dict[str, Content]) -> None:
    """A step from HEAD to a commit that ends with git's words, after some files have changed."""
    builder = world.repository
    git_dir = builder.path / ".git"
    with world.workshop() as shop:
        own = shop.repository.plumbing.at(git_dir=git_dir, work_tree=builder.path, index=git_dir / "index")
        with stepped_back(own, builder.head, Commit(new)):
            builder.write(files)
            raise EnvironmentFault(f"git merge failed: {words}")


def test_a_broken_step_forward_is_taken_back_and_edits_elsewhere_stay(world: World) -> None:
    builder = world.repository
    old = builder.commit({"src/kept.txt": "kept\n", "src/gone.txt": "gone\n"})
    new = builder.commit({"src/a.txt": "new\n", "src/b.txt": "b\n", "src/gone.txt": None})
    builder.git("reset", "-q", "--hard", old)
    builder.write({"src/kept.txt": "my edit\n", "mine.txt": "mine\n"})
    # As far as a full disk lets git come: one file written in part, one empty, one removed, no new index.
    half: dict[str, Content] = {"src/a.txt": "ne", "src/b.txt": "", "src/gone.txt": None}
    with pytest.raises(EnvironmentFault):
        break_off(world, new, "error: unable to write file src/b.txt", half)
    assert builder.status().split("\n") == [" M src/kept.txt", "?? mine.txt"]
    assert (builder.path / "src" / "a.txt").read_text() == "a\n"


def test_without_the_index_lock_nothing_was_written_and_nothing_is_taken_back(world: World) -> None:
    builder = world.repository
    old = builder.head
    new = builder.commit({"src/a.txt": "new\n"})
    builder.git("reset", "-q", "--hard", old)
    words = "fatal: Unable to create '/r/.git/index.lock': No space left on device"
    with pytest.raises(EnvironmentFault):
        break_off(world, new, words, {"src/a.txt": "my edit\n"})
    assert (builder.path / "src" / "a.txt").read_text() == "my edit\n"
