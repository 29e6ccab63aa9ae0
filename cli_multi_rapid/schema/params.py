"""`${params.name}` in the texts of a plan: the only interpolation there is."""

import re
from collections.abc import Mapping
from typing import Final

from cli_multi_rapid.core.plan import Json

_REFERENCE: Final = re.compile(r"(\$+)\{params\.([^{}\s]*)\}")
_PLAIN: Final = re.compile(r"[\w./:@%+=,-]*")
"""What means nothing but itself to a shell, wherever it stands."""


class UnknownParam(LookupError):
    """A text names a param that has no value."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def is_plain(value: str) -> bool:
    """Whether a value means nothing but itself to a shell."""
    return _PLAIN.fullmatch(value) is not None


def names_in(text: str) -> set[str]:
    """The params that a text refers to."""
    return {name for dollars, name in _REFERENCE.findall(text) if len(dollars) == 1}


def expand(text: str, params: Mapping[str, str]) -> str:
    """Put values for references; `$${params.x}` stands for the literal text. Raises `UnknownParam`."""
    if "{params." not in text:
        return text

    def value(match: re.Match[str]) -> str:
        dollars, name = match.groups()
        if len(dollars) > 1:
            return match.group()[1:]
        if name not in params:
            raise UnknownParam(name)
        return params[name]

    return _REFERENCE.sub(value, text)


def escape(text: str) -> str:
    """The text that `expand` turns into this one."""
    if "{params." not in text:
        return text
    return _REFERENCE.sub(lambda match: "$" + match.group(), text)


def escape_all(value: Json) -> Json:
    """Plain data with every text escaped; keys stay as they are."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, list):
        return [escape_all(item) for item in value]
    if isinstance(value, dict):
        return {key: escape_all(item) for key, item in value.items()}
    return value
