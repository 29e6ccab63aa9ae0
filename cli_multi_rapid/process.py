"""The only place that starts programs: quick calls that are waited for, and supervised ones that may misbehave."""

import errno
import os
import signal
import subprocess  # nosec B404: the one module that may; never with a shell
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli_multi_rapid.core.errors import EnvironmentFault, UserError


class ProgramTimeout(EnvironmentFault):
    """A quick call did not end in time; its process group was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A quick call that ended; a negative return code is the signal that ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether the program reported success."""
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Standard output without its last newline; bytes that are no UTF-8 survive as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def error_text(self) -> str:
        """Standard error for a person to read."""
        return self.stderr.decode("utf-8", "replace").strip()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run a short program to its end and return what it said, whatever its return code.

    `env` is the complete environment: nothing is inherited. Without `stdin` the program reads /dev/null. It
    gets its own process group, so that Ctrl-C reaches only us and a timeout kills its children too.
    Raises `EnvironmentFault` when it cannot be started and `ProgramTimeout` when it was killed after `timeout_s`.
    """
    try:
        program = subprocess.Popen(  # nosec B603: an argument list, no shell
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        raise _cannot_start(argv, cwd, error) from error
    with program:
        try:
            stdout, stderr = program.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired:
            _kill_group(program.pid)
            raise ProgramTimeout(f"{argv[0]} did not end within {timeout_s:g} s and was killed") from None
        except BaseException:
            _kill_group(program.pid)
            raise
    return Completed(argv=tuple(argv), returncode=program.returncode, stdout=stdout, stderr=stderr)


def run_through(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str]) -> int:
    """Run a program as a part of this one, to its end; its return code, negative for a signal.

    It shares our output and our process group, so that whoever supervises us sees what it says and ends it with
    us. Standard input is /dev/null. Raises as `run` does when it cannot be started.
    """
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, check=False)  # nosec B603
    except (OSError, ValueError) as error:
        raise _cannot_start(argv, cwd, error) from error
    return done.returncode


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _cannot_start(
    argv: Sequence[str], cwd: Path | None, error: OSError | ValueError
) -> EnvironmentFault | UserError:
    """Say in whose hands the remedy lies when a program could not be started."""
    name = argv[0]
    if isinstance(error, ValueError):
        return UserError(
            f"an argument of {name} holds a NUL character", hint="remove it from the plan's text"
        )
    if cwd is not None and not cwd.is_dir():
        return EnvironmentFault(f"the folder {cwd} in which {name} should run does not exist")
    if error.errno == errno.ENOENT:
        return EnvironmentFault(
            f"the program {name} was not found", hint=f"install {name} or put it on the PATH"
        )
    if error.errno in (errno.EACCES, errno.ENOEXEC):
        return EnvironmentFault(f"{name} cannot be executed: {error.strerror}", hint="check its permissions")
    if error.errno == errno.E2BIG:
        return EnvironmentFault(f"the command line of {name} is too long for this system")
    return EnvironmentFault(f"{name} could not be started: {error.strerror}")
