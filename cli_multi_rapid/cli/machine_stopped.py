"""What to type when the machine stopped a run: the run itself is where its events left it."""

from collections.abc import Iterator
from contextlib import contextmanager

from cli_multi_rapid.cli.output import tell
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.machine_faults import remedy_of, words_of
from cli_multi_rapid.reports import commands


@contextmanager
def told_to_resume(run_id: RunId) -> Iterator[None]:
    """Have a fault of the machine, or a person's haste, end with the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"stopped at once; go on with: {commands.resume(run_id)}")
        raise
    except Exception as error:
        remedy = remedy_of(error)
        if remedy is None:
            raise
        hint = f"{remedy}, then: {commands.resume(run_id)}"
        raise EnvironmentFault(words_of(error), hint=hint) from error
