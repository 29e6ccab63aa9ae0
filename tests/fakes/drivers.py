"""Another process that drives a run, like a person's second terminal."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid import wiring
from cli_multi_rapid.core.errors import OrchestratorError, UserError
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.engine.session import Session
from tests.fakes.forks import Fork
from tests.fakes.worlds import World

PROJECT = Path(__file__).resolve().parents[2]
_LONGEST_S = 60.0


class Driver(Struct, frozen=True, kw_only=True):
    """The process from outside."""

    process: Fork

    def interrupt(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; the exit code of its run. Fails when it wrote a traceback."""
        self.last_words()
        return self.process.wait()

    def last_words(self) -> str:
        """Wait for its end; what it complained about."""
        _, errors = self.process.communicate(timeout=_LONGEST_S)
        assert "Traceback" not in errors, errors
        return errors


@contextmanager
def driving(world: World, run_id: RunId) -> Iterator[Driver]:
    """Drive an accepted run in a process of its own, which does not outlive the body."""
    process = Fork("drivers", [world.repository.path, run_id], PROJECT)
    try:
        yield Driver(process=process)
    finally:
        process.kill()
        process.wait()
        process.close()


def main(repository: Path, run_id: RunId) -> int:
    """Drive the run; its exit code."""
    try:
        with wiring.open_workshop(repository) as shop:
            return Session(shop, run_id).run().exit_code
    except OrchestratorError as fault:
        sys.stderr.write(f"{fault.message}\n")
        return 2 if isinstance(fault, UserError) else 5


def start(words: Sequence[str]) -> int:
    """Be what `driving` starts."""
    repository, run_id = words
    return main(Path(repository), RunId(run_id))
