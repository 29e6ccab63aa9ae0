"""The agents under test: how a model makes each of them work, and what that costs."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tests.fakes.model_server.exchange import Exchange
from tests.fakes.model_server.script import Answer, Call, Say, Tokens

PLAIN: Final = Tokens(input=1000, output=100)
"""An answer of claude-sonnet-4-5 with these costs $0.0045."""

CACHED: Final = Tokens(input=1000, cached=200, output=100, reasoning=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One CLI with the model that it is told to use."""

    name: str
    model: str
    prices: tuple[str, str, str]
    """Dollars for a million tokens of input, of input from a cache, of output.

    Written down once more, so that a wrong entry in the program's own list is found.
    """
    tokens: Tokens
    """What each answer uses."""
    writes: Callable[[str, str, Tokens], tuple[Answer, ...]]
    """The answers that make it write a text into a file."""
    runs: Callable[[str, Tokens], Call] | None
    """The answer that makes it run a command; None: it runs none."""

    def cost(self, *exchanges: Exchange) -> Decimal:
        """What these exchanges cost, in dollars."""
        price, cached_price, output_price = map(Decimal, self.prices)
        total = Decimal(0)
        for tokens in (exchange.tokens for exchange in exchanges):
            total += (tokens.input - tokens.cached) * price + tokens.cached * cached_price
            total += tokens.output * output_price
        return total / 1_000_000

    def edit(self, path: str, text: str = "hello\n") -> tuple[Answer, ...]:
        """The answers of a model that does its work."""
        return self.writes(path, text, self.tokens)

    def idle(self) -> Answer:
        """The answer of a model that finds nothing to do."""
        return Say(text="All is well as it is; I change nothing.", tokens=self.tokens)

    def node(self, name: str, path: str, **keys: Any) -> dict[str, Any]:
        """A node of a plan whose prompt chooses the script of the same name."""
        return {
            "id": name,
            "label": f"Write {path}",
            "tool": self.name,
            "model": self.model,
            "goal": f"Write {path}. script={name}",
            "outputs": [path],
            "path_claims": [path],
            "est_cost": 0.05,
            "timeout_s": 300,
            **keys,
        }


def _claude_writes(path: str, text: str, tokens: Tokens) -> tuple[Answer, ...]:
    write = Call(tool="Write", arguments={"file_path": path, "content": text}, tokens=tokens)
    return write, Say(text=f"Wrote {path}", tokens=tokens)


def _claude_runs(command: str, tokens: Tokens) -> Call:
    return Call(tool="Bash", arguments={"command": command}, tokens=tokens)


def _codex_writes(path: str, text: str, tokens: Tokens) -> tuple[Answer, ...]:
    return _codex_runs(f"printf %s '{text}' > {path}", tokens), Say(text=f"Wrote {path}", tokens=tokens)


def _codex_runs(command: str, tokens: Tokens) -> Call:
    return Call(tool="exec_command", arguments={"cmd": command}, tokens=tokens)


def _aider_writes(path: str, text: str, tokens: Tokens) -> tuple[Answer, ...]:
    block = f"{path}\n```\n<<<<<<< SEARCH\n=======\n{text}>>>>>>> REPLACE\n```\n"
    return (Say(text=f"I write {path}.\n\n{block}", tokens=tokens),)


CLAUDE: Final = Agent(
    name="claude",
    model="claude-sonnet-4-5",
    prices=("3", "0.3", "15"),
    tokens=CACHED,
    writes=_claude_writes,
    runs=_claude_runs,
)
CODEX: Final = Agent(
    name="codex",
    model="gpt-5-codex",
    prices=("1.25", "0.125", "10"),
    tokens=CACHED,
    writes=_codex_writes,
    runs=_codex_runs,
)
AIDER: Final = Agent(
    name="aider",
    model="openai/gpt-4o",
    prices=("2.5", "1.25", "10"),
    # It prints two significant digits of a cost: others than those of 0.0035 would be lost.
    tokens=PLAIN,
    writes=_aider_writes,
    runs=None,
)
AGENTS: Final = (CLAUDE, CODEX, AIDER)
