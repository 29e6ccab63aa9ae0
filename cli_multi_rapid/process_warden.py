"""The warden of one program: a process between the orchestrator and the program that outlives neither.

Run as a script, without the package: `python -I -S process_warden.py FD`. It starts the program that the
orchestrator names on the socket FD, and ends as the program ends, when nothing that the program left runs any
more. When the socket closes first, the orchestrator is dead, killed for instance: then the warden kills the
program too. As a child subreaper it is an ancestor of all that, whatever left its session or cleared its
environment.
"""

# The C modules below threading, signal and ctypes: with those and contextlib the warden of every attempt took
# twice the CPU time of an interpreter that does nothing.
import _ctypes
import _signal  # type: ignore[import-not-found]  # typeshed knows only its Python side
import _thread
import os
import resource
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_NOT_FOR_US = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)
"""Sent to the whole process group: the program may answer them, and we end when it does."""
_OF_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)
"""Ignored by the interpreter; a program expects them as they usually are."""
_LONGEST_HUNT_S = 10.0
"""Seconds until we give up on processes that do not die, such as those in an uninterruptible disk wait."""


def main(lifeline: int) -> None:
    """Start the program, report on it, and stay until its end."""
    os.set_inheritable(lifeline, False)
    argv, environment = _read_order(lifeline)
    ourselves = _ctypes.dlopen(None, _ctypes.RTLD_LOCAL)  # type: ignore[arg-type]  # as ctypes.CDLL(None) does
    prctl = _ctypes.dlsym(ourselves, "prctl")
    _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    before = {number: _signal.signal(number, _signal.SIG_IGN) for number in _NOT_FOR_US}
    failure_in, failure_out = os.pipe()
    program = os.fork()
    if program == 0:
        try:
            for number, handler in before.items():
                ignored = handler == _signal.SIG_IGN  # by `nohup`, for one
                _signal.signal(number, _signal.SIG_IGN if ignored else _signal.SIG_DFL)
            for number in _OF_PYTHON:
                _signal.signal(number, _signal.SIG_DFL)
            os.execvpe(argv[0], argv, environment)  # noqa: S606  # nosec B606  # an argv list, no shell
        except OSError as error:
            os.write(failure_out, (error.errno or 0).to_bytes(4, "big"))
        finally:
            os._exit(127)
    os.close(failure_out)
    failure = os.read(failure_in, 4)  # nothing once the program is under way
    ending = _thread.allocate_lock()
    try:
        os.write(lifeline, program.to_bytes(4, "big") + (failure or bytes(4)))
        _thread.start_new_thread(_watch, (lifeline, ending))
        # Its output ends with the last of its own processes, not with us.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
    except BaseException:  # the orchestrator died during the handover, or nobody would see its death
        _kill_descendants()
        raise
    while True:
        dead, status = os.waitpid(-1, 0)
        if dead == program:
            with ending:  # who hunts goes on to the end
                # Here and now: only we can tell whose an orphan without a trace is.
                if _has_children():
                    _kill_descendants()
                _die_as(os.waitstatus_to_exitcode(status))


def _read_order(lifeline: int) -> tuple[list[bytes], dict[bytes, bytes]]:
    """The program's argv and environment: their length, how many words of argv, the words, parted by NUL."""
    order = _read(lifeline, int.from_bytes(_read(lifeline, 8), "big"))
    count, *words = order.split(b"\0")
    argv, settings = words[: int(count)], words[int(count) :]
    parted = (setting.partition(b"=") for setting in settings)
    return argv, {name: value for name, _, value in parted}


def _read(lifeline: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = os.read(lifeline, length - len(data))
        if not piece:
            sys.exit(1)
        data += piece
    return data


def _watch(lifeline: int, ending: _thread.LockType) -> None:
    """Wait for the orchestrator's death; the kernel closes its end of the socket whatever it dies of."""
    try:
        os.read(lifeline, 1)
    except ConnectionResetError:
        os.close(lifeline)  # it died with our answer unread
    with ending:
        _kill_descendants()
        os._exit(1)


def _kill_descendants() -> None:
    """Kill what lives below us until nothing does but other users' processes, or until we give up."""
    deadline = time.monotonic() + _LONGEST_HUNT_S
    refused: set[int] = set()
    while (living := {*_descendants(os.getpid())} - refused) and time.monotonic() < deadline:
        refused.update(pid for pid in living if not _kill(pid))
        time.sleep(0.002)


def _has_children() -> bool:
    """Whether there is anything to look for: a look at all processes takes longer."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _descendants(ancestor: int) -> list[int]:
    """The living processes below one, from proc(5) stat."""
    children: dict[int, list[int]] = {}
    alive = set()
    for name in os.listdir("/proc"):  # noqa: PTH208  # pathlib takes longer to load than all the rest
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123  # as above
                state, parent, *_ = file.read().rpartition(b") ")[2].split()
        except (OSError, ValueError):
            continue
        children.setdefault(int(parent), []).append(int(name))
        if state not in (b"Z", b"X"):
            alive.add(int(name))
    found, queue = [], [ancestor]
    while queue:
        below = children.get(queue.pop(), [])
        found += [pid for pid in below if pid in alive]
        queue += below
    return found


def _kill(pid: int) -> bool:
    """Kill a process, unless it is dead by now; whether we may."""
    try:
        os.kill(pid, _signal.SIGKILL)
    except PermissionError:
        return False
    except OSError:
        return True  # it is dead by now
    return True


def _die_as(code: int) -> None:
    """End with a program's exit code, or from the signal that ended it."""
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program's core is enough
    if -code in _signal.valid_signals() and -code != _signal.SIGKILL:  # nobody can change what the others do
        _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    os._exit(128 - code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
