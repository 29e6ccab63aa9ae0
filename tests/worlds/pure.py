"""Queues in a repository made of sets, in batches that several processes share."""

from collections.abc import Iterator
from concurrent.futures import Executor, as_completed
from traceback import format_tb

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import Struct, field

from tests.fakes.queue_faults import Fault, FaultKind, When
from tests.fakes.queue_machine import QueueMachine, Tally
from tests.fakes.random_queues import random_world

BATCH = 100
"""Queues of one seed."""


class Found(Struct, kw_only=True):
    """What some lives came to. `violation`: how a promise broke, and how to see it again."""

    tally: Tally = field(default_factory=Tally)
    crashes: int = 0
    """Of `crash_everywhere`."""
    violation: str = ""


def machines(pool: Executor, first_seed: int, queues: int) -> Iterator[Found]:
    """So many queues of the state machine, or a few more: hypothesis discards some that have lived too."""
    batches = [
        pool.submit(live, first_seed + number, min(BATCH, queues - number * BATCH))
        for number in range(-(-queues // BATCH))
    ]
    lived = 0
    for batch in as_completed(batches):
        found = batch.result()
        lived += found.tally.queues
        yield found
        if lived >= queues:
            break
    for batch in batches:
        batch.cancel()


def live(number: int, queues: int) -> Found:
    """The queues of one seed."""

    class Counted(QueueMachine):
        tally = Tally()

    try:
        run_state_machine_as_test(
            seed(number)(Counted),
            settings=settings(
                max_examples=queues,
                stateful_step_count=20,
                phases=[Phase.generate],
                database=None,
                deadline=None,
                derandomize=False,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception as broken:  # noqa: BLE001  # whatever it is, it is told with its example
        again = f"make worlds ARGS='--seed {number} --queues {queues} --only machine'"
        return Found(tally=Counted.tally, violation=f"{_told(broken)}\nagain: {again}")
    return Found(tally=Counted.tally)


def everywhere(pool: Executor, first_seed: int, queues: int) -> Iterator[Found]:
    """So many queues, each killed before and after every event of its life, one life for each."""
    lives = [pool.submit(crash_everywhere, first_seed + number) for number in range(queues)]
    for one in as_completed(lives):
        yield one.result()


def crash_everywhere(number: int) -> Found:
    """One seeded queue, as often as its processor has an event to be killed before or after."""
    found, at = Found(), 0
    try:
        whole = random_world(number, honest=False)
        whole.finish()
        for at in range(1, whole.faults.appends + 1):
            for when in When:
                queue = random_world(
                    number, honest=False, fault=Fault(kind=FaultKind.CRASH, when=when, at=at)
                )
                queue.finish()
                queue.check_end()
                found.crashes += queue.faults.injected.total()
    except Exception as broken:  # noqa: BLE001  # whatever it is, it is told with its seed
        again = f"make worlds ARGS='--seed {number} --killed 1 --only killed'"
        found.violation = f"{_told(broken)}\nkilled at event {at}\nagain: {again}"
    return found


def add_up(total: Tally, more: Tally) -> None:
    """Add what other lives had in them."""
    for name in Tally.__struct_fields__:
        mine, theirs = getattr(total, name), getattr(more, name)
        most = name in ("longest", "patience")
        setattr(total, name, max(mine, theirs) if most else mine + theirs)


def _told(broken: BaseException) -> str:
    """What broke and where, and hypothesis' example without the looks at the promises."""
    where = [line for frame in format_tb(broken.__traceback__)[-3:] for line in frame.splitlines()]
    steps = [line for note in getattr(broken, "__notes__", []) for line in note.splitlines()]
    example = (line for line in steps if not line.startswith("state.i"))
    return "\n".join([*where, f"{type(broken).__name__}: {broken}", *example])
