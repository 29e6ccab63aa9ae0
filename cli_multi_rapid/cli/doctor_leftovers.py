"""What runs and queues have left behind: who holds what, what nobody has in hand, what lives on."""

import os
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.findings import Finding, good, notice, problem
from cli_multi_rapid.cli.imported import is_imported
from cli_multi_rapid.cli.loaded_run import load_run
from cli_multi_rapid.cli.queue_view import LoadedQueue, load_queues
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.ids import Branch, RunId, is_queue_stream
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.reports import commands

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records

_MOST_RUNS: Final = 50
"""The latest runs that are looked at: older ones have been taken up, or nobody misses them."""


class _Stray(Struct, frozen=True, kw_only=True):
    """A living process that carries our marker although nobody drives its run or queue."""

    pid: int
    command: str
    stream: RunId


def examine_leftovers(place: Place) -> Iterator[Finding]:
    """Look at our own records, processes, worktrees and refs. Changes nothing."""
    home = place.find_home()
    if not home.database.exists():
        yield good("records", f"no runs yet in {home.root}")
        return
    try:
        with place.open_records() as records:
            yield good("records", f"{len(records.runs())} runs in {home.database}")
            yield from _runs(records)
            yield from _queues(records)
            yield from _processes(records)
    except OrchestratorError as error:
        yield problem("records", f"{error.message} ({error.hint})" if error.hint else error.message)
        return
    yield from _remains(home)
    yield from _worktrees_and_refs(place)


def _remains(home: Home) -> Iterator[Finding]:
    """What means nothing any more: sockets and proofs of life of the dead, and what was thrown away."""
    from cli_multi_rapid.process_table import read_process

    files = [*(home.state / "bus").glob("*.sock"), *(home.state / "git" / "owners").glob("*")]
    for path in files:
        pid = path.name.partition("-")[0]
        if pid.isdecimal() and read_process(int(pid)) is None:
            detail = f"{path.relative_to(home.root)} is of a dead process; the next run removes it"
            yield good("locks", detail)
    if graves := list((home.state / "trash").glob("*")):
        where = (home.state / "trash").relative_to(home.root)
        yield good(
            "worktrees", f"{where} has {len(graves)} on the way out; the next run deletes what is left"
        )


def _runs(records: "Records") -> Iterator[Finding]:
    for run_id in records.runs()[:_MOST_RUNS]:
        run = load_run(records, run_id)
        if run.alive:
            yield good("locks", f"run {run_id} is driven by {run.driver}")
        elif run.state.finished is None and not is_imported(records.home, run_id):
            yield notice("runs", f"{run_id} was left unfinished by a dead process", commands.resume(run_id))


def _queues(records: "Records") -> Iterator[Finding]:
    for queue in load_queues(records):
        if queue.processor is not None:
            yield good("locks", f"the queue of {queue.state.target} is processed by {queue.processor}")
        yield from _queue(queue)


def _queue(queue: LoadedQueue) -> Iterator[Finding]:
    state, target = queue.state, queue.state.target
    process = commands.queue_process(target)
    if state.halted is not None:
        yield problem("queues", f"the queue of {target} halted: {state.halted}", process)
    held = [state.entries[entry_id] for entry_id in state.open if state.entries[entry_id].command]
    for entry in held:
        yield notice("queues", f"{entry.entry.id} is ready to land: {entry.reason}", entry.command)
    if queue.processor is None and state.landing is not None:
        yield notice(
            "queues", f"a landing on {target} was cut short; its end is found and recorded by", process
        )
    elif queue.processor is None and len(state.open) > len(held) and state.halted is None:
        count = len(state.open) - len(held)
        entries = "1 entry waits" if count == 1 else f"{count} entries wait"
        yield notice("queues", f"{entries} for {target} and nobody processes it", process)


def _processes(records: "Records") -> Iterator[Finding]:
    from cli_multi_rapid.redaction import Redactor

    redactor = Redactor.from_environment(os.environ)
    for stray in _strays(records):
        what = redactor.redact(stray.command)[:120]
        if is_queue_stream(stray.stream):
            command = commands.queue_process(Branch(stray.stream.partition(":")[2]))
        else:
            command = commands.resume(stray.stream)
        yield problem(
            "processes",
            f"pid {stray.pid} of {stray.stream} lives on although nobody drives that: {what}",
            command,
        )


def _strays(records: "Records") -> Iterator[_Stray]:
    from cli_multi_rapid.process_table import command_of, living_processes, marker_of, self_and_ancestors

    unheld = [stream for stream in records.log.streams() if records.leases.holder(stream) is None]
    spared = self_and_ancestors()
    for process in living_processes():
        marker = "" if process.pid in spared else marker_of(process)
        stream = next((each for each in unheld if f"{marker}/".startswith(f"{each}/")), None)
        if marker and stream is not None:
            yield _Stray(pid=process.pid, command=command_of(process.pid), stream=stream)


def _worktrees_and_refs(place: Place) -> Iterator[Finding]:
    from cli_multi_rapid.engine.candidate_pins import CANDIDATE_REFS, target_of
    from cli_multi_rapid.wiring import open_workshop
    from cli_multi_rapid.worktrees import SlotState

    try:
        with open_workshop(place.repo, place.home) as shop:
            loose = [
                slot for slot in shop.worktrees.list() if slot.state in (SlotState.KEPT, SlotState.ORPHANED)
            ]
            candidates = {
                ref: commit
                for ref, commit in shop.repository.refs(CANDIDATE_REFS).items()
                if shop.leases.holder(f"queue:{target_of(ref)}") is None
            }
    except OrchestratorError:
        return  # the surroundings have told it already
    for slot in loose:
        yield notice(
            "worktrees", f"{slot.name} is {slot.state}: {slot.path}", "cli-orchestrator worktrees clean"
        )
    for ref in candidates:
        yield notice(
            "refs",
            f"{ref} was left by a dead process; it does no harm",
            f"git update-ref -d {shlex.quote(ref)}",
        )
