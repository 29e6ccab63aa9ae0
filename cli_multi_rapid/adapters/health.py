"""Whether a tool answers: asked for its version within five seconds, and remembered in a file.

`state/tool_health.json` maps a tool's name to `{status, version, last_check, response_time_ms, warning}`. It
is a cache: the next ping writes it anew. Entries in a `tools` table, with `checked_at` and `reason`, are read
as well.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from cli_multi_rapid.adapters.ending import LONGEST_REASON, clip, describe_exit
from cli_multi_rapid.core.errors import OrchestratorError
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.ports import Clock
from cli_multi_rapid.process import Completed, ProgramTimeout, run
from cli_multi_rapid.schema.names import tool_name
from cli_multi_rapid.schema.tools import ToolConfig

PROBE_TIMEOUT_S: Final = 5.0
SLOW_MS: Final = 3000
"""Slower than this to say its version is degraded: the slowest healthy agent measured takes 1.8 s."""

_VERSION: Final = re.compile(r"\d{1,9}\.\d{1,9}(?:\.\d{1,9})?[\w.+-]{0,40}")


class ToolHealth(Struct, frozen=True, kw_only=True):
    """What a tool answered, and when. The version is None when it named none."""

    tool: ToolName
    status: HealthStatus
    version: str | None = None
    response_time_ms: int | None = None
    checked_at: datetime
    reason: str = ""


def probe(tool: ToolConfig, environment: Mapping[str, str], clock: Clock) -> ToolHealth:
    """Ask a tool for its version and, in what is left of the five seconds, for its health."""
    began = clock.monotonic()
    version, reason = _ask(tool.version_cmd, environment, PROBE_TIMEOUT_S)
    took_s = clock.monotonic() - began
    status = HealthStatus.UNHEALTHY if reason else HealthStatus.HEALTHY
    if not reason and tool.health_cmd and tool.health_cmd != tool.version_cmd:
        _, reason = _ask(tool.health_cmd, environment, max(0.1, PROBE_TIMEOUT_S - took_s))
    if not reason and took_s * 1000 > SLOW_MS:
        reason = f"high latency: {took_s:.1f} s to say its version"
    if reason and status is HealthStatus.HEALTHY:
        status = HealthStatus.DEGRADED
    return ToolHealth(
        tool=tool.name,
        status=status,
        version=version,
        response_time_ms=round(took_s * 1000),
        checked_at=clock.now(),
        reason=reason,
    )


def write_health(path: Path, healths: Iterable[ToolHealth]) -> None:
    """Replace the file in one step; a reader sees the old one or the new one."""
    document = {health.tool: _entry(health) for health in sorted(healths, key=lambda health: health.tool)}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_health(path: Path) -> dict[ToolName, ToolHealth]:
    """What is remembered; entries that make no sense are left out, because the next ping writes them anew."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    if isinstance(document, dict) and isinstance(document.get("tools"), dict):
        document = document["tools"]
    entries = document.items() if isinstance(document, dict) else ()
    healths = (_health(name, entry) for name, entry in entries if isinstance(entry, dict))
    return {health.tool: health for health in healths if health is not None}


def _ask(argv: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> tuple[str | None, str]:
    """The version that a command prints, and why it failed (empty when it did not)."""
    if not argv:
        return None, "no version_cmd is configured"
    try:
        done = run(argv, env=environment, timeout_s=timeout_s)
    except ProgramTimeout:
        return None, f"{argv[0]} did not answer within {timeout_s:g} s"
    except OrchestratorError as error:
        return None, clip(f"{error.message} ({error.hint})" if error.hint else error.message, LONGEST_REASON)
    if done.ok:
        return _version(done), ""
    said = done.error_text or done.stdout.decode("utf-8", "replace")
    return None, clip(f"{' '.join(argv)}: {describe_exit(done.returncode)}: {said}", LONGEST_REASON)


def _version(done: Completed) -> str | None:
    said = done.stdout.decode("utf-8", "replace") or done.error_text
    match = _VERSION.search(said)
    return match[0] if match else clip(said.partition("\n")[0], 80) or None


def _entry(health: ToolHealth) -> dict[str, str | int]:
    entry: dict[str, str | int | None] = {
        "status": health.status.value,
        "version": health.version,
        "last_check": health.checked_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "response_time_ms": health.response_time_ms,
        "warning": health.reason or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _health(name: str, entry: Mapping[str, object]) -> ToolHealth | None:
    try:
        status = HealthStatus(str(entry.get("status")).lower())
        checked_at = datetime.fromisoformat(str(entry.get("last_check") or entry.get("checked_at")))
        time_ms = entry.get("response_time_ms")
        response_time_ms = round(time_ms) if isinstance(time_ms, int | float) else None
    except (ValueError, OverflowError):  # a float of JSON may be infinite
        return None
    version = entry.get("version")
    return ToolHealth(
        tool=tool_name(name),
        status=status,
        version=version if isinstance(version, str) else None,
        response_time_ms=response_time_ms,
        checked_at=checked_at if checked_at.tzinfo else checked_at.replace(tzinfo=UTC),
        reason=str(entry.get("warning") or entry.get("reason") or ""),
    )
