"""What a program costs: CPU time of its whole process tree first, then the clock, then memory."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir

from msgspec import Struct, convert

from benchmarks.own_command import ROOT
from cli_multi_rapid.git_command import git_environment
from cli_multi_rapid.process import run

_REAPER = Path(__file__).with_name("reaper.py")

_COMPILED = Path(gettempdir()) / "cli-orchestrator-bench-compiled"
"""An installed program is compiled once; with a folder of our own that holds here too, whatever is set."""

OWN = (sys.executable, "-m", "cli_multi_rapid")
"""How this tree's own command line is started."""


class Price(Struct, frozen=True, kw_only=True):
    """Of one program that ran to its end, all processes that came of it included."""

    cpu_s: float
    """User and system time."""
    wall_s: float
    peak_kb: int
    """Resident memory of the largest of its processes."""
    code: int
    left: int = 0
    """Processes that it left behind and that had to be killed."""
    out: str = ""
    err: str = ""


class DidNotRun(Exception):
    """A program that is measured did not do its work, so its time says nothing."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """A person's environment without any configuration of git, of Python or of the orchestrator."""
    kept = {
        name: value
        for name, value in git_environment(os.environ).items()
        if not name.startswith(("PYTHON", "CLI_ORCHESTRATOR_", "MAKE", "MFLAGS"))
    }
    return kept | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PYTHONPYCACHEPREFIX": str(_COMPILED),
        **more,
    }


def price_of(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limit_s: float = 600.0,
    code: int | None = 0,
) -> Price:
    """Run a program to its end. Raises `DidNotRun` when it ends with another code than `code` (None: any)."""
    with NamedTemporaryFile(prefix="price-") as result:
        # -I -S: the reaper needs nothing but the standard library.
        reaper = [sys.executable, "-I", "-S", str(_REAPER), result.name, str(limit_s)]
        done = run([*reaper, *map(str, argv)], cwd=cwd, env=env)
        text = result.read().decode()
    if not text:
        raise DidNotRun(f"{argv[0]} could not be started: {done.error_text[-300:]}")
    price = convert(json.loads(text) | {"out": done.text, "err": done.error_text}, Price)
    if code is not None and price.code != code:
        said = (price.err or price.out)[-300:]
        raise DidNotRun(f"{Path(argv[0]).name} ended with {price.code}: {said}")
    return price


def own_price(repository: Path, *args: str, code: int | None = 0, limit_s: float = 600.0) -> Price:
    """The price of `cli-orchestrator ARGS` in a repository, with this tree's package."""
    return price_of(
        [*OWN, *args],
        cwd=repository,
        env=environment(repository.parent, PYTHONPATH=str(ROOT)),
        code=code,
        limit_s=limit_s,
    )
