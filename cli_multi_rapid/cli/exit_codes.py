"""What the exit status of every command says to scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The outer contract; commands return one of these (or nothing, which is DONE)."""

    DONE = 0
    """Done and, for runs, landed."""
    NOT_LANDED = 1
    """Finished, and something failed or did not land."""
    WRONG_INPUT = 2
    """Usage, plan or configuration."""
    BUDGET = 3
    """Stopped, or refused, by the budget."""
    WAITING = 4
    """Waits for a person."""
    ENVIRONMENT = 5
    """No git, a tool is missing, locked by a living process."""
    BUG = 70
    INTERRUPTED = 130
