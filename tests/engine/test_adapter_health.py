"""Whether tools answer, and what is remembered of it."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli_multi_rapid.adapters import health
from cli_multi_rapid.adapters.health import ToolHealth, probe, read_health, write_health
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.schema.tools import ToolConfig
from cli_multi_rapid.system import SystemClock

OLD = """\
{
  "claude-cli": {"status": "healthy", "version": "1.2.0", "last_check": "2025-10-03T14:00:00Z",
                 "response_time_ms": 45},
  "cursor": {"status": "degraded", "version": "0.35.0", "last_check": "2025-10-03T14:00:02Z",
             "response_time_ms": 890, "warning": "High latency detected"}
}
"""
NEW = """\
{"schema_version": 1, "tools": {
  "claude": {"status": "unhealthy", "checked_at": "2025-10-03T14:00:00+00:00", "reason": "not found"}
}}
"""


def tool(*version_cmd: str, health_cmd: tuple[str, ...] = ()) -> ToolConfig:
    return ToolConfig(name=ToolName("agent"), version_cmd=version_cmd, health_cmd=health_cmd)


def ask(config: ToolConfig) -> ToolHealth:
    return probe(config, {"PATH": os.environ["PATH"]}, SystemClock())


def test_a_tool_that_says_its_version_is_healthy() -> None:
    answer = ask(tool("echo", "agent version 1.4.0-rc.1 (build 7)"))
    assert (answer.status, answer.version, answer.reason) == (HealthStatus.HEALTHY, "1.4.0-rc.1", "")
    assert answer.response_time_ms is not None
    assert answer.checked_at.tzinfo is UTC


def test_a_version_without_numbers_and_one_on_stderr_are_taken_as_they_are() -> None:
    assert ask(tool("echo", "nightly\nmore")).version == "nightly"
    assert ask(tool("sh", "-c", "echo v2.0 >&2")).version == "2.0"
    assert ask(tool("true")).version is None


@pytest.mark.parametrize(
    ("version_cmd", "reason"),
    [
        (("no-such-agent", "--version"), "no-such-agent"),
        (("sh", "-c", "echo no licence; exit 3"), "exit code 3: no licence"),
        ((), "no version_cmd is configured"),
    ],
)
def test_a_tool_that_cannot_be_asked_is_unhealthy(version_cmd: tuple[str, ...], reason: str) -> None:
    answer = ask(tool(*version_cmd))
    assert answer.status is HealthStatus.UNHEALTHY
    assert reason in answer.reason


def test_a_tool_that_does_not_answer_in_time_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT_S", 0.2)
    answer = ask(tool("sleep", "60"))
    assert (answer.status, answer.reason) == (HealthStatus.UNHEALTHY, "sleep did not answer within 0.2 s")


def test_a_slow_tool_and_one_that_fails_its_health_command_are_degraded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = ask(tool("echo", "1.0", health_cmd=("sh", "-c", "echo not logged in >&2; exit 1")))
    assert (failing.status, failing.version) == (HealthStatus.DEGRADED, "1.0")
    assert "not logged in" in failing.reason
    monkeypatch.setattr(health, "SLOW_MS", 0)
    slow = ask(tool("echo", "1.0"))
    assert (slow.status, slow.version) == (HealthStatus.DEGRADED, "1.0")
    assert "latency" in slow.reason


def test_the_file_is_read_in_the_old_and_the_new_shape(tmp_path: Path) -> None:
    file = tmp_path / "tool_health.json"
    file.write_text(OLD)
    old = read_health(file)
    assert old[ToolName("claude")].version == "1.2.0"
    assert old[ToolName("cursor")].reason == "High latency detected"
    assert old[ToolName("cursor")].checked_at == datetime(2025, 10, 3, 14, 0, 2, tzinfo=UTC)
    file.write_text(NEW)
    new = read_health(file)
    assert new[ToolName("claude")].status is HealthStatus.UNHEALTHY
    assert new[ToolName("claude")].reason == "not found"


def test_what_is_written_has_the_keys_that_scripts_know_and_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "state" / "tool_health.json"
    healths = [
        ToolHealth(
            tool=ToolName("aider"),
            status=HealthStatus.DEGRADED,
            version="0.42.0",
            response_time_ms=120,
            checked_at=datetime(2025, 10, 3, 14, 0, 1, tzinfo=UTC),
            reason="High latency detected",
        ),
        ToolHealth(
            tool=ToolName("codex"),
            status=HealthStatus.UNHEALTHY,
            checked_at=datetime(2025, 10, 3, 14, 0, 1, tzinfo=UTC),
        ),
    ]
    write_health(file, healths)
    assert json.loads(file.read_text())["aider"] == {
        "status": "degraded",
        "version": "0.42.0",
        "last_check": "2025-10-03T14:00:01Z",
        "response_time_ms": 120,
        "warning": "High latency detected",
    }
    assert list(read_health(file).values()) == healths
    assert [path.name for path in file.parent.iterdir()] == ["tool_health.json"]


def test_a_file_that_is_not_there_remembers_nothing(tmp_path: Path) -> None:
    assert read_health(tmp_path / "absent.json") == {}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["healthy", "2025-10-03"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tools", "status", "last_check", "response_time_ms", "aider"]), inner
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=JSON, cut=st.integers(0, 3))
def test_a_broken_file_is_a_cache_to_be_written_anew(tmp_path: Path, document: object, cut: int) -> None:
    file = tmp_path / "tool_health.json"
    text = json.dumps(document)
    file.write_text(text[: len(text) - cut])
    for name, remembered in read_health(file).items():
        assert remembered.tool == name
