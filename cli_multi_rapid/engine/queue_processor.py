"""Process a merge queue by itself, without a run: until nothing is left to do, or for as long as wanted."""

from collections.abc import Callable

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import Branch, EntryId
from cli_multi_rapid.core.merge_events import MergeEnqueued, MergeHeld
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.engine.inbox import CheckEnded, Hint, Inbox, Interrupted
from cli_multi_rapid.engine.merge_queue import MergeQueue
from cli_multi_rapid.engine.queue_opening import open_queue
from cli_multi_rapid.engine.signals import signals_to
from cli_multi_rapid.engine.workshop import Workshop

_NET_S = 2.0
"""How long the loop sleeps at most: hints are lossy, and a dead processor's lease becomes free in silence."""

Observer = Callable[[Event], None]


class Processed(Struct, frozen=True, kw_only=True):
    """What became of the entries that waited at the beginning or came meanwhile."""

    target: Branch
    entries: tuple[EntryState, ...]
    halted: str | None
    interrupted: str | None = None
    """The signal that ended it before everything was done."""
    unreachable: bool = False
    """Whether something is ready to land and waits for a remote that did not answer."""


def process_queue(
    shop: Workshop,
    target: Branch,
    observer: Observer,
    *,
    watch: bool = False,
    waiting: Callable[[str], None] = lambda _holder: None,
) -> Processed:
    """Check and land what waits for a target; `observer` hears of every event from now on.

    `watch`: wait while another process works on this queue (`waiting` is told who, once), and for new entries
    for ever. Otherwise raises `EnvironmentFault` when a living process holds the queue.
    """
    inbox = Inbox()
    unsubscribe = shop.bus.subscribe(lambda stream: inbox.put(Hint(stream=stream)))
    try:
        with signals_to(inbox), open_queue(shop, target, inbox) as queue:
            return _Processing(shop, queue, inbox, observer).run(watch=watch, waiting=waiting)
    finally:
        unsubscribe()


class _Processing:
    """One process's work on one queue."""

    def __init__(self, shop: Workshop, queue: MergeQueue, inbox: Inbox, observer: Observer) -> None:
        self._shop = shop
        self._queue = queue
        self._inbox = inbox
        self._observer = observer
        self._concerned: dict[EntryId, None] = {}
        self._cut_off: set[EntryId] = set()
        self._signal: str | None = None

    def run(self, *, watch: bool, waiting: Callable[[str], None]) -> Processed:
        self._queue.journal.catch_up()
        self._concerned.update(self._queue.state.open)
        self._queue.take_news()  # what happened before we came
        told = False
        while self._signal is None:
            self._queue.step()
            self._tell_news()
            leads = self._queue.journal.lease is not None
            if not leads and not told:
                self._say_who_leads(watch=watch, waiting=waiting)
                told = True
            if leads and not watch and not self._queue.busy:
                if not self._queue.journal.catch_up():
                    break
                continue  # somebody added or asked for something while the last of it was done
            for message in self._inbox.wait(_NET_S):
                self._receive(message)
        self._tell_news()
        return self._result()

    def _receive(self, message: object) -> None:
        if isinstance(message, CheckEnded):
            self._queue.deliver(message)
            if message.fault is not None:
                raise message.fault
        elif isinstance(message, Interrupted):
            self._signal = message.signal_name

    def _tell_news(self) -> None:
        for event in self._queue.take_news():
            if isinstance(event.data, MergeEnqueued):
                self._concerned[event.data.entry.id] = None
            elif isinstance(event.data, MergeHeld) and event.data.unreachable:
                self._cut_off.update(event.data.entries)
            self._observer(event)

    def _say_who_leads(self, *, watch: bool, waiting: Callable[[str], None]) -> None:
        target = self._queue.target
        holder = self._shop.leases.holder(self._queue.journal.stream) or "another process"
        if not watch:
            raise EnvironmentFault(
                f"the merge queue of {target} is being processed by {holder}",
                hint="what you added is landed by it; or wait your turn: "
                f"cli-orchestrator queue process --target {target} --watch",
            )
        waiting(holder)

    def _result(self) -> Processed:
        state = self._queue.state
        return Processed(
            target=state.target,
            entries=tuple(state.entries[entry_id] for entry_id in self._concerned),
            halted=state.halted,
            interrupted=self._signal,
            unreachable=any(state.entries[entry_id].command for entry_id in self._cut_off),
        )
