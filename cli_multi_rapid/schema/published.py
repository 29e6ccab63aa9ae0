"""The published JSON schemas: for editors, for scripts, and for holding our own output against them."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.schema.names import did_you_mean

_FOLDER: Final = files("cli_multi_rapid.schema") / "published"


def schema_names() -> tuple[str, ...]:
    """The names of all published schemas."""
    return tuple(sorted(file.name.removesuffix(".json") for file in _FOLDER.iterdir()))


def schema_text(name: str) -> str:
    """A published schema as it is written. Raises `UserError` when there is none of that name."""
    names = schema_names()
    if name not in names:
        hint = did_you_mean(name, names) or f"schemas are: {', '.join(names)}"
        raise UserError(f"there is no schema `{name}`", hint=hint)
    return (_FOLDER / f"{name}.json").read_text(encoding="utf-8")


def load_schema(name: str) -> Mapping[str, Json]:
    """A published schema as plain data. Raises `UserError` when there is none of that name."""
    schema: dict[str, Json] = json.loads(schema_text(name))
    return schema


def schema_violations(instance: object, name: str) -> list[str]:
    """Where plain JSON data breaks a published schema, as `path: what is wrong`; empty when it holds.

    Raises `UserError` when there is no schema of that name.
    """
    schema = load_schema(name)
    # Imported here for start-up time: it takes 80 ms, and only tests and `doctor` look so closely.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    errors = sorted(
        Draft202012Validator(schema).iter_errors(instance), key=lambda error: list(map(str, error.path))
    )
    return [f"{error.json_path}: {error.message}" for error in errors]
