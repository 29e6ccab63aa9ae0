"""Things that happen while a run is being driven, in step with what can be seen, never by the clock."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

_LONGEST_WAIT_S = 20.0
_LOOK_S = 0.01


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until something is true; an `AssertionError` that names it after 20 s."""
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(_LOOK_S)


def wait_for(path: Path) -> None:
    """Wait until somebody made a file."""
    wait_until(path.exists, str(path))


def shell_wait(path: Path) -> str:
    """A shell line that waits until a file is there, and fails after 20 s."""
    times = int(_LONGEST_WAIT_S / 0.02)
    look = f"i=0; until [ -e {quote(str(path))} ]; do i=$((i+1)); [ $i -lt {times} ] || exit 99; sleep 0.02"
    return f"{look}; done"


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread beside the body; its failure is the test's failure."""
    failures: list[BaseException] = []

    def act() -> None:
        try:
            action()
        except BaseException as failure:  # noqa: BLE001  # raised again in the test's own thread
            failures.append(failure)

    thread = threading.Thread(target=act, name="meanwhile")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]
