"""Which part of our own environment a program gets, and where it finds other programs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_OWN_PREFIXES: Final = ("GIT_", "CLI_ORCHESTRATOR_")
"""Never passed on: inside a hook GIT_DIR and its kin would point every git call at the wrong repository, and
our own variables would make an orchestrator that an agent starts believe it is this one."""

_KEPT: Final = frozenset(  # a table is easier to read and to extend than a list of quoted names
    """
    PATH HOME USER LOGNAME SHELL TERM COLORTERM TZ LANG LANGUAGE TMPDIR TMP TEMP
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    VIRTUAL_ENV CONDA_PREFIX PYENV_ROOT NVM_DIR VOLTA_HOME ASDF_DIR ASDF_DATA_DIR MISE_DATA_DIR
    CARGO_HOME RUSTUP_HOME GOPATH GOROOT GOCACHE JAVA_HOME
    PYTHONUTF8 PYTHONIOENCODING PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONHASHSEED
    """.split()  # noqa: SIM905  # see above
)
"""What tools need to find their files, their interpreters and the network. PYTHONPATH, PYTHONHOME and
PYTHONSTARTUP are not among them: they would change how a tool with an interpreter of its own starts."""

_KEPT_PREFIXES: Final = ("LC_", "XDG_")


def base_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """For agents: what any program needs, without the user's secrets, and what the tool declares."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    return {**kept, **extra}


def inherited_environment() -> dict[str, str]:
    """For the user's own commands: the environment they expect, without git's variables and ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OWN_PREFIXES)}


def which(name: str, env: Mapping[str, str]) -> Path | None:
    """The program that `name` means with the PATH of `env`; a name with a slash means that file.

    Relative PATH entries are passed over: a program from whatever folder we happen to be in is never meant.
    """
    if "/" in name:
        return _executable(Path(name).absolute())
    folders = (Path(folder) for folder in env.get("PATH", os.defpath).split(os.pathsep))
    found = (_executable(folder / name) for folder in folders if folder.is_absolute())
    return next((path for path in found if path is not None), None) if name else None


def _executable(path: Path) -> Path | None:
    # Access first: a PATH may name folders that we must not enter, where a look raises.
    return path if os.access(path, os.X_OK) and path.is_file() else None
