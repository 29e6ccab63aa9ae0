"""The one map from errors to exit codes and messages; nothing else decides how a failure looks."""

import errno
from collections.abc import Sequence
from typing import Any, Final, TypedDict

import click
from msgspec import Struct

from cli_multi_rapid.cli.exit_codes import ExitCode
from cli_multi_rapid.core.errors import EnvironmentFault, OrchestratorError, ToolFault, UserError
from cli_multi_rapid.machine_faults import remedy_of, words_of

_SURROUNDINGS: Final = frozenset({errno.EACCES, errno.EPERM})
"""System errors that no change of this program cures, beside those of the machine."""


class ErrorDetail(TypedDict):
    """`code`: usage, input, budget, declined, tool, environment, bug or interrupted.

    `problems`: of a refused document.
    """

    code: str
    exit_code: int
    message: str
    hint: str
    problems: list[dict[str, Any]]


class ErrorDocument(TypedDict):
    """What any command prints on stdout when it fails and was given `--format json`."""

    schema_version: int
    error: ErrorDetail


class StoppedByBudget(OrchestratorError):
    """The money does not do, and the person does not want a part. Exit code 3."""


class NotConfirmed(OrchestratorError):
    """A person saw what would be done and did not want it. Exit code 4."""


class Failure(Struct, frozen=True, kw_only=True):
    """How an error is told."""

    exit_code: ExitCode
    code: str
    """For scripts, see `ErrorDetail`; `reader-gone` is told to nobody."""
    message: str
    hint: str = ""
    problems: tuple[dict[str, Any], ...] = ()
    """Of a document that was refused: the elements of the published `problems` document."""


def exit_for(error: BaseException, argv: Sequence[str]) -> int:
    """Tell the error where its reader looks for it, and return the exit status."""
    if isinstance(error, (click.exceptions.Exit, SystemExit)):
        return _status_of(error)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return ExitCode.WRONG_INPUT
    failure = failure_of(error, argv)
    if failure.code == "reader-gone":
        return _leave_quietly()
    if wants_json(argv):
        _tell_json(failure)
    else:
        _tell_text(failure)
    return failure.exit_code


def failure_of(error: BaseException, argv: Sequence[str]) -> Failure:
    """The one map. A bug leaves a report, which its message names."""
    match error:
        case UserError():
            return Failure(
                exit_code=ExitCode.WRONG_INPUT,
                code="input",
                message=error.message,
                hint=error.hint,
                problems=_problems_of(error),
            )
        case StoppedByBudget():
            return Failure(exit_code=ExitCode.BUDGET, code="budget", message=error.message, hint=error.hint)
        case NotConfirmed():
            return Failure(
                exit_code=ExitCode.WAITING, code="declined", message=error.message, hint=error.hint
            )
        case ToolFault():
            return Failure(exit_code=ExitCode.NOT_LANDED, code="tool", message=error.message, hint=error.hint)
        case EnvironmentFault():
            return Failure(
                exit_code=ExitCode.ENVIRONMENT, code="environment", message=error.message, hint=error.hint
            )
        case click.ClickException():
            return Failure(
                exit_code=ExitCode.WRONG_INPUT,
                code="usage",
                message=error.format_message(),
                hint=_usage_hint(error),
            )
        case KeyboardInterrupt() | click.Abort():
            return Failure(exit_code=ExitCode.INTERRUPTED, code="interrupted", message="interrupted")
        case BrokenPipeError():
            return Failure(exit_code=ExitCode.DONE, code="reader-gone", message="")
        case _:
            return _other(error, argv)


def _other(error: BaseException, argv: Sequence[str]) -> Failure:
    """An error that is not one of ours: what no change of this program cures, else a bug."""
    remedy = remedy_of(error)
    if remedy is None and not (isinstance(error, OSError) and error.errno in _SURROUNDINGS):
        return _bug(error, argv)
    hint = f"{remedy}, then try again" if remedy else ""
    return Failure(exit_code=ExitCode.ENVIRONMENT, code="environment", message=words_of(error), hint=hint)


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the person asked for JSON, also when the command line could not be read to its end."""
    given = value_after("--format", argv)
    return given is not None and given.lower() == "json"


def value_after(option: str, argv: Sequence[str]) -> str | None:
    """The last value of an option in raw words; None when it is not there."""
    found = None
    for word, following in zip(argv, [*argv[1:], None], strict=True):
        if word == "--":
            break
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _status_of(error: BaseException) -> int:
    code = error.exit_code if isinstance(error, click.exceptions.Exit) else getattr(error, "code", 0)
    return code if isinstance(code, int) else ExitCode.DONE


def _problems_of(error: UserError) -> tuple[dict[str, Any], ...]:
    from cli_multi_rapid.schema.problems import InvalidInput

    if not isinstance(error, InvalidInput):
        return ()
    return tuple(dict(problem.to_data()) for problem in error.problems)


def _usage_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"see: {context.command_path} --help" if context else ""


def _bug(error: BaseException, argv: Sequence[str]) -> Failure:
    # Loaded only now: nobody else needs it.
    from cli_multi_rapid.cli.crash_report import without_secrets, write_crash_report

    path = write_crash_report(error, argv)
    return Failure(
        exit_code=ExitCode.BUG,
        code="bug",
        message=without_secrets(f"this is a bug in cli-orchestrator: {type(error).__name__}: {error}"),
        hint=f"please report it with {path} (secrets are removed)",
    )


def _tell_text(failure: Failure) -> None:
    from cli_multi_rapid.cli.output import tell

    lines = [f"error: {failure.message}"]
    if failure.hint:
        lines.append(f"hint: {failure.hint}")
    tell("\n".join(lines))


def _tell_json(failure: Failure) -> None:
    from cli_multi_rapid.cli.output import print_json

    told = ErrorDetail(
        code=failure.code,
        exit_code=int(failure.exit_code),
        message=failure.message,
        hint=failure.hint,
        problems=list(failure.problems),
    )
    print_json(ErrorDocument(schema_version=1, error=told))


def _leave_quietly() -> int:
    """Whoever read our output went away; say nothing, and let the interpreter's last flush fail unheard."""
    from cli_multi_rapid.cli.output import discard_stdout

    discard_stdout()
    return ExitCode.DONE
