"""Other merge queues, as far as their rule goes: what to check next, and what follows from the outcome.

Each is simulated at its best: a check starts the moment a checker is free, and landing takes no time. None of
them runs a failed check again; that is what they do as they come.
"""

from bisect import insort

from msgspec import Struct, field

from benchmarks.queue_sim.workloads import Change
from benchmarks.queue_sim.world import Names, World


class Line:
    """Changes that wait: by priority, then in order of arrival."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, str]] = []
        self._arrived = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, change: Change) -> None:
        """Put a change behind all that are as important."""
        self._arrived += 1
        insort(self._waiting, (change.priority, self._arrived, change.name))

    def take(self, count: int) -> list[str]:
        """Remove the first ones."""
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return [name for _, _, name in taken]


class Batches:
    """bors: the first so many changes at once, one batch at a time; a red batch is halved.

    With batches of one it is the plain serial queue.
    """

    def __init__(self, world: World, size: int) -> None:
        self._world = world
        self._size = size
        self._line = Line()
        self._halves: list[Names] = []
        self._under_check: dict[str, Names] = {}

    def arrive(self, change: Change) -> None:
        """Wait."""
        self._line.add(change)

    def finish(self, key: str, passed: bool) -> None:
        """Land a green batch, halve a red one, eject a red change."""
        batch = self._under_check.pop(key)
        if passed:
            self._world.land(batch)
        elif len(batch) == 1:
            self._world.eject(batch[0])
        else:
            middle = (len(batch) + 1) // 2
            self._halves[:0] = [batch[:middle], batch[middle:]]

    def act(self) -> None:
        """Check the next half, or the next batch."""
        if self._under_check:
            return
        batch = self._halves.pop(0) if self._halves else tuple(self._line.take(self._size))
        if batch:
            key = "+".join(batch)
            self._under_check[key] = batch
            self._world.check(key, batch)


class _Item(Struct):
    """A place in Zuul's window."""

    name: str
    tested_on: Names | None = None
    """Everything that its check was started on, landed changes included, ending in itself."""
    key: str = ""
    """Names its check."""
    verdict: bool | None = None


class Zuul:
    """Zuul's dependent pipeline: each change is checked on all those ahead of it that do not fail.

    The window starts at 20, grows by one with each success, is halved by each failure, and is never below 3.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._line = Line()
        self._window = 20
        self._items: list[_Item] = []
        self._landed: list[str] = []
        self._keys: dict[str, _Item] = {}
        self._started = 0

    def arrive(self, change: Change) -> None:
        """Wait for a place in the window."""
        self._line.add(change)

    def finish(self, key: str, passed: bool) -> None:
        """Note the verdict of an item."""
        self._keys.pop(key).verdict = passed

    def act(self) -> None:
        """Decide on the head as long as it has a verdict, then start anew what stands on a failure."""
        self._settle()
        while self._items and self._items[0].verdict is not None:
            self._decide_head()
            self._settle()
        self._start()

    def _decide_head(self) -> None:
        head = self._items.pop(0)
        if head.verdict:
            self._window += 1
            self._world.land((head.name,))
            self._landed.append(head.name)
        else:
            self._window = max(3, self._window // 2)
            self._world.eject(head.name)

    def _settle(self) -> None:
        """Fill the window and drop every check whose item now stands on something else."""
        while len(self._items) < self._window and self._line:
            self._items += [_Item(name) for name in self._line.take(1)]
        ahead = tuple(self._landed)
        for item in self._items[: self._window]:
            stack = (*ahead, item.name)
            if item.tested_on is not None and item.tested_on != stack:
                self._drop(item)
            if item.verdict is not False:
                ahead = stack

    def _drop(self, item: _Item) -> None:
        if self._keys.pop(item.key, None) is not None:
            self._world.cancel(item.key)
        item.tested_on = item.verdict = None

    def _start(self) -> None:
        ahead: Names = ()
        for item in self._items[: self._window]:
            if self._world.free <= 0:
                return
            if item.tested_on is None:
                item.tested_on = (*self._landed, *ahead, item.name)
                self._started += 1
                item.key = f"{item.name} try {self._started}"
                self._keys[item.key] = item
                self._world.check(item.key, (*ahead, item.name))
            if item.verdict is not False:
                ahead = (*ahead, item.name)


class Oracle(Struct):
    """Checks each change once, knows all else, and lands the good ones in order. No queue can have that.

    Its checks never flake and need nothing ahead. The order is kept within a part of the repository.
    """

    world: World
    _line: Line = field(default_factory=Line)
    _pending: dict[int, dict[str, bool | None]] = field(default_factory=dict)
    """Part -> its changes in order, with their verdicts."""

    def arrive(self, change: Change) -> None:
        """Wait for a checker."""
        self._line.add(change)

    def finish(self, key: str, passed: bool) -> None:
        """Note the verdict."""
        self._pending[self.world.fates[key].change.part][key] = passed

    def act(self) -> None:
        """Land what is good as far as the order allows, and check the next ones."""
        for pending in self._pending.values():
            for name, verdict in list(pending.items()):
                if verdict is None:
                    break
                del pending[name]
                if self.world.red((name,)):
                    self.world.eject(name)
                else:
                    self.world.land((name,))
        while self.world.free > 0 and self._line:
            for name in self._line.take(1):
                self._pending.setdefault(self.world.fates[name].change.part, {})[name] = None
                self.world.check(name, (name,), honest=True)
