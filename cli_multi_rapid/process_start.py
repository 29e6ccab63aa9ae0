"""How a supervised program is started: in a session of its own, alone or below a warden."""

import errno
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault, OrchestratorError, UserError
from cli_multi_rapid.machine_faults import remedy_in
from cli_multi_rapid.process_steward import STEWARD, Warden, order_of


class ProgramMissing(EnvironmentFault):
    """There is no such program, or it cannot be executed."""


class Started(Struct, frozen=True, kw_only=True):
    """A program under way. Its standard output and error are one pipe, its standard input is /dev/null."""

    leader: "subprocess.Popen[bytes] | Warden"
    """The leader of its session, which ends as it ends: the program itself, or its warden."""
    program: int
    """The id of the program's own process."""
    lifeline: socket.socket | None = None
    """What a warden watches."""

    def let_go(self) -> None:
        """Say that nobody needs to be watched over any more."""
        if self.lifeline is not None:
            self.lifeline.close()


def start_session(argv: Sequence[str], cwd: Path | None, env: Mapping[str, str]) -> Started:
    """Start a program that leads its session. Raises what `cannot_start` says."""
    try:
        leader = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise cannot_start(argv[0], cwd, error) from error
    return Started(leader=leader, program=leader.pid)


def start_guarded(argv: Sequence[str], cwd: Path | None, env: Mapping[str, str]) -> Started:
    """Start a program below a warden: when we are killed, nothing that came of it lives on. Linux only.

    Costs two forks of a small process more than `start_session`. Raises what `cannot_start` says.
    """
    try:
        order = order_of(argv, cwd, env)
        warden = STEWARD.warden()
        try:
            return Started(leader=warden, program=warden.start(order), lifeline=warden.lifeline)
        except BaseException:
            warden.give_up()
            raise
    except (OSError, ValueError) as error:
        raise cannot_start(argv[0], cwd, error) from error


def cannot_start(name: str, cwd: Path | None, error: OSError | ValueError) -> OrchestratorError:
    """Say in whose hands the remedy lies when a program could not be started."""
    if isinstance(error, ValueError):
        return UserError(f"an argument of {name} holds a NUL character", hint="remove it from the plan")
    if cwd is not None and not cwd.is_dir():
        return EnvironmentFault(
            f"the folder {cwd} in which {name} should run does not exist",
            hint="something removes it while it is in use, such as `git clean -fdx`",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ProgramMissing(
            f"the program {name}, or the interpreter that it names, was not found",
            hint="install it or put it on the PATH",
        )
    if error.errno in (errno.EACCES, errno.ENOEXEC):
        return ProgramMissing(f"{name} cannot be executed: {error.strerror}", hint="check its permissions")
    if error.errno == errno.E2BIG:
        return EnvironmentFault(f"the command line of {name} is too long for this system")
    remedy = remedy_in(error.strerror or "")
    hint = f"{remedy}, then try again" if remedy else ""
    return EnvironmentFault(f"{name} could not be started: {error.strerror}", hint=hint)
