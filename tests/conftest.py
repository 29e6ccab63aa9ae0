"""What holds for every test: no network, no real home folder, no settings of the person who runs them."""

import gc
import os
import pwd
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.examples import examples

REPOSITORY = Path(__file__).resolve().parent.parent
GIT_CONFIG = """\
[user]
	name = Test Person
	email = test@example.invalid
[init]
	defaultBranch = main
[commit]
	gpgSign = false
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol "file"]
	allow = always
"""

_CALLER_PREFIXES = ("GIT_", "GITHUB_", "CLI_ORCHESTRATOR_", "WT_")
# PYTHONDONTWRITEBYTECODE: programs that tests start would compile the whole package at every start.
_CALLER_NAMES = frozenset(
    {"CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE"}
)

# In CI the same examples are repeated on every machine, and nothing fails because a machine is slow.
for _profile in ("ci", "thorough"):
    settings.register_profile(
        _profile,
        max_examples=examples(25),
        derandomize="CI" in os.environ,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.register_profile("fast", max_examples=examples(25), deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "fast"))

# What the collection of five thousand tests makes lives to the end. The garbage collector would look through
# all of it again and again: a third of the time of collecting in each worker, and a twentieth of the tests'.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on garbage is looked for among what the tests themselves make."""
    gc.freeze()
    gc.enable()


class HomeTouched(AssertionError):
    """A test was about to write below the real home folder."""


class HomeGuard:
    """Refuses writes of this process below the real home folder while a test runs.

    The interpreter's audit events are used, so that other programs on the machine cannot cause a false alarm.
    Programs that a test starts inherit HOME and the XDG variables, which point elsewhere.
    """

    _WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
    _PATH_EVENTS = frozenset(
        {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "sqlite3.connect"}
    )

    def __init__(self, home: Path, allowed: tuple[Path, ...]) -> None:
        self.active = False
        self._home = f"{home}{os.sep}"
        self._allowed = tuple(f"{path}{os.sep}" for path in allowed)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            path, _mode, flags = arguments
            if isinstance(flags, int) and flags & self._WRITING:
                self._refuse(event, path)
        elif event in self._PATH_EVENTS:
            for path in arguments[:2]:
                self._refuse(event, path)

    def _refuse(self, event: str, path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        # Not Path.resolve(): it would read the file system from inside the hook that watches it.
        absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
        if not absolute.startswith(self._home) or f"{os.sep}__pycache__{os.sep}" in absolute:
            return
        if not absolute.startswith(self._allowed):
            raise HomeTouched(f"{event} of {absolute}: a test must not write to the real home folder")


def _real_home() -> Path:
    # Not from HOME: that may already be somebody else's sandbox.
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir).resolve()
    except KeyError:  # a container's user without an account has no home to protect
        return Path("/")


def _install_home_guard() -> HomeGuard:
    may_lie_in_home = (REPOSITORY, Path(tempfile.gettempdir()), Path(sys.prefix), Path(sys.base_prefix))
    guard = HomeGuard(_real_home(), tuple(path.resolve() for path in may_lie_in_home))
    if _real_home() != Path("/"):
        sys.addaudithook(guard)
    return guard


_home_guard = _install_home_guard()


def _variables(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_RUNTIME_DIR": str(home / "run"),
    }


def _forget_the_caller(environment: pytest.MonkeyPatch) -> None:
    """Remove what a hook, a CI service or a running orchestrator left in the environment."""
    for name in list(os.environ):
        if name in _CALLER_NAMES or name.startswith(_CALLER_PREFIXES):
            environment.delenv(name)


class _Homes:
    """Home folders, each in use until something was left in it: most tests leave nothing."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._environment = environment
        self._make()

    def clean(self) -> Path:
        """The home as new, named by the environment again if a test changed that by hand."""
        if self._look() != self._as_made:
            self._make()
        for name, value in self._variables.items():
            if os.environ.get(name) != value:
                self._environment.setenv(name, value)
        return self._home

    def _make(self) -> None:
        self._home = Path(tempfile.mkdtemp(dir=self._folder))
        self._variables = _variables(self._home)
        (self._home / ".gitconfig").write_text(GIT_CONFIG)
        (self._home / "run").mkdir(mode=0o700)
        self._as_made = self._look()

    def _look(self) -> object:
        """What a change of the folder would change."""
        try:
            git_config = (self._home / ".gitconfig").stat()
            names = [sorted(folder.iterdir()) for folder in (self._home, self._home / "run")]
        except OSError:
            return None
        return names, git_config.st_ino, git_config.st_mtime_ns, git_config.st_ctime_ns


@pytest.fixture(scope="session", autouse=True)
def _session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Homes]:
    """Homes also for module-wide fixtures, which are made before those of a single test."""
    with pytest.MonkeyPatch.context() as environment:
        _forget_the_caller(environment)
        homes = _Homes(tmp_path_factory.mktemp("homes"), environment)
        homes.clean()
        yield homes


@pytest.fixture(autouse=True)
def sandbox_home(_session_home: _Homes) -> Iterator[Path]:
    """An empty home folder with a git identity, for this test alone; writes to the real one fail."""
    _home_guard.active = True
    yield _session_home.clean()
    _home_guard.active = False
    _session_home.clean()
