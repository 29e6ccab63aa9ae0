"""The command line of a configured tool: an argv template, filled in argument by argument.

No argument is ever split or joined, and text that was put in is not searched for placeholders again. Two
rules keep text from becoming an option: a prompt that would stand at the start of an argument and begins with
`-` gets a space in front, unless `--` came before; a model's name that begins with `-` is refused.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.ports import Brief

_PLACEHOLDER: Final = re.compile(r"\{(prompt|prompt_file|model|slot|temp)\}")
_MODEL: Final = "{model}"


def fill_template(template: Sequence[str], brief: Brief, model: str | None = None) -> tuple[str, ...]:
    """The arguments for one attempt. Writes the prompt file when the template asks for one.

    `model` is for nodes that name none. Without any model the argument with `{model}` is left out, and the
    option before it when the argument is nothing but the placeholder (`--model {model}`).
    """
    model = brief.node.model or model
    if model is None:
        template = _without_model(template)
    elif model.startswith("-"):
        raise UserError(f"node {brief.node.id}: {model!r} is no name of a model")
    values = {
        "prompt": brief.prompt.replace("\0", "\ufffd"),  # no argument can hold a NUL
        "model": model or "",
        "slot": str(brief.slot),
        "temp": str(brief.temp),
    }
    if any("{prompt_file}" in argument for argument in template):
        values["prompt_file"] = str(write_prompt_file(brief))
    options_end = template.index("--") if "--" in template else len(template)
    return tuple(
        _fill(argument, values, is_data=position > options_end) for position, argument in enumerate(template)
    )


def _fill(argument: str, values: dict[str, str], *, is_data: bool) -> str:
    filled = _PLACEHOLDER.sub(lambda match: values[match[1]], argument)
    if argument.startswith("{prompt}") and filled.startswith("-") and not is_data:
        return f" {filled}"
    return filled


def _without_model(template: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for argument in template:
        if _MODEL not in argument:
            kept.append(argument)
        elif argument == _MODEL and kept and kept[-1].startswith("-") and not _PLACEHOLDER.search(kept[-1]):
            kept.pop()
    return kept


def write_prompt_file(brief: Brief) -> Path:
    """A file in the private folder that holds the prompt, for nobody else to read."""
    path = brief.temp / "prompt.md"
    path.write_bytes(brief.prompt.encode("utf-8", "replace"))
    path.chmod(0o600)
    return path
