"""The live view of a run on a terminal: notable lines scroll by, what is under way stays below them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

from cli_multi_rapid.cli.output import Progress
from cli_multi_rapid.core import merge_events as merge
from cli_multi_rapid.core import node_events as node
from cli_multi_rapid.core import run_events as run
from cli_multi_rapid.core import verification_events as verification
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import CheckId, NodeId
from cli_multi_rapid.core.money import ZERO, MicroUsd, format_usd
from cli_multi_rapid.redaction import printable
from cli_multi_rapid.reports.times import span

_MOST_SHOWN = 12
"""Running attempts that get a line of their own; a screen has few."""


class LiveView:
    """What runs now, told by the run's events. `follow` and `say` are called by one thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[NodeId, tuple[str, float]] = {}
        self._checks: dict[str, tuple[CheckId, float]] = {}
        self._completed = 0
        self._landed = 0
        self._nodes = 0
        self._spent = ZERO
        self._unknown = False
        self._spinner = Spinner("dots")

    def say(self, line: str) -> None:
        """Let a line scroll by above what is under way."""
        self._console.print(Text(printable(line)), soft_wrap=True)

    def follow(self, event: Event) -> None:
        """Take an event into account."""
        match event.data:
            case run.PlanAccepted(plan=plan):
                self._nodes = len(plan.nodes)
            case verification.PlanAmended(nodes=nodes):
                self._nodes += len(nodes)
            case node.NodeStarted(node_id=node_id, tool=tool):
                self._running[node_id] = (tool, time.monotonic())
            case node.NodeSucceeded(node_id=node_id):
                self._running.pop(node_id, None)
                self._completed += 1
            case node.NodeAttemptFailed(node_id=node_id):
                self._running.pop(node_id, None)
            case run.BudgetSettled(usage=usage):
                self._spent = MicroUsd(self._spent + usage.cost)
                self._unknown = self._unknown or usage.unknown
            case merge.CheckStarted(key=key, check=check):
                self._checks[key] = (check, time.monotonic())
            case merge.CheckFinished(key=key):
                self._checks.pop(key, None)
            case merge.MergeLanded(entries=entries):
                self._landed += len(entries)
            case _:
                pass

    def __rich__(self) -> RenderableType:
        """What is under way, for the next frame. Called by the thread that draws."""
        now = time.monotonic()
        lines = [f"  {name} ({tool}) {span(now - since)}" for name, (tool, since) in [*self._running.items()]]
        lines += [f"  check {check} {span(now - since)}" for check, since in [*self._checks.values()]]
        rest = len(lines) - _MOST_SHOWN
        shown = [*lines[:_MOST_SHOWN], *([f"  and {rest} more"] if rest > 0 else [])]
        head = (
            f"{len(self._running)} running, {self._completed} of {self._nodes} completed, "
            f"{self._landed} landed, {format_usd(self._spent)}{' and more' if self._unknown else ''}"
        )
        self._spinner.update(text=escape(head))
        return Group(self._spinner, *(Text(printable(line), no_wrap=True) for line in shown))


@contextmanager
def live_view() -> Iterator[LiveView]:
    """A view on stderr, gone at the end; what scrolled by stays."""
    console = Console(file=cast("TextIO", Progress()), highlight=False)
    view = LiveView(console)
    with Live(
        view,
        console=console,
        refresh_per_second=8,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield view
