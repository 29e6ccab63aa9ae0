"""The few errors of this program, named by who must act on them.

Expected outcomes (a conflict, a failed check, an exceeded budget) are values, never exceptions.
`cli/errors.py` maps each class to its exit code.
"""


class OrchestratorError(Exception):
    """A failure with a message for a stranger and, where there is one, the next thing to type."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(OrchestratorError):
    """The input is wrong: usage, plan or configuration. Exit code 2."""


class EnvironmentFault(OrchestratorError):
    """The surroundings are wrong: no git, a missing tool, a lock held by a live process. Exit code 5."""


class ToolFault(OrchestratorError):
    """A tool that was asked outside of any node did not do its part. Exit code 1."""


class InternalError(OrchestratorError):
    """A rule of this program was broken by this program: a bug. Exit code 70."""
