"""182 recorded runs of real agents, what they are to be read for, and the adapters that read them."""

import re
from functools import cache
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.adapters.registry import adapters
from cli_multi_rapid.core.ids import ToolName
from cli_multi_rapid.core.money import parse_usd
from cli_multi_rapid.core.prices import ModelPrice
from cli_multi_rapid.ports import Adapter, Brief, ToolReading
from cli_multi_rapid.schema.tools import ToolConfig
from tests.conftest import REPOSITORY
from tests.contract.adapter_world import AdapterWorld, with_model

RECORDINGS = REPOSITORY / "tests" / "data" / "agents"
SERVED = ModelPrice(
    model="fake", input=parse_usd("0.30"), cached_input=parse_usd("0.03"), output=parse_usd("2.50")
)
"""Of the model that the scripted server of the recordings calls itself, which gemini passes on."""
AGENTS: dict[ToolName, Adapter] = dict(adapters([ToolConfig(name=ToolName("gemini"), prices=(SERVED,))]))
MODELS = {"codex": "gpt-5-codex"}
"""The models that were asked for in the runs of tools that tell neither cost nor model."""


class Expected(Struct, frozen=True):
    """A row of `expected.txt`."""

    tool: str
    case: str
    exit: str
    outcome: str
    cost: str
    tokens: str
    session: str
    denied: str
    words: str

    @property
    def exit_code(self) -> int:
        return int(self.exit)

    def told(self, reading: ToolReading) -> "Expected":
        """The same row, as a reading has it."""
        usage = reading.usage
        words = re.sub(r"\s", " ", reading.summary or reading.reason)
        return Expected(
            tool=self.tool,
            case=self.case,
            exit=self.exit,
            outcome="ok" if reading.ok else str(reading.failure),
            cost=f"{usage.cost} {usage.source}",
            tokens=f"{usage.input_tokens}/{usage.cached_tokens}/{usage.output_tokens}",
            session=(reading.session_id or "-")[: len(self.session)],
            denied=" ; ".join(reading.denied) or "-",
            words=words[: len(self.words)].strip(),
        )


@cache
def expected() -> dict[tuple[str, str], Expected]:
    lines = (RECORDINGS / "expected.txt").read_text(encoding="utf-8").splitlines()[4:]
    rows = (Expected(*(cell.strip() for cell in line.split(" | ", 8))) for line in lines)
    return {(row.tool, row.case): row for row in rows}


def streams(tool: str, case: str) -> tuple[bytes, bytes]:
    folder = RECORDINGS / tool / case
    errors = folder / "stderr.txt"
    return (folder / "stdout.txt").read_bytes(), errors.read_bytes() if errors.exists() else b""


def brief_for(tool: str) -> Brief:
    brief = AdapterWorld(Path("/w/wt"), Path("/nowhere")).brief()
    return with_model(brief, MODELS[tool]) if tool in MODELS else brief


def read(tool: str, output: bytes, exit_code: int | None) -> ToolReading:
    return AGENTS[ToolName(tool)].read(output, exit_code, brief_for(tool))
