"""Asking tools whether they work: side by side, and not again while the last answer counts."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from msgspec import Struct

from cli_multi_rapid.adapters.health import ToolHealth, probe, read_health, write_health
from cli_multi_rapid.adapters.registry import missing
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.tool_events import HealthStatus
from cli_multi_rapid.ports import Adapter, Clock
from cli_multi_rapid.schema.tools import ToolConfig

HEALTH_FILE: Final = "tool_health.json"
"""Where the answers are remembered, in `state/`."""

ANSWER_COUNTS_S: Final[Mapping[HealthStatus, float]] = {
    HealthStatus.HEALTHY: 300.0,
    HealthStatus.DEGRADED: 300.0,
    HealthStatus.UNHEALTHY: 30.0,  # it may have been installed meanwhile
}
"""For how long nobody is asked again."""

_AT_ONCE: Final = 8


class Pings(Struct, frozen=True, kw_only=True):
    """The tools of a repository and what they answered."""

    configs: Mapping[ToolName, ToolConfig]
    adapters: Mapping[ToolName, Adapter]
    environment: Mapping[str, str]
    file: Path
    clock: Clock

    def known(self) -> dict[ToolName, ToolHealth]:
        """What is remembered, however old."""
        return read_health(self.file)

    def unhealthy(self) -> frozenset[ToolName]:
        """The tools whose last answer still counts and was none."""
        return frozenset(
            name
            for name, health in self.known().items()
            if health.status is HealthStatus.UNHEALTHY and self._counts(health)
        )

    def latencies_ms(self) -> dict[ToolName, float]:
        """How long each tool took to say its version when it was last asked."""
        known = self.known().items()
        return {
            name: health.response_time_ms for name, health in known if health.response_time_ms is not None
        }

    def ask(self, names: Sequence[ToolName]) -> list[ToolHealth]:
        """Ask and remember. Ten tools that hang take five seconds, not fifty."""
        if not names:
            return []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(self._look, names))
        write_health(self.file, (self.known() | {answer.tool: answer for answer in answers}).values())
        return answers

    def refresh(self, names: Iterable[ToolName]) -> list[ToolHealth]:
        """The answers of these tools; asks only those whose last answer no longer counts."""
        wanted, known = list(names), self.known()
        asked = self.ask([name for name in wanted if not self._counts(known.get(name))])
        known |= {answer.tool: answer for answer in asked}
        return [known[name] for name in wanted]

    def _counts(self, health: ToolHealth | None) -> bool:
        if health is None:
            return False
        age_s = (self.clock.now() - health.checked_at).total_seconds()
        return 0 <= age_s <= ANSWER_COUNTS_S[health.status]

    def _look(self, name: ToolName) -> ToolHealth:
        config, absent = self.configs.get(name), missing(name, self.adapters, self.environment)
        if absent is None and config is not None and config.version_cmd:
            return probe(config, self.environment, self.clock)
        status = HealthStatus.HEALTHY if absent is None else HealthStatus.UNHEALTHY
        return ToolHealth(tool=name, status=status, checked_at=self.clock.now(), reason=absent or "")
