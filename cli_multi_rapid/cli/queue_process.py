"""`queue process`: check and land, told line by line, with a summary at the end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypedDict

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.cli.output import Format, print_json, print_text, tell
from cli_multi_rapid.cli.progress import Narrator
from cli_multi_rapid.cli.queue_add import target_of
from cli_multi_rapid.cli.queue_view import LoadedQueue, load_queue, load_queues
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.engine.queue_processor import Processed, process_queue
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.queue_rows import Look, row_of
from cli_multi_rapid.reports.queue_text import QueueLine, queue_document
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.store.plain_files import write_plain_files

if TYPE_CHECKING:
    from cli_multi_rapid.core.plan import Json
    from cli_multi_rapid.engine.workshop import Workshop
    from cli_multi_rapid.wiring import Records

_SEVERITY: Final = (
    ExitCode.DONE,
    ExitCode.WAITING,
    ExitCode.NOT_LANDED,
    ExitCode.ENVIRONMENT,
    ExitCode.INTERRUPTED,
)
"""From the least to the most: of several queues the worst counts."""


class ProcessedEntry(TypedDict):
    """An entry and, when it did not land, what is known about that."""

    entry: QueueLine
    landed_commit: str | None
    files: list[str]
    partner: str
    check: str | None
    log: str


class ProcessDocument(TypedDict):
    """The document of `queue process --format json`. `halted`: by target, why nothing lands there."""

    schema_version: int
    exit_code: int
    landed: int
    entries: list[ProcessedEntry]
    halted: dict[str, str]


def process_queues(
    place: Place,
    target: str | None,
    *,
    workers: int | None,
    watch: bool,
    format_: Format,
    push: str | None = None,
) -> int:
    """Process one queue, or each that has something waiting; returns the exit code of the contract.

    `workers`: how many checks at once, in place of the configuration's `merge_policy.workers`. `push`: the
    remote that landings are pushed to; None: the configuration's, if it names one.
    """
    from cli_multi_rapid.wiring import open_records, open_workshop

    flags: dict[str, Json] = {} if push is None else {"landing": {"push": push}}
    if workers is not None:
        flags["merge_policy"] = {"workers": workers}
    with open_workshop(place.repo, place.home, flags=flags) as shop:
        with open_records(shop.home) as records:
            targets = _targets(place, shop, records, target, watch=watch)
        done = [_process(shop, each, watch=watch) for each in targets]
        write_plain_files(shop.log, shop.home.state)
        with open_records(shop.home) as records:
            document = _document(done, records)
    if format_ is Format.JSON:
        print_json(document)
    else:
        print_text("\n".join(_lines(document, targets)))
    return document["exit_code"]


def _targets(
    place: Place, shop: "Workshop", records: "Records", named: str | None, *, watch: bool
) -> list[Branch]:
    if named is not None:
        return [Branch(named)]
    waiting = [queue.state.target for queue in load_queues(records) if queue.state.open]
    if watch and len(waiting) > 1:
        raise UserError(
            f"several queues have something waiting: {', '.join(waiting)}",
            hint="with --watch name the one that you mean: --target BRANCH",
        )
    return waiting or [target_of(place, shop, None)]


def _process(shop: "Workshop", target: Branch, *, watch: bool) -> Processed:
    narrator = Narrator()

    def observe(event: Event) -> None:
        line = narrator.line_of(event)
        if line:
            tell(line)

    return process_queue(
        shop,
        target,
        observe,
        watch=watch,
        waiting=lambda holder: tell(f"waiting: the queue of {target} is being processed by {holder}"),
    )


def _document(done: Sequence[Processed], records: "Records") -> ProcessDocument:
    entries = [
        _entry(queue, known, records)
        for processed in done
        for queue in (load_queue(records, processed.target),)
        for known in processed.entries
    ]
    return ProcessDocument(
        schema_version=SCHEMA_VERSION,
        exit_code=max(map(_exit_code, done), key=_SEVERITY.index, default=ExitCode.DONE),
        landed=sum(1 for entry in entries if entry["landed_commit"]),
        entries=entries,
        halted={processed.target: processed.halted for processed in done if processed.halted},
    )


def _entry(queue: LoadedQueue, known: EntryState, records: "Records") -> ProcessedEntry:
    row = row_of(queue.state, known, Look(now=records.clock.now(), processor=queue.processor))
    document = queue_document([row])
    (line,) = [*document["queue"], *document["processing_history"]]
    return ProcessedEntry(
        entry=line,
        landed_commit=known.landed_commit,
        files=list(known.files),
        partner=known.partner,
        check=known.check,
        log=known.log,
    )


def _exit_code(processed: Processed) -> ExitCode:
    if processed.interrupted:
        return ExitCode.INTERRUPTED
    left = [known for known in processed.entries if known.status is not MergeStatus.MERGED]
    if not left:
        return ExitCode.DONE
    asking = [known for known in left if known.open and known.entry.needs_approval and not known.approved]
    if len(asking) == len(left) and processed.halted is None:
        return ExitCode.WAITING
    if processed.unreachable:
        return ExitCode.ENVIRONMENT
    return ExitCode.NOT_LANDED


# --- the text -----------------------------------------------------------------------------------------------


def _lines(document: ProcessDocument, targets: Sequence[Branch]) -> list[str]:
    if not document["entries"]:
        return [f"nothing waits for {', '.join(targets)}"]
    lines = [f"{document['landed']} of {len(document['entries'])} landed"]
    lines += [f"HALTED {target}: {one_line(reason)}" for target, reason in document["halted"].items()]
    for entry in document["entries"]:
        lines += _entry_lines(entry)
    return lines


def _entry_lines(result: ProcessedEntry) -> list[str]:
    entry = result["entry"]
    name = f"{entry['branch']} -> {entry['target']}"
    if result["landed_commit"]:
        return [f"  + {name}  landed in {result['landed_commit'][:10]}"]
    why = one_line(entry["reason"]) or ", ".join(entry["waits_for"])
    lines = [f"  ! {name}  {entry['status']}: {why}"]
    lines += [f"      files: {', '.join(result['files'])}"] if result["files"] else []
    lines += [f"      with:  {result['partner']}"] if result["partner"] else []
    lines += [f"      log:   {result['log']}"] if result["log"] else []
    word = "type:" if entry["asks"] else "look:"
    return lines + ([f"      {word}  {entry['next_command']}"] if entry["next_command"] else [])
