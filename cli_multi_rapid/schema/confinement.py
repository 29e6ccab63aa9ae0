"""The keys that say how a tool or a node is confined."""

from pathlib import PurePosixPath

from cli_multi_rapid.core.confinement import ToolTerms
from cli_multi_rapid.core.plan import Network, Sandbox
from cli_multi_rapid.schema.fields import Fields
from cli_multi_rapid.schema.problems import Code
from cli_multi_rapid.schema.source import quoted


def read_terms(fields: Fields) -> ToolTerms:
    """`sandbox`, `network`, `sandbox_read` and `sandbox_write` of a tool."""
    return ToolTerms(
        sandbox=fields.choice("sandbox", Sandbox),
        network=read_network(fields),
        read=_read_paths(fields, "sandbox_read"),
        write=_read_paths(fields, "sandbox_write"),
    )


def read_network(fields: Fields) -> Network | None:
    """`network`, which nothing keeps where the same mapping says `sandbox: none`."""
    network = fields.choice("network", Network)
    said = fields.value("sandbox")
    if network in (None, Network.FULL) or said is None or fields.optional_string("sandbox") != Sandbox.NONE:
        return network
    fields.reading.report(
        Code.BAD_VALUE,
        fields.at("network"),
        f"{fields.name_of('network')} is kept by a sandbox, and `sandbox` is none",
        suggestion="write sandbox: bwrap",
    )
    return None


def _read_paths(fields: Fields, key: str) -> tuple[str, ...]:
    """Absolute paths, or paths in the home."""
    found = []
    for text in fields.texts(key):
        reason = _what_is_wrong(text.text)
        if reason:
            fields.reading.report(
                Code.BAD_VALUE,
                text.at,
                f"{quoted(text.text)} in {fields.name_of(key)} {reason}",
                suggestion="name what the tool needs, such as ~/.config/my-agent",
            )
        else:
            found.append(text.text)
    return tuple(found)


def _what_is_wrong(path: str) -> str:
    if path.startswith(("/", "~")) and not path.strip("~/."):
        return "would leave nothing hidden"
    if not path.startswith(("/", "~/")):
        return "is no absolute path and does not begin with `~/`"
    if ".." in PurePosixPath(path).parts or "\0" in path:
        return "must not hold `..`"
    return ""
