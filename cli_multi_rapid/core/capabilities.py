"""What tools can do, in one spelling for each thing."""

from collections.abc import Iterable, Mapping
from typing import Final

_SPELLINGS: Final[Mapping[str, str]] = {
    "coding": "code",
    "implementation": "code",
    "programming": "code",
    "refactor": "code",
    "refactoring": "code",
    "test": "tests",
    "testing": "tests",
    "unit-tests": "tests",
    "doc": "docs",
    "documentation": "docs",
    "writing": "docs",
    "markdown": "docs",
    "security-review": "security",
    "security-audit": "security",
    "py": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
}
_COVERS: Final[Mapping[str, frozenset[str]]] = {"typescript": frozenset(("typescript", "javascript"))}
"""What a tool that is made for one thing can do as well."""


def capability(text: str) -> str:
    """The one spelling of a capability: `security_review` is `security`, `documentation` is `docs`."""
    name = text.strip().lower().replace("_", "-").replace(" ", "-")
    return _SPELLINGS.get(name, name)


def capabilities(texts: Iterable[str]) -> frozenset[str]:
    """All that a tool of these capabilities can do."""
    return frozenset().union(*(_COVERS.get(name, (name,)) for name in map(capability, texts)))
