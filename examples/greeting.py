"""A function that a plan can call: `tool: python`, `target: examples.greeting:write`."""

from pathlib import Path

GREETINGS = {"en": "hello", "de": "hallo", "fr": "bonjour"}


def greet(name: str, language: str = "en") -> str:
    """Greet somebody in a language that we know."""
    return f"{GREETINGS[language]} {name}"


def write(path: str, name: str, language: str = "en") -> str:
    """Write a greeting to a file; what it returns becomes the summary of the node."""
    Path(path).write_text(f"{greet(name, language)}\n", encoding="utf-8")
    return f"greeted {name} in {path}"
