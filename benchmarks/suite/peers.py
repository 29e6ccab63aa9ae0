"""Programs that do similar work, installed by lock files with hashes into a folder that git ignores.

A peer that cannot be had says why, and the rows that need it say so too: without a network everything else is
measured all the same.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import chain
from pathlib import Path
from shutil import rmtree, which

from msgspec import Struct

from benchmarks.own_command import ROOT
from cli_multi_rapid.core.errors import EnvironmentFault
from cli_multi_rapid.process import run

LOCKS = ROOT / "benchmarks" / "peers"
FOLDER = Path(os.environ.get("BENCH_PEERS") or ROOT / ".bench")

_NEWEST_FIRST = ("python3.13", "python3.12", "python3.11", "python3")
_INSTALL_LIMIT_S = 900.0


class Recipe(Struct, frozen=True, kw_only=True):
    """One package of PyPI with its lock file."""

    package: str
    program: str
    """Below `bin/` of its environment."""
    needs: tuple[int, int] = (3, 11)
    """The oldest Python that it takes."""


RECIPES: Mapping[str, Recipe] = {
    "doit": Recipe(package="doit", program="doit"),
    "go-task": Recipe(package="go-task-bin", program="task"),
    "snakemake": Recipe(package="snakemake", program="snakemake"),
    "mergetrain": Recipe(package="mergetrain", program="mergetrain"),
    "bernstein": Recipe(package="bernstein", program="bernstein", needs=(3, 12)),
    "matplotlib": Recipe(package="matplotlib", program="python"),
}
"""matplotlib is no peer: it draws the pictures."""


class Peer(Struct, frozen=True, kw_only=True):
    """A program to compare with, or the reason why there is none."""

    program: Path | None = None
    version: str = ""
    missing: str = ""


Peers = Mapping[str, Peer]


def find_peers(install: bool = True) -> dict[str, Peer]:
    """Every peer, installed where it is missing and `install` allows it."""
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(RECIPES, pool.map(lambda name: _find(RECIPES[name], install), RECIPES), strict=True))
    make = which("make")
    found["make"] = Peer(program=Path(make)) if make else Peer(missing="make is not on the PATH")
    return found


def _find(recipe: Recipe, install: bool) -> Peer:
    folder, lock = FOLDER / recipe.package, LOCKS / recipe.package / "requirements.lock"
    digest = sha256(lock.read_bytes()).hexdigest()
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text() != digest:
        if not install:
            return Peer(missing="it is not installed")
        problem = _install(recipe, folder, lock)
        if problem:
            return Peer(missing=f"{recipe.package} cannot be installed: {problem}")
        stamp.write_text(digest)
    return Peer(program=folder / "bin" / recipe.program, version=_version(recipe, lock))


def _install(recipe: Recipe, folder: Path, lock: Path) -> str:
    """Make its environment; what went wrong, empty when nothing did."""
    python = next(_pythons(recipe.needs), None)
    if python is None:
        return f"no Python from {'.'.join(map(str, recipe.needs))} on is on this machine"
    sys.stderr.write(f"bench: installing {recipe.package} …\n")
    rmtree(folder, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip = (
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
        "--require-hashes",
    )
    try:
        for argv in (
            [str(python), "-m", "venv", str(folder)],
            [str(folder / "bin" / "python"), *pip, "-r", str(lock)],
        ):
            done = run(argv, env=environment, timeout_s=_INSTALL_LIMIT_S)
            if not done.ok:
                return _last_line(done.error_text or done.text)
    except EnvironmentFault as fault:
        return fault.message
    return ""


def _last_line(text: str) -> str:
    """Without the addresses that an installer may name."""
    lines = [line for line in text.splitlines() if line.strip()]
    words = lines[-1].split() if lines else ["no reason given"]
    return " ".join(word for word in words if "://" not in word)[:200]


def _pythons(oldest: tuple[int, int]) -> Iterator[Path]:
    """Interpreters that are run, not only looked up: a version manager puts names on PATH that only fail."""
    managed = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python3"), reverse=True)
    named = (Path(found) for name in _NEWEST_FIRST if (found := which(name)))
    asked = f"import sys, venv, ensurepip; sys.exit(not {oldest} <= sys.version_info[:2] < (3, 14))"
    for python in chain((Path(sys.executable),), named, managed):
        if run([str(python), "-c", asked], env=dict(os.environ)).ok:
            yield python


def _version(recipe: Recipe, lock: Path) -> str:
    """The locked version of the package itself."""
    start = f"{recipe.package}=="
    lines = lock.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix(start).split()[0] for line in lines if line.startswith(start)), "")
