"""`queue add`: branches become merge entries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypedDict

from cli_multi_rapid.cli.command_given import person
from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell
from cli_multi_rapid.cli.queue_urgency import UrgencyDocument, urgency_cost, urgency_text
from cli_multi_rapid.cli.queue_wish import AddWish
from cli_multi_rapid.core.ids import Branch, CheckId, EntryId
from cli_multi_rapid.core.merge_events import MergeCancelled, MergeEnqueued, MergeEntry
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.engine.queue_entries import (
    OnTargetAlready,
    Queueable,
    QueueWish,
    WaitsAlready,
    entry_for,
)
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.document import SCHEMA_VERSION, NextStep

if TYPE_CHECKING:
    from cli_multi_rapid.core.queue_state import (
        QueueState,
    )
    from cli_multi_rapid.engine.journal import Journal
    from cli_multi_rapid.engine.workshop import Workshop


_USUAL: Final = 1
"""The priority of a branch for which none is named: medium."""


class AddedEntry(TypedDict):
    """What became of one branch: `added`, `waits already` or `landed already`."""

    branch: str
    target: str
    outcome: str
    entry_id: str | None
    head: str
    checks: list[str]
    replaces: list[str]
    carried: list[str]
    urgent: bool
    solo: bool
    depends_on: list[str]


class AddDocument(TypedDict):
    """The document of `queue add --format json`."""

    schema_version: int
    entries: list[AddedEntry]
    urgent_cost: UrgencyDocument | None
    next: list[NextStep]


def add_branches(place: Place, wish: AddWish, format_: Format) -> int:
    """Queue the branches; when one cannot be queued, none is. Returns the exit code."""
    from cli_multi_rapid.wiring import open_workshop

    with open_workshop(place.repo, place.home) as shop:
        target = target_of(place, shop, wish.target)
        journal = queue_journal(shop, target)
        events = journal.catch_up()
        wishes = _wishes(place, wish, target)
        # All of them before any: a wrong name among them adds nothing.
        planned = [entry_for(shop, journal.state, each) for each in wishes]
        fresh = [each.entry for each in planned if isinstance(each, Queueable) and each.entry.urgent]
        cost = urgency_cost(shop, journal.state, events, fresh) if fresh else None
        if cost is not None:
            tell(urgency_text(cost))
        entries = [_add(shop, journal, each) for each in wishes]
        processor = shop.leases.holder(journal.stream)
    document = AddDocument(
        schema_version=SCHEMA_VERSION,
        entries=entries,
        urgent_cost=cost,
        next=_next_steps(entries, target, processor),
    )
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text(_text(document))
    return ExitCode.DONE


def target_of(place: Place, shop: "Workshop", named: str | None) -> Branch:
    """The branch to land on: named, else configured, else `main` or `master`, else where the person is."""
    from cli_multi_rapid.wiring import load_settings

    configured = load_settings(place.root).merge_policy.target
    if named or configured:
        return Branch(named or configured or "")
    usual = (Branch("main"), Branch("master"))
    return next(
        (name for name in usual if shop.repository.branch_tip(name)), shop.repository.default_branch()
    )


def _wishes(place: Place, wish: AddWish, target: Branch) -> list[QueueWish]:
    from cli_multi_rapid.schema.names import check_name
    from cli_multi_rapid.schema.settings import LandingApproval
    from cli_multi_rapid.wiring import load_settings

    manual = load_settings(place.root).merge_policy.approval is LandingApproval.MANUAL
    checklist: tuple[CheckId, ...] | None = None
    if wish.checks is not None:
        checklist = tuple(dict.fromkeys(check_name(name) for name in wish.checks))
    return [
        QueueWish(
            branch=branch,
            target=target,
            priority=_USUAL if wish.priority is None else wish.priority,
            checklist=checklist,
            needs_approval=wish.approval or manual,
            urgent=wish.urgent,
            solo=wish.solo,
            depends_on=wish.depends_on,
        )
        for branch in dict.fromkeys(map(Branch, wish.branches))
    ]


def _add(shop: "Workshop", journal: "Journal[QueueState]", wish: QueueWish) -> AddedEntry:
    branch, target = wish.branch, wish.target
    while True:
        match entry_for(shop, journal.state, wish):
            case Queueable(entry=entry) as found:
                if journal.offer(MergeEnqueued(entry=entry)) is None:
                    continue  # somebody else wrote to the queue: perhaps the same branch
                _take_over(shop, journal, found)
                return _line("added", branch, target, entry, found)
            case WaitsAlready(entry_id=entry_id):
                return _line("waits already", branch, target, journal.state.entries[entry_id].entry)
            case OnTargetAlready(commit=commit):
                return AddedEntry(
                    branch=branch,
                    target=target,
                    outcome="landed already",
                    entry_id=None,
                    head=commit,
                    checks=[],
                    replaces=[],
                    carried=[],
                    urgent=wish.urgent,
                    solo=wish.solo,
                    depends_on=[],
                )


def _take_over(shop: "Workshop", journal: "Journal[QueueState]", added: Queueable) -> None:
    """Put the new entries in the place of the old ones: first all that is new, then away with the old."""
    for each in added.carried:
        journal.submit(MergeEnqueued(entry=each.entry))
    for each in reversed(added.carried):
        _replace(shop, journal, each.replaces, each.entry)
    for old in added.replaces:
        _replace(shop, journal, old, added.entry)


def _replace(shop: "Workshop", journal: "Journal[QueueState]", old: EntryId, new: MergeEntry) -> None:
    """Take the older commit of a branch out, or have its processor do so."""
    reason = f"replaced by {new.id}"
    lease = shop.leases.acquire(journal.stream)
    if lease is None:
        journal.submit(CommandGiven(command="withdraw", by=person(), entry_id=old, text=reason))
        return
    journal.lease = lease
    try:
        journal.catch_up()
        if journal.state.landing is None and journal.state.entries[old].open:
            journal.record(MergeCancelled(entry_id=old, reason=reason))
    finally:
        lease.release()
        journal.lease = None


def _line(
    outcome: str, branch: Branch, target: Branch, entry: MergeEntry, added: Queueable | None = None
) -> AddedEntry:
    return AddedEntry(
        branch=branch,
        target=target,
        outcome=outcome,
        entry_id=entry.id,
        head=entry.head,
        checks=[check.id for check in entry.checks],
        replaces=list(added.replaces) if added else [],
        carried=[each.entry.id for each in added.carried] if added else [],
        urgent=entry.urgent,
        solo=entry.solo,
        depends_on=list(entry.deps),
    )


def _next_steps(entries: Sequence[AddedEntry], target: Branch, processor: str | None) -> list[NextStep]:
    if all(entry["entry_id"] is None for entry in entries):
        return [NextStep(text="nothing is left to land", command=None)]
    if processor is not None:
        return [NextStep(text=f"{processor} lands it; nothing to type", command=None)]
    return [NextStep(text="check it and land it", command=commands.queue_process(target))]


def _text(document: AddDocument) -> str:
    lines = [line for entry in document["entries"] for line in _entry_lines(entry)]
    for step in document["next"]:
        lines += [f"next: {step['text']}"] + ([f"        {step['command']}"] if step["command"] else [])
    return "\n".join(lines)


def _entry_lines(entry: AddedEntry) -> list[str]:
    where = f"{entry['branch']} -> {entry['target']}"
    if entry["entry_id"] is None:
        return [f"{where}: has landed already"]
    checks = ", ".join(entry["checks"]) or "no check"
    word = "queued" if entry["outcome"] == "added" else "waits already"
    how = checks + "; urgent" * entry["urgent"] + "; solo" * entry["solo"]
    lines = [f"{where}: {word} as {entry['entry_id']} ({how})"]
    lines += [f"  after {dep}" for dep in entry["depends_on"]]
    lines += [f"  in place of {old}" for old in entry["replaces"]]
    return lines + [f"  {follower} waits for it now" for follower in entry["carried"]]
