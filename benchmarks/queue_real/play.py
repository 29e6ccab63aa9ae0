"""One real run: branches queued and processed by our own command line, then judged by events and refs."""

from collections.abc import Sequence
from os import getloadavg
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from benchmarks.generated_repository import MAIN, GeneratedRepository
from benchmarks.own_command import Timed, time_command
from benchmarks.queue_real.burst import branch_of, landed_changes, make_burst
from benchmarks.queue_real.latency import Latency, latency_of, span_s
from benchmarks.queue_sim.workloads import Change, Workload, draw
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import queue_stream
from cli_multi_rapid.core.merge_events import CheckStarted
from cli_multi_rapid.wiring import find_home, open_records

_NOT_ALL_LANDED = 1
"""The exit code of `queue process` when something that waited did not land."""


class RealRun(Struct, frozen=True, kw_only=True):
    """What one real run came to. Times without `_s` are in V."""

    makespan: float
    """From the queue's first candidate to its last event."""
    command: float
    """The whole command `queue process`: the start of the program and its summary too."""
    add_s: float
    """The whole command `queue add`, with all branches."""
    runs_per_change: float
    landed: int
    ejected: int
    cpu_per_change_s: float
    """Of `queue process` and all its processes; a check costs next to nothing."""
    machine_load: float
    """The machine's load average of one minute at the end of the run: others' work slows our own."""
    latency: Latency
    wrong: tuple[str, ...]
    """What is not as it must be; empty for a sound run."""


def play(workload: Workload, seed: int, check_s: float) -> RealRun:
    """Make the repository, let the queue land it, and look."""
    changes = draw(workload, seed)
    with TemporaryDirectory(prefix="queue-real-") as folder:
        repository = make_burst(
            Path(folder) / "repository",
            changes,
            workers=workload.workers,
            check_s=check_s,
            jitter=workload.jitter,
        )
        added = time_command(repository.path, "queue", "add", *map(branch_of, changes))
        processed = time_command(repository.path, "queue", "process")
        landed = landed_changes(repository)
        events = _events(repository)
    return RealRun(
        makespan=span_s(events) / check_s,
        command=processed.wall_s / check_s,
        add_s=added.wall_s,
        runs_per_change=sum(isinstance(event.data, CheckStarted) for event in events) / len(changes),
        landed=len(landed),
        ejected=len(changes) - len(landed),
        cpu_per_change_s=processed.cpu_s / len(changes),
        machine_load=getloadavg()[0],
        latency=latency_of(events, processed.wall_s),
        wrong=(*_broken_promises(changes, landed), *_bad_ends(changes, added, processed)),
    )


def _events(repository: GeneratedRepository) -> Sequence[Event]:
    with open_records(find_home(repository.path)) as records:
        return list(records.log.read(queue_stream(MAIN), 0))


def _broken_promises(changes: Sequence[Change], landed: set[str]) -> list[str]:
    """Every change that is good has landed, and no other."""
    missing = [change.name for change in changes if not change.broken and change.name not in landed]
    red = [change.name for change in changes if change.broken and change.name in landed]
    return [f"{name} is good and did not land" for name in missing] + [
        f"{name} is red, on main" for name in red
    ]


def _bad_ends(changes: Sequence[Change], added: Timed, processed: Timed) -> list[str]:
    expected = _NOT_ALL_LANDED if any(change.broken for change in changes) else 0
    return [
        f"{name} ended with {timed.done.returncode}: {timed.done.error_text}"
        for name, timed, code in (("queue add", added, 0), ("queue process", processed, expected))
        if timed.done.returncode != code
    ]
