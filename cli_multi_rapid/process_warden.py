"""The steward of one orchestrator and the wardens that it forks: processes that outlive no orchestrator.

Run as a script, without the package: `python -I -S process_warden.py FD`. The steward forks a warden for each
message on the socket FD, which carries the warden's own socket and the pipe for the output. A warden starts
the program that the orchestrator names on its socket, and ends as the program ends, when nothing that the
program left runs any more. When the socket closes first, the orchestrator is dead, killed for instance: then
the warden kills the program too. As a child subreaper it is an ancestor of all that, whatever left its
session or cleared its environment.

A warden could be an interpreter of its own; to fork it from one that stands ready takes a tenth of the time.
"""

# The C modules below socket, threading, signal and ctypes: with those and contextlib the steward would take
# twice the CPU time of an interpreter that does nothing, before the first program can start.
import _ctypes
import _signal  # type: ignore[import-not-found]  # typeshed knows only its Python side
import _socket
import _thread
import errno
import os
import resource
import sys
import time

_OURSELVES = _ctypes.dlopen(None, _ctypes.RTLD_LOCAL)  # type: ignore[arg-type]  # as ctypes.CDLL(None) does
_PRCTL = _ctypes.dlsym(_OURSELVES, "prctl")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_NOT_FOR_US = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM)
"""Sent to the whole process group: the program may answer them, and we end when it does."""
_OF_PYTHON = (_signal.SIGPIPE, _signal.SIGXFSZ)
"""Ignored by the interpreter; a program expects them as they usually are."""
_LONGEST_HUNT_S = 10.0
"""Seconds until we give up on processes that do not die, such as those in an uninterruptible disk wait."""
_DESCRIPTOR_BYTES = 4
"""The size of a file descriptor in a message, a C int (cmsg(3))."""


def main(control: int) -> None:
    """Fork a warden for each message until the orchestrator, or whatever else asks, is gone.

    The answer is its process id, or the error number of what went wrong. By then the warden is a child of
    whoever is the next child subreaper above us, which is to be the orchestrator.
    """
    os.set_inheritable(control, False)
    for number in _NOT_FOR_US:
        _signal.signal(number, _signal.SIG_IGN)
    asked = _socket.socket(fileno=control)
    while True:
        message, rights, _, _ = asked.recvmsg(
            1, _socket.CMSG_SPACE(2 * _DESCRIPTOR_BYTES), _socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            return
        ends = [
            int.from_bytes(data[at : at + _DESCRIPTOR_BYTES], sys.byteorder)
            for _, _, data in rights
            for at in range(0, len(data), _DESCRIPTOR_BYTES)
        ]
        try:
            lifeline, output = ends
            answer = _fork_warden(control, lifeline, output)
        except ValueError:  # they are fewer
            answer = _answer(0, errno.EMFILE)
        except OSError as error:
            answer = _answer(0, error.errno or 0)
        finally:
            for end in ends:
                os.close(end)
        # Here and not on the warden's socket: that stays open when we are killed before we could answer.
        os.write(control, answer)


def _fork_warden(control: int, lifeline: int, output: int) -> bytes:
    """Fork a warden that is not our child; four bytes of its process id and four of an error number."""
    told, tells = os.pipe()
    try:
        between = os.fork()
    except OSError as error:
        os.close(tells)
        os.close(told)
        return _answer(0, error.errno or 0)
    if between == 0:
        try:
            warden = os.fork()
            if warden == 0:
                for descriptor in (control, told, tells):
                    os.close(descriptor)
                _become_warden(lifeline, output)
            os.write(tells, _answer(warden, 0))
        except OSError as error:
            os.write(tells, _answer(0, error.errno or 0))
        finally:
            os._exit(0)
    os.close(tells)
    answer = os.read(told, 8)
    os.close(told)
    os.waitpid(between, 0)  # with its end the warden gets its new parent
    return answer or _answer(0, errno.ECHILD)  # somebody killed it


def _answer(pid: int, failure: int) -> bytes:
    return pid.to_bytes(4, "big") + failure.to_bytes(4, "big")


def _become_warden(lifeline: int, output: int) -> None:
    """Guard a program; never returns."""
    try:
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        guard(lifeline)
    except BaseException:  # noqa: BLE001  # there is nobody above us to tell it
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def guard(lifeline: int) -> None:
    """Start the program, report on it, and stay until its end."""
    folder, ignored, argv, environment = _read_order(lifeline)
    os.setsid()  # not before: whoever has no use for us finds us in the steward's process group
    _ctypes.call_function(_PRCTL, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    failure, program = 0, 0
    ending = _thread.allocate_lock()
    with ending:  # who hunts waits until there is something to be hunted
        try:
            _thread.start_new_thread(_watch, (lifeline, ending))
            os.chdir(folder)
            program = _spawn(argv, environment, {*_NOT_FOR_US, *_OF_PYTHON} - ignored)
        except RuntimeError:  # there cannot be another thread
            failure = errno.EAGAIN
        except OSError as error:
            failure = error.errno or 0
    try:
        os.write(lifeline, _answer(program, failure))
        if failure:
            return
        # Its output ends with the last of its own processes, not with us.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
    except BaseException:  # the orchestrator died during the handover
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


def _spawn(argv: list[bytes], environment: dict[bytes, bytes], usual: set[int]) -> int:
    """Start a program, looked for on its own PATH, that takes the `usual` signals as programs usually do.

    Raises `OSError` when it cannot.
    """
    os.putenv(b"PATH", environment.get(b"PATH", os.fsencode(os.defpath)))  # it is our own that is searched
    return os.posix_spawnp(argv[0], argv, environment, setsigdef=usual)


def _read_order(lifeline: int) -> tuple[bytes, set[int], list[bytes], dict[bytes, bytes]]:
    """The program's folder, the signals that it is to ignore, its argv and its environment.

    They come as their length, and words parted by NUL: the folder, the signals parted by blanks,
    how many words argv has, argv, and the environment's settings.
    """
    order = _read(lifeline, int.from_bytes(_read(lifeline, 8), "big"))
    folder, ignored, count, *words = order.split(b"\0")
    argv, settings = words[: int(count)], words[int(count) :]
    parted = (setting.partition(b"=") for setting in settings)
    return folder, {*map(int, ignored.split())}, argv, {name: value for name, _, value in parted}


def _read(lifeline: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = os.read(lifeline, length - len(data))
        if not piece:
            os._exit(1)
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
    """Kill what lives below us until nothing does but other users' processes, or until we give up.

    Once at least: on a machine that is overloaded the first look alone may take that long.
    """
    deadline = time.monotonic() + _LONGEST_HUNT_S
    refused: set[int] = set()
    while living := {*_descendants(os.getpid())} - refused:
        refused.update(pid for pid in living if not _kill(pid))
        if time.monotonic() >= deadline:
            return
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
    try:
        main(int(sys.argv[1]))
    except ConnectionError:  # whoever asked is dead
        sys.exit(1)
