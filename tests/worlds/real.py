"""Storms on real git, side by side in several processes."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, as_completed
from pathlib import Path
from traceback import format_exc

from msgspec import Struct, field

from tests.fakes.real_storms import weather_a_storm


class RealTally(Struct):
    """What storms had in them. `violation`: how a promise broke, and how to see it again."""

    queues: int = 0
    entries: int = 0
    processors: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    violation: str = ""

    def add(self, more: "RealTally") -> None:
        """Add what other storms had in them."""
        self.queues += more.queues
        self.entries += more.entries
        self.processors += more.processors
        self.faults.update(more.faults)
        self.ends.update(more.ends)


def storms(pool: Executor, folder: Path, first_seed: int, queues: int) -> Iterator[RealTally]:
    """So many storms, as they come to their end."""
    lives = [pool.submit(storm, folder / str(number), first_seed + number) for number in range(queues)]
    for one in as_completed(lives):
        yield one.result()


def storm(folder: Path, seed: int) -> RealTally:
    """One storm, in a home of its own."""
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("GIT_", "CLI_ORCHESTRATOR_", "XDG_"))]:
        del os.environ[name]
    os.environ.update(HOME=str(folder), GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    try:
        found, outcome = weather_a_storm(folder, seed)
    except Exception:  # noqa: BLE001  # whatever it is, it is told with its seed
        return RealTally(
            violation=f"{format_exc()}\nagain: make worlds ARGS='--seed {seed} --real 1 --only real'"
        )
    return RealTally(
        queues=1,
        entries=len(outcome.entries),
        processors=found.processors,
        faults=found.faults,
        ends=Counter(str(entry.status) for entry in outcome.entries.values()),
    )
