"""`queue retry`, `queue cancel` and `queue approve`: a word about one entry."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

from cli_multi_rapid.cli.command_given import person
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.cli.queue_view import LoadedQueue, open_entry
from cli_multi_rapid.cli.queue_wish import AddWish
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.facts import Payload
from cli_multi_rapid.core.merge_events import MergeApproved, MergeCancelled, MergeResumed
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.queue_state import QueueState
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.document import SCHEMA_VERSION, NextStep

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


class QueueCommandDocument(TypedDict):
    """The document of `queue cancel`, `queue approve` and `queue retry`."""

    schema_version: int
    command: str
    entry_id: str
    target: str
    told: str | None
    next: list[NextStep]


def cancel_entry(place: Place, name: str, target: str | None, reason: str, format_: Format) -> None:
    """Take an entry out. Raises `UserError` when it has left the queue already."""
    with open_entry(place, name, target) as (records, queue, known):
        _require_open(known)
        text = reason or f"withdrawn by {person()}"
        told = _do_or_tell(
            records,
            queue,
            lambda state: _if_open(state, known, MergeCancelled(entry_id=known.entry.id, reason=text)),
            CommandGiven(command="withdraw", by=person(), entry_id=known.entry.id, text=reason),
        )
    step = NextStep(
        text=f"the branch {known.entry.branch} is as it was; queue it again",
        command=commands.queue_add(known.entry.branch, queue.state.target),
    )
    _tell(_document("cancel", queue, known, told, step), format_)


def approve_entry(place: Place, name: str, target: str | None, format_: Format) -> None:
    """Agree to a landing. Raises `UserError` when nobody asked."""
    with open_entry(place, name, target) as (records, queue, known):
        _require_open(known)
        entry = known.entry
        if entry.run_id is not None and entry.node_id is not None and entry.needs_approval:
            raise UserError(
                f"{entry.id} belongs to a run, which must hear of it",
                hint=commands.approve(entry.run_id, entry.node_id),
            )
        if not entry.needs_approval or known.approved:
            raise UserError(f"{entry.id} does not wait for anybody's approval")
        told = _do_or_tell(
            records,
            queue,
            lambda state: _if_open(state, known, MergeApproved(entry_id=entry.id, by=person())),
            CommandGiven(command="approve", by=person(), entry_id=entry.id),
        )
    _tell(_document("approve", queue, known, told, _landing_step(queue)), format_)


def retry_entry(place: Place, name: str, target: str | None, format_: Format) -> int:
    """Queue a branch again that did not land, or set a halted queue or a held landing going again."""
    with open_entry(place, name, target) as (records, queue, known):
        if known.open:
            _require_stuck(queue, known)
            told = _do_or_tell(
                records,
                queue,
                # A push whose answer was lost must be looked up before anything is tried again.
                lambda state: [] if state.held else [MergeResumed(reason=f"retry by {person()}")],
                CommandGiven(command="retry", by=person(), entry_id=known.entry.id),
            )
            _tell(_document("retry", queue, known, told, _landing_step(queue)), format_)
            return ExitCode.DONE
    return _queue_again(place, queue, known, format_)


def _queue_again(place: Place, queue: LoadedQueue, known: EntryState, format_: Format) -> int:
    from cli_multi_rapid.cli.queue_add import add_branches

    entry = known.entry
    if known.status is MergeStatus.MERGED:
        raise UserError(f"{entry.id} has landed: there is nothing to do again")
    if entry.run_id is not None and entry.node_id is not None:
        raise UserError(
            f"{entry.id} is the work of a node of run {entry.run_id}",
            hint=f"do the node again: {commands.retry(entry.run_id, entry.node_id)}; or put the branch right "
            f"and type: {commands.queue_add(entry.branch, entry.target)}",
        )
    wish = AddWish(
        branches=(entry.branch,),
        target=entry.target,
        priority=entry.priority,
        checks=tuple(check.id for check in entry.checks),
        approval=entry.needs_approval,
        urgent=entry.urgent,
        solo=entry.solo,
        # By branch: what they need may have been queued again since, under another id.
        depends_on=tuple(queue.state.entries[dep].entry.branch for dep in entry.deps),
    )
    return add_branches(place, wish, format_)


def _require_open(known: EntryState) -> None:
    if not known.open:
        raise UserError(
            f"{known.entry.id} has left the queue already: {known.status}",
            hint=f"see why: {commands.queue_why(known.entry.id)}",
        )


def _require_stuck(queue: LoadedQueue, known: EntryState) -> None:
    if queue.state.halted is None and not known.command:
        raise UserError(
            f"{known.entry.id} waits already: {known.status}",
            hint=f"let the queue work: {commands.queue_process(queue.state.target)}",
        )


def _do_or_tell(
    records: "Records",
    queue: LoadedQueue,
    facts: Callable[[QueueState], list[Payload]],
    command: CommandGiven,
) -> str | None:
    """Record the facts when nobody processes the queue; else tell who does. Returns whom.

    A landing that a dead process left open is looked into first, by the next processor, and so is what is
    there no fact for: until then only a word is left for it.
    """
    journal = queue_journal(records, queue.state.target)
    lease = records.leases.acquire(queue.stream)
    if lease is not None:
        journal.lease = lease
        try:
            journal.catch_up()
            found = facts(journal.state) if journal.state.landing is None else []
            if found:
                journal.record(*found)
                return None
        finally:
            lease.release()
            journal.lease = None
    journal.submit(command)
    return queue.processor or "the next process that works on the queue"


def _if_open(state: QueueState, known: EntryState, fact: Payload) -> list[Payload]:
    """The fact, unless the entry came to its end since we looked."""
    _require_open(state.entries[known.entry.id])
    return [fact]


def _landing_step(queue: LoadedQueue) -> NextStep:
    if queue.processor is not None:
        return NextStep(text=f"{queue.processor} goes on; nothing to type", command=None)
    return NextStep(text="let the queue work", command=commands.queue_process(queue.state.target))


def _document(
    command: str, queue: LoadedQueue, known: EntryState, told: str | None, step: NextStep
) -> QueueCommandDocument:
    return QueueCommandDocument(
        schema_version=SCHEMA_VERSION,
        command=command,
        entry_id=known.entry.id,
        target=queue.state.target,
        told=told,
        next=[step],
    )


def _tell(document: QueueCommandDocument, format_: Format) -> None:
    if format_ is Format.JSON:
        print_json(document)
        return
    done = f"told {document['told']}" if document["told"] else "done"
    lines = [f"{document['entry_id']} {document['command']}: {done}"]
    for step in document["next"]:
        lines += [f"next: {step['text']}"] + ([f"        {step['command']}"] if step["command"] else [])
    print_text("\n".join(lines))
