"""The parts of which the schema of a model's answer is made.

Every key is required and no other is allowed: providers that force a schema ask for that.
"""

from typing import Any


def an_object(**properties: dict[str, Any]) -> dict[str, Any]:
    """A mapping with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def a_text(description: str) -> dict[str, Any]:
    """Any text."""
    return {"type": "string", "description": description}


def texts(description: str) -> dict[str, Any]:
    """A list of texts."""
    return {"type": "array", "items": {"type": "string"}, "description": description}


def a_list(items: dict[str, Any], description: str = "") -> dict[str, Any]:
    """A list of such values."""
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def a_number(description: str, *, whole: bool = False) -> dict[str, Any]:
    """A number; `whole`: without a fraction."""
    return {"type": "integer" if whole else "number", "description": description}


def a_word(*words: str, description: str = "") -> dict[str, Any]:
    """One of a few words."""
    found = {"type": "string", "enum": [str(word) for word in words]}
    return {**found, "description": description} if description else found
