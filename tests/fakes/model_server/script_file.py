"""Scripts in a file, for a server that a person starts by hand."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.fakes.model_server.script import Call, Cut, Gather, Refuse, Say, Script, Silence, Tokens, Turn

_TURNS: Final[Mapping[str, Callable[..., Turn]]] = {
    "say": lambda say, tokens=None: Say(text=say, tokens=_tokens(tokens)),
    "call": lambda call, tokens=None, **arguments: Call(
        tool=call, arguments=arguments["with"], tokens=_tokens(tokens)
    ),
    "error": lambda error, **rest: Refuse(status=error, **rest),
    "cut": lambda cut, **rest: Cut(after=cut, **rest),
    "silence": lambda silence, **rest: Silence(after=silence, **rest),
    "gather": lambda gather, count: Gather(name=gather, count=count),
}
"""A turn is a mapping whose first key says what it is; see docs/e2e.md."""


def read_scripts(path: Path) -> dict[str, Script]:
    """The scripts of a YAML or JSON file, by name. Raises `ValueError` or `TypeError` for what is none."""
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: tuple(map(_turn, turns)) for name, turns in given.items()}


def _turn(given: Mapping[str, Any]) -> Turn:
    kind = next(iter(given))
    if kind not in _TURNS:
        raise ValueError(f"no turn begins with {kind}: {', '.join(_TURNS)}")
    return _TURNS[kind](**given)


def _tokens(given: Mapping[str, int] | None) -> Tokens:
    return Tokens(**(given or {}))
