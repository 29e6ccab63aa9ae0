"""Queues with entries: the few that a test asks for, or many of every kind from a seed."""

from random import Random

from cli_multi_rapid.core.ids import Branch, CheckId, EntryId
from cli_multi_rapid.core.merge_events import MergeEntry
from cli_multi_rapid.core.node_state import MERGE_DEAD, MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_intents import QueueLimits
from tests.fakes.fragile_log import MAIN
from tests.fakes.queue_faults import Fault
from tests.fakes.queue_world import TESTS, QueueWorld
from tests.fakes.weather import SEES_PART, Changes, Weather

LINT = CheckSpec(id=CheckId("lint"), run="ruff check .")


def queue_world(
    seed: int = 0,
    *,
    limits: QueueLimits | None = None,
    culprits: str = "",
    held: float = 0.0,
    moves: float = 0.0,
) -> QueueWorld:
    """A queue without entries, in this weather."""
    return QueueWorld(
        weather=Weather(culprits=frozenset(culprits.split()), held=held, moves=moves),
        random=Random(seed),
        limits=limits or QueueLimits(),
    )


def add(
    queue: QueueWorld,
    name: str,
    *,
    deps: str = "",
    after: str = "",
    priority: int = 1,
    checks: tuple[CheckSpec, ...] = (TESTS,),
    asks: bool = False,
    urgent: bool = False,
    solo: bool = False,
) -> EntryId:
    """An entry of one change, built on what it depends on and what it comes after."""
    before = [EntryId(other) for other in (*deps.split(), *after.split())]
    base: Changes = queue.contents[queue.tip]
    for other in before:
        base |= queue.contents[queue.state.entries[other].entry.head]
    entry = MergeEntry(
        id=EntryId(name),
        branch=Branch(f"lane/{name}"),
        head=queue.commit(base | {name}),
        base=queue.commit(base),
        target=MAIN,
        priority=priority,
        deps=tuple(map(EntryId, deps.split())),
        after=tuple(map(EntryId, after.split())),
        checks=checks,
        needs_approval=asks,
        urgent=urgent,
        solo=solo,
    )
    queue.enqueue(entry)
    return entry.id


def statuses(queue: QueueWorld) -> dict[str, MergeStatus]:
    """Where every entry stands."""
    return {str(name): entry.status for name, entry in queue.state.entries.items()}


def names(queue: QueueWorld, *status: MergeStatus) -> set[str]:
    """The entries that stand there."""
    return {name for name, found in statuses(queue).items() if found in status}


def random_world(seed: int, *, honest: bool, fault: Fault | None = None) -> QueueWorld:
    """A queue that has lived a while; `honest`: its checks neither flake nor break. `fault`: comes once."""
    random = Random(seed)
    size = random.randint(1, 9)
    words = [f"e{number}" for number in range(size)]
    chance = random.choice
    weather = Weather(
        culprits=frozenset(word for word in words if random.random() < chance([0, 0.1, 0.4, 1])),
        quarrels=tuple(
            frozenset(random.sample(words, chance([2, 2, 3])))
            for _ in range(chance([0, 0, 1, 3]))
            if size >= 3
        ),
        clashes=tuple((random.choice(words), random.choice(words)) for _ in range(chance([0, 0, 1, 2]))),
        flake=0.0 if honest else chance([0, 0.1, 0.5]),
        broken=0.0 if honest else chance([0, 0.1, 0.5]),
        held=chance([0, 0, 0.2]),
        moves=chance([0, 0, 0.1, 0.5]),
    )
    weather.unread = frozenset(word for word in words if random.random() < 0.5)
    weather.unread -= weather.culprits.union(*weather.quarrels)
    if random.random() < 0.1:
        weather.culprits |= {"base"}
    limits = QueueLimits(
        workers=chance([1, 2, 2, 4, 8]),
        batch=chance([1, 2, 64]),
        retry_flaky=chance([0, 1, 2]),
        retry_broken=chance([0, 1]),
        min_gain=chance([0.0, 0.1, 0.1, 5.0]),
        aging_s=60,
    )
    queue = QueueWorld(weather=weather, random=random, limits=limits)
    queue.faults.arm([fault] if fault else [])
    while words or queue.flying or random.random() < 0.5:
        live(queue, words)
    return queue


def live(queue: QueueWorld, words: list[str]) -> None:
    """One thing happens."""
    random = queue.random
    happening = random.random()
    if words and happening < 0.5:
        add_random(queue, words.pop(0))
    elif happening < 0.55 and queue.state.entries:
        queue.withdraw(random.choice(list(queue.state.entries)), "withdrawn")
    elif happening < 0.6 and queue.state.open:
        queue.approve(random.choice(list(queue.state.open)), "ada")
    elif happening < 0.63:
        queue.resume()
    elif happening < 0.7:
        queue.pass_time(random.choice([1, 50, 500]))
    elif queue.flying:
        queue.deliver(random.choice(sorted(queue.flying)))
    if random.random() < 0.8:
        queue.step()


def add_random(queue: QueueWorld, name: str) -> None:
    """An entry of any kind, built on some that may still land."""
    random = queue.random
    usable = [str(n) for n, e in queue.state.entries.items() if e.status not in MERGE_DEAD]
    random.shuffle(usable)
    deps, after = usable[: random.choice([0, 0, 1, 2])], usable[2 : 2 + random.choice([0, 0, 1])]
    add(
        queue,
        name,
        deps=" ".join(deps),
        after=" ".join(after),
        priority=random.randint(0, 2),
        checks=random.choice([(TESTS,), (SEES_PART,), (TESTS, LINT), (LINT, SEES_PART), ()]),
        asks=random.random() < 0.1,
        urgent=random.random() < 0.1,
        solo=random.random() < 0.1,
    )
