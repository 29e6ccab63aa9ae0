"""Proofs of life and locks that no death leaves behind."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from cli_multi_rapid.git_lock import Presence, forget_absent, is_present, locked


def test_a_presence_ends_with_its_process(tmp_path: Path) -> None:
    presence = Presence(tmp_path / "p")
    assert is_present(tmp_path / "p")
    presence.leave()
    presence.leave()
    assert not is_present(tmp_path / "p")
    (tmp_path / "left").touch()
    assert not is_present(tmp_path / "left")


def test_what_the_dead_leave_is_removed_and_the_living_stay(tmp_path: Path) -> None:
    living = Presence(tmp_path / "living")
    (tmp_path / "dead").touch()
    forget_absent(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "living"]
    assert is_present(tmp_path / "living")
    living.leave()


def test_a_presence_that_is_removed_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    struck: list[int] = []

    def remove_and_lock(handle: int, how: int) -> None:
        if not struck:
            struck.append(handle)
            (tmp_path / "p").unlink()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    presence = Presence(tmp_path / "p")
    assert struck
    assert is_present(tmp_path / "p")
    presence.leave()


def test_a_lock_keeps_others_out(tmp_path: Path) -> None:
    order: list[str] = []
    inside, done = threading.Event(), threading.Event()

    def second() -> None:
        inside.wait()
        with locked(tmp_path / "lock"):
            order.append("second")
        done.set()

    thread = threading.Thread(target=second)
    thread.start()
    with locked(tmp_path / "lock"):
        inside.set()
        order.append("first")
    assert done.wait(10)
    thread.join()
    assert order == ["first", "second"]
    assert os.path.lexists(tmp_path / "lock")
