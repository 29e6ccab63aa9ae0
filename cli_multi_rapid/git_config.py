"""The person's git configuration, as far as slots and commits need it."""

from collections.abc import Sequence

from msgspec import Struct

from cli_multi_rapid.git_command import Git, split
from cli_multi_rapid.git_objects import NOBODY, Identity

_CONTENT_SETTINGS = frozenset(
    {
        "core.autocrlf",
        "core.eol",
        "core.safecrlf",
        "core.filemode",
        "core.ignorecase",
        "core.symlinks",
        "core.precomposeunicode",
        "core.protecthfs",
        "core.protectntfs",
        "core.longpaths",
        "core.bigfilethreshold",
        "core.attributesfile",
        "core.excludesfile",
        "merge.renormalize",
    }
)
_CONTENT_SECTIONS = ("filter.", "merge.", "diff.", "lfs.")


class Setting(Struct, frozen=True, kw_only=True):
    """One value of the configuration; a name without a value is true."""

    scope: str
    """`system`, `global`, `local`, `worktree` or `command`."""
    name: str
    """`section.name` or `section.subsection.name`; section and name are in lower case."""
    value: str


Settings = Sequence[Setting]


def read_settings(git: Git) -> tuple[Setting, ...]:
    """Everything that git knows here, the later value of a name wins."""
    fields = split(git.tell("config", "--list", "--includes", "--show-scope", "-z").stdout)
    return tuple(
        Setting(scope=scope, name=name, value=value if equals else "true")
        for scope, (name, equals, value) in zip(
            fields[::2], (entry.partition("\n") for entry in fields[1::2]), strict=True
        )
    )


def value_of(settings: Settings, name: str) -> str | None:
    """The last value of a name, None when it is not configured."""
    return next((setting.value for setting in reversed(settings) if setting.name == name), None)


def is_on(settings: Settings, name: str) -> bool:
    """Whether a switch is on."""
    return (value_of(settings, name) or "").lower() in {"true", "yes", "on", "1"}


def identity(settings: Settings) -> Identity:
    """Who commits here, with a stand-in for what is not configured."""
    name = value_of(settings, "author.name") or value_of(settings, "user.name")
    mail = value_of(settings, "author.email") or value_of(settings, "user.email")
    return Identity(name=name or NOBODY.name, mail=mail or NOBODY.mail)


def is_partial_clone(settings: Settings) -> bool:
    """Whether objects may be missing and fetched when somebody asks (promisor remotes)."""
    return any(
        setting.name == "extensions.partialclone"
        or (
            setting.name.startswith("remote.") and setting.name.endswith((".promisor", ".partialclonefilter"))
        )
        for setting in settings
    )


def has_plain_objects(settings: Settings) -> bool:
    """Whether new objects are files like all others: no shared permissions, no forced flush to the disk."""
    special = ("core.sharedrepository", "core.fsync", "core.fsyncmethod", "core.fsyncobjectfiles")
    return all(value_of(settings, name) is None for name in special)


def content_settings(settings: Settings) -> tuple[Setting, ...]:
    """The repository's own settings that change what a file holds or is called.

    The person's global settings reach an agent's git by themselves.
    """
    return tuple(
        setting
        for setting in settings
        if setting.scope in {"local", "worktree"}
        and (setting.name in _CONTENT_SETTINGS or _is_driver(setting.name))
    )


def _is_driver(name: str) -> bool:
    return name.startswith(_CONTENT_SECTIONS) and (name.count(".") > 1 or name.startswith("lfs."))


def as_config_file(settings: Settings) -> str:
    """Settings in the syntax of a config file."""
    return "".join(
        f"{_section(setting.name)}\n\t{_last(setting.name)} = {_quoted(setting.value)}\n"
        for setting in settings
    )


def _section(name: str) -> str:
    section, _, rest = name.partition(".")
    subsection = rest.rpartition(".")[0]
    return f"[{section} {_quoted(subsection)}]" if subsection else f"[{section}]"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
