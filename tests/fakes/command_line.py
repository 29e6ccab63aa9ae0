"""The command line as a person or a script uses it: words in, two streams and an exit status out."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from msgspec import Struct

from cli_multi_rapid.cli.main import main

PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent


class Ended(Struct, frozen=True, kw_only=True):
    """What a command wrote, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; anything beside it is a failure."""
        found = json.loads(self.out)
        assert isinstance(found, dict), self.out
        return found


class _NoTerminal(io.StringIO):
    encoding = "utf-8"


def type_in(folder: Path, *words: str | Path) -> Ended:
    """Call the command line in a folder, inside this process; it never raises."""
    out, err = _NoTerminal(), _NoTerminal()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        status = main([str(word) for word in words])
    return Ended(status=status, out=out.getvalue(), err=err.getvalue())


def start_in(
    folder: Path, *words: str | Path, environment: Mapping[str, str] | None = None, stdin: str = ""
) -> Ended:
    """The same as a program of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "cli_multi_rapid.cli.main", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), **(environment or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Ended(status=done.returncode, out=done.stdout, err=done.stderr)
