"""A small disk that can be filled to the last byte, or made read-only, below a folder of a test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec import Struct

_SIZE = "6m"
"""Enough for a run of three small nodes, and filled in a moment."""
_FILLER = ".filler"
_PIECE = 4096


class Disk(Struct, frozen=True, kw_only=True):
    """A file system of a few megabytes, seen below a folder."""

    folder: Path

    @property
    def filler(self) -> Path:
        """The file that takes all the space."""
        return self.folder / _FILLER

    def fill(self, *, leave: int = 0) -> None:
        """Take all space but this many bytes."""
        with self.filler.open("wb", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(bytes(_PIECE))
            file.truncate(max(0, file.tell() - leave))

    def free(self) -> None:
        """Give the space back."""
        self.filler.unlink(missing_ok=True)


def needs_mounts() -> None:
    """Skip a test where this user may not mount anything."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount the small disk that this needs")


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Put a folder, with all that is in it, on a small disk as long as the body lasts."""
    needs_mounts()
    folder.mkdir(exist_ok=True)
    aside = folder.parent / f"{folder.name}.aside"
    shutil.copytree(folder, aside, symlinks=True)
    with mounted(folder, "-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "small"):
        shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(aside)
        yield Disk(folder=folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, also for root, for whoever opens something in it as long as the body lasts."""
    needs_mounts()
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True, capture_output=True)
        yield


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[None]:
    """Mount something on a folder as long as the body lasts; skips where a container forbids it."""
    done = subprocess.run(["mount", *words, folder], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
