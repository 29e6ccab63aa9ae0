"""What is written down when this program itself is at fault."""

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cli_multi_rapid import __version__
from cli_multi_rapid.redaction import Redactor


def write_crash_report(error: BaseException, argv: Sequence[str]) -> Path:
    """Write the trace without secrets beside the other artifacts, or into the temporary folder."""
    text = without_secrets(_text(error, argv))
    name = f"crash_{datetime.now(UTC):%Y%m%dT%H%M%S}_{os.getpid()}.txt"
    for folder in _folders(argv):
        with suppress(OSError):
            path = folder / name
            _write_private(path, text)
            return path
    sys.stderr.write(text)  # nowhere to write: better on the terminal than lost
    return Path("the trace above")


def _write_private(path: Path, text: str) -> None:
    """A new file for its user alone: in the temporary folder somebody may have put a link of this name."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def without_secrets(text: str) -> str:
    """`text` without the values of secret variables, and without all that looks like a key."""
    return Redactor.from_environment(os.environ).redact(text)


def _folders(argv: Sequence[str]) -> list[Path]:
    """Only folders that are there: a crash makes no `artifacts/` in a repository that has none."""
    from cli_multi_rapid.cli.errors import value_after

    named = value_after("--home", argv) or os.environ.get("CLI_ORCHESTRATOR_HOME")
    start = Path(named or value_after("--repo", argv) or ".").absolute()
    roots = [start] if named else [start, *start.parents]
    found = next((root / "artifacts" for root in roots if (root / "artifacts").is_dir()), None)
    return [*([found] if found else []), Path(tempfile.gettempdir())]


def _text(error: BaseException, argv: Sequence[str]) -> str:
    trace = "".join(traceback.format_exception(error))
    return (
        f"cli-orchestrator {__version__}\n"
        f"python {sys.version}\n"
        f"platform {platform.platform()}\n"
        f"command {list(argv)}\n\n{trace}"
    )
