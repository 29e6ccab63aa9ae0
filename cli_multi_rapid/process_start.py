"""How a supervised program is started: in a session of its own, alone or below a warden."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault, OrchestratorError, UserError
from cli_multi_rapid.machine_faults import remedy_in
from cli_multi_rapid.process_table import MARKER_VARIABLE

_WARDEN: Final = Path(__file__).with_name("process_warden.py")
_FOR_THE_INTERPRETER: Final = ("LD_LIBRARY_PATH",)
"""Of our own environment, what the warden's interpreter may need; all else of it is the program's."""


class ProgramMissing(EnvironmentFault):
    """There is no such program, or it cannot be executed."""


class Started(Struct, frozen=True, kw_only=True):
    """A program under way. Its standard output and error are one pipe, its standard input is /dev/null."""

    leader: "subprocess.Popen[bytes]"
    """The leader of its session, which ends as it ends: the program itself, or its warden."""
    program: int
    """The id of the program's own process."""
    lifeline: socket.socket | None = None
    """What a warden watches: when our end closes, it kills the program and all that came of it."""

    def let_go(self) -> None:
        """Say that nobody needs to be watched over any more."""
        if self.lifeline is not None:
            self.lifeline.close()


def start_session(argv: Sequence[str], cwd: Path | None, env: Mapping[str, str]) -> Started:
    """Start a program that leads its session. Raises what `cannot_start` says."""
    try:
        leader = _lead_session(argv, cwd, env)
    except (OSError, ValueError) as error:
        raise cannot_start(argv[0], cwd, error) from error
    return Started(leader=leader, program=leader.pid)


def start_guarded(argv: Sequence[str], cwd: Path | None, env: Mapping[str, str]) -> Started:
    """Start a program below a warden: when we are killed, nothing that came of it lives on. Linux only.

    Costs the start of an interpreter. Raises what `cannot_start` says.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            order = _order(argv, env)
            kept = {name: os.environ[name] for name in _FOR_THE_INTERPRETER if name in os.environ}
            own = {**kept, MARKER_VARIABLE: env[MARKER_VARIABLE]}
            command = [sys.executable, "-I", "-S", str(_WARDEN), str(theirs.fileno())]
            leader = _lead_session(command, cwd, own, keep=theirs.fileno())
        return Started(leader=leader, program=_hand_over(order, ours, leader), lifeline=ours)
    except (OSError, ValueError) as error:
        ours.close()
        raise cannot_start(argv[0], cwd, error) from error
    except BaseException:
        ours.close()
        raise


def _lead_session(
    argv: Sequence[str], cwd: Path | None, env: Mapping[str, str], *, keep: int | None = None
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
        pass_fds=() if keep is None else (keep,),
    )


def _order(argv: Sequence[str], env: Mapping[str, str]) -> bytes:
    """What `process_warden` reads. Raises `ValueError` for what no program can be given."""
    settings = [f"{name}={value}" for name, value in env.items()]
    words = [os.fsencode(word) for word in (str(len(argv)), *argv, *settings)]
    if any(b"\0" in word for word in words):
        raise ValueError("embedded null byte")
    order = b"\0".join(words)
    return len(order).to_bytes(8, "big") + order


def _hand_over(order: bytes, lifeline: socket.socket, warden: "subprocess.Popen[bytes]") -> int:
    """Have the warden start the program; the program's id. Raises `OSError` as the start would."""
    answer = b""
    try:
        lifeline.sendall(order)
        while len(answer) < 8 and (piece := lifeline.recv(8 - len(answer))):
            answer += piece
    except OSError:
        answer = b""  # the warden died; its end says no more than that
    if len(answer) < 8 and _was_killed(warden.pid):
        return warden.pid  # by the program, before it could say so: how it ended is told as of any other
    failure = int.from_bytes(answer[4:], "big")
    if len(answer) == 8 and not failure:
        return int.from_bytes(answer[:4], "big")
    with warden:
        warden.kill()
    if len(answer) < 8:
        raise EnvironmentFault(f"{sys.executable} cannot run {_WARDEN}, which starts programs")
    raise OSError(failure, os.strerror(failure))


def _was_killed(pid: int) -> bool:
    """Whether a child of ours, which closed its socket, died from a signal; it stays to be waited for."""
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return end is not None and end.si_code != os.CLD_EXITED


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
