"""The command line of the many lives, and the table that it prints."""

import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.fakes.queue_machine import Tally
from tests.fakes.queue_promises import PROMISES
from tests.worlds.pure import Found, add_up, everywhere, machines
from tests.worlds.real import RealTally, storms

_ABOUT = """\
Live through many merge queues and hold each to the promises I1 to I8: queues of a hypothesis state machine in
a repository made of sets, with faults at their appends; seeded queues that are killed before and after every
event, one life for each; queues on real git whose processor is killed at its appends and its ref updates.
Exit 1 when a promise breaks, with the example and the command that shows it again."""


def main(argv: Sequence[str] | None = None) -> int:
    """Live, and print what was lived through."""
    options = _parse(argv)
    ran = True
    with ProcessPoolExecutor(options.jobs) as pool:
        if options.only in (None, "machine"):
            ran &= _show_machines(machines(pool, options.seed, options.queues))
        if ran and options.only in (None, "killed"):
            ran &= _show_killed(everywhere(pool, options.seed, options.killed))
        if ran and options.only in (None, "real"):
            with tempfile.TemporaryDirectory(prefix="worlds-") as folder:
                ran &= _show_real(storms(pool, Path(folder), options.seed, options.real))
        if not ran:
            pool.shutdown(cancel_futures=True)
    return 0 if ran else 1


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="make worlds", description=_ABOUT)
    parser.add_argument(
        "--queues", type=int, default=10_000, help="of the state machine (default %(default)s)"
    )
    parser.add_argument("--killed", type=int, default=60, help="killed everywhere (default %(default)s)")
    parser.add_argument("--real", type=int, default=40, help="on real git (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument("--only", choices=["machine", "killed", "real"], help="only one of the three kinds")
    return parser.parse_args(argv)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _show_machines(lives: Iterable[Found]) -> bool:
    began, total = time.monotonic(), Tally()
    for found in lives:
        add_up(total, found.tally)
        sys.stderr.write(f"{total.queues} queues, {time.monotonic() - began:.0f} s\n")
        if found.violation:
            _say(f"BROKEN\n{found.violation}")
            return False
    _say(f"{total.queues} queues of the state machine in {time.monotonic() - began:.0f} s")
    _rows(
        ("entries", total.entries),
        *((f"  {status}", count) for status, count in sorted(total.ends.items())),
        ("events", total.events),
        ("the most of one queue", total.longest),
        ("steps", total.steps),
        ("  struck by a fault", total.struck),
        ("faults", total.faults.total()),
        *((f"  {kind}", count) for kind, count in sorted(total.faults.items())),
        ("the longest wait for an end, in turns", total.patience),
    )
    _rows(*((f"{name} {_title(name)}", total.examined[name]) for name in PROMISES))
    return True


def _title(promise: str) -> str:
    return PROMISES[promise].__name__.replace("_", " ")


def _show_killed(lives: Iterable[Found]) -> bool:
    began, queues, crashes = time.monotonic(), 0, 0
    for found in lives:
        queues, crashes = queues + 1, crashes + found.crashes
        if found.violation:
            _say(f"BROKEN\n{found.violation}")
            return False
    _say(
        f"{queues} seeded queues, killed before and after every event: {crashes} lives ",
    )
    _say(f"  in {time.monotonic() - began:.0f} s")
    return True


def _show_real(lives: Iterable[RealTally]) -> bool:
    began, total = time.monotonic(), RealTally()
    for found in lives:
        total.add(found)
        if found.violation:
            _say(f"BROKEN\n{found.violation}")
            return False
    _say(f"{total.queues} queues on real git in {time.monotonic() - began:.0f} s")
    _rows(
        ("branches", total.entries),
        *((f"  {status}", count) for status, count in sorted(total.ends.items())),
        ("processors", total.processors),
        *((f"  {kind}", count) for kind, count in sorted(total.faults.items())),
    )
    return True


def _rows(*rows: tuple[str, int]) -> None:
    for name, count in rows:
        _say(f"  {name:<62} {count:>9}")
