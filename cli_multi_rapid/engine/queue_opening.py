"""What it takes to work on a target's merge queue: its journal, its checkers, and a clean end."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from cli_multi_rapid.core.ids import Branch, queue_stream
from cli_multi_rapid.engine.check_inputs import CheckInputs
from cli_multi_rapid.engine.check_runner import CheckRunner, drop_orphaned_checks
from cli_multi_rapid.engine.inbox import Inbox
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.engine.merge_queue import MergeQueue, QueueTools
from cli_multi_rapid.engine.workshop import Workshop
from cli_multi_rapid.process_environment import inherited_environment


def check_runner(shop: Workshop, target: Branch) -> CheckRunner:
    """What carries out the checks of a target's queue."""
    return CheckRunner(
        worktrees=shop.worktrees,
        inputs=CheckInputs(shop.repository),
        environment=inherited_environment(),
        redactor=shop.redactor,
        marker=_checkers_marker(shop, target),
    )


def _checkers_marker(shop: Workshop, target: Branch) -> str:
    """The beginning of the marker of this queue's checkers: no other repository's queue has the same."""
    place = hashlib.sha256(str(shop.home.state).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{queue_stream(target)}:{place}"


@contextmanager
def open_queue(shop: Workshop, target: Branch, inbox: Inbox) -> Iterator[MergeQueue]:
    """The merge queue of a target, closed at the end."""
    drop_orphaned_checks(shop.worktrees)
    shop.worktrees.forget_the_dead()
    queue = MergeQueue(
        queue_journal(shop, target),
        QueueTools(
            repository=shop.repository,
            runner=check_runner(shop, target),
            leases=shop.leases,
            clock=shop.clock,
            inbox=inbox,
            logs=shop.home.artifacts / "logs" / "checks",
            remote=shop.policies.push,
            update_checkout=shop.policies.update_checkout,
        ),
        shop.policies.queue,
    )
    try:
        yield queue
    finally:
        queue.close()
