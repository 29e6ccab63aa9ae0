"""Drive a run to where it rests: the part that `execute` and `resume` have in common."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cli_multi_rapid.cli.ci import announce_in_ci
from cli_multi_rapid.cli.finish import Written, write_run_files
from cli_multi_rapid.cli.machine_stopped import told_to_resume
from cli_multi_rapid.cli.output import Format, can_animate, print_text, tell, write
from cli_multi_rapid.cli.progress import Narrator
from cli_multi_rapid.cli.summary import run_summary
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.engine.session import Session

if TYPE_CHECKING:
    from cli_multi_rapid.engine.workshop import Workshop

Observe = Callable[[Event], None]


def drive(shop: "Workshop", run_id: RunId, *, format_: Format, ci: bool = False) -> int:
    """Work on a run until it rests, tell how it goes on stderr and how it ended on stdout.

    The report and the plain files are written whatever happens. Returns the exit code of the contract.
    Raises `UserError` for an unknown run, `EnvironmentFault` when another process drives it.
    """
    narrator = Narrator()
    with told_to_resume(run_id), _told_to(narrator, shop.log.last_seq(run_id), ci=ci) as observe:
        session = Session(shop, run_id, [observe])
        narrator.earlier = session.earlier
        try:
            finished = session.run()
        except BaseException:
            # The reason why it stopped is what the person has to know.
            with suppress(OSError, MemoryError, OrchestratorError):
                write_run_files(shop.home, shop.log, shop.clock, run_id)
            raise
        written = write_run_files(shop.home, shop.log, shop.clock, run_id)
    if ci:
        announce_in_ci(written.report, os.environ, to_stderr=format_ is Format.JSON)
    _tell_end(written, format_)
    return finished.exit_code


def _tell_end(written: Written, format_: Format) -> None:
    if format_ is Format.JSON:
        write(written.text)
    else:
        print_text(run_summary(written.report, written.path))


@contextmanager
def _told_to(narrator: Narrator, after_seq: int, *, ci: bool) -> Iterator[Observe]:
    """Tell what happens after a place of the stream: in a live view on a terminal, else line by line."""
    if can_animate() and not ci:
        from cli_multi_rapid.cli.live import live_view  # 100 ms that only a terminal pays for

        with live_view() as view:
            yield _observer(narrator, after_seq, view.say, view.follow)
    else:
        yield _observer(narrator, after_seq, tell, None)


def _observer(
    narrator: Narrator, after_seq: int, say: Callable[[str], None], follow: Observe | None
) -> Observe:
    def observe(event: Event) -> None:
        line = narrator.line_of(event)
        if line is not None and event.seq > after_seq:
            say(line)
        if follow is not None:
            follow(event)

    return observe
