"""Bubblewrap: the only place that builds its command lines.

A confined program sees what is listed and nothing else: the system's programs read-only, its slot and its
private folders to write into, what its configuration names. It has its own process ids, so that it can signal
nobody outside and all of it dies together.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault, OrchestratorError
from cli_multi_rapid.core.plan import Network
from cli_multi_rapid.process import Completed, run, which

_SYSTEM: Final = (
    *(Path("/", name) for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt")),
    *(Path("/", name) for name in ("nix", "gnu", "run/current-system")),
)
"""Where systems keep programs and their settings. Data lies elsewhere: /var, /run, /srv, /mnt, the homes."""

_ROOTS_SECRETS: Final = tuple(map(Path, ("/etc/shadow", "/etc/gshadow", "/etc/ssl/private", "/etc/ssh")))
"""What root can read and other users cannot."""

_RESOLVER: Final = Path("/etc/resolv.conf")

_TMP: Final = Path("/tmp")  # noqa: S108  # nosec B108  # the sandbox's own, which nobody shares

_ISOLATION: Final = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
)
_PROBE_TIMEOUT_S: Final = 10.0


class View(Struct, frozen=True, kw_only=True):
    """What a confined program sees of the machine, each path at its own place."""

    slot: Path
    """Its current folder, to write into."""
    temp: Path
    """Its TMPDIR, to write into."""
    private: Path
    """An empty folder outside of `temp`, for what it takes for its home and /tmp."""
    home: Path | None
    network: Network = Network.FULL
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    """Folders that are empty, also where `read` or `write` name a folder above them."""

    def shows(self, path: Path) -> bool:
        """Whether a file of the machine is there in the sandbox as well."""
        mounts = _mounts(self)
        nearest = next((mounts[place] for place in (path, *path.parents) if place in mounts), None)
        return nearest is not None and nearest.kind in (_Kind.READ, _Kind.WRITE, _Kind.LINK)


class _Kind(Enum):
    READ = auto()
    WRITE = auto()
    LINK = auto()
    PRIVATE = auto()
    """Another folder, in place of the machine's own."""
    EMPTY = auto()


_OPTIONS: Final = {
    _Kind.READ: "--ro-bind",
    _Kind.WRITE: "--bind",
    _Kind.LINK: "--symlink",
    _Kind.PRIVATE: "--bind",
    _Kind.EMPTY: "--tmpfs",
}


class _Mount(Struct, frozen=True, kw_only=True):
    kind: _Kind
    source: Path

    def options(self, place: Path) -> tuple[str, ...]:
        source = () if self.kind is _Kind.EMPTY else (str(self.source),)
        return (_OPTIONS[self.kind], *source, str(place))


class Bubblewrap(Struct, frozen=True, kw_only=True):
    """A bwrap that was found, and the environment in which it was."""

    program: Path
    environment: Mapping[str, str]

    def command(
        self, view: View, argv: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        """The command line that runs a program in a sandbox, with these variables beside those it inherits.

        What nobody vouches for must be among them: an inherited LD_PRELOAD would be obeyed by bwrap itself.
        Raises `EnvironmentFault` without unshare(1).
        """
        settings = (word for name, value in (variables or {}).items() for word in ("--setenv", name, value))
        return (*self._surroundings(view), *settings, "--", *argv)

    def try_out(self, view: View) -> Completed:
        """Run nothing in a sandbox; as process 1, so that it leaves no orphan for us to wait for."""
        argv = (*self._surroundings(view), "--as-pid-1", "--", "true")
        return run(argv, env=self.environment, timeout_s=_PROBE_TIMEOUT_S)

    def _surroundings(self, view: View) -> tuple[str, ...]:
        for folder in ("home", "tmp"):
            (view.private / folder).mkdir(exist_ok=True)
        mounts = _mounts(view)
        places = sorted(mounts, key=lambda place: len(place.parts))  # a folder before what lies in it
        empty = [place for place in places if mounts[place].kind is _Kind.EMPTY]
        return (
            *self._without_network(view.network),
            *(str(self.program), *_ISOLATION),
            *(("--unshare-net",) if view.network is Network.LOOPBACK else ()),
            *("--proc", "/proc", "--dev", "/dev"),
            *(option for place in places for option in mounts[place].options(place)),
            *_seals(empty),
            *("--chdir", str(view.slot)),
        )

    def _without_network(self, network: Network) -> tuple[str, ...]:
        """Bubblewrap starts the loopback of a network of its own; one that is made outside stays down."""
        if network is not Network.NONE:
            return ()
        unshare = which("unshare", self.environment)
        if unshare is None:
            raise EnvironmentFault(
                "network: none needs the program unshare, which was not found",
                hint="install util-linux, or set network: loopback",
            )
        return (str(unshare), "--user", "--map-current-user", "--net", "--")


def find_bubblewrap(environment: Mapping[str, str], network: Network = Network.FULL) -> Bubblewrap:
    """The bwrap on the PATH, tried once: many systems have it and forbid what it needs.

    Raises `EnvironmentFault` with what to do.
    """
    program = which("bwrap", environment)
    if program is None:
        raise EnvironmentFault(
            "sandbox: bwrap needs the program bwrap, which was not found",
            hint="install bubblewrap (apt install bubblewrap, dnf install bubblewrap), or set sandbox: none",
        )
    found = Bubblewrap(program=program, environment=environment)
    with TemporaryDirectory(prefix="cli-orchestrator-probe-") as name:
        folder = Path(name)
        view = View(slot=folder, temp=folder, private=folder, home=None, network=network)
        try:
            done = found.try_out(view)
        except OrchestratorError as error:
            raise EnvironmentFault(error.message, hint=error.hint) from error
    if not done.ok:
        said = done.error_text.partition("\n")[0] or f"exit code {done.returncode}"
        raise EnvironmentFault(
            f"sandbox: bwrap does not work here: {said}",
            hint="it needs user namespaces, which containers and AppArmor often forbid: allow them "
            "(docs/confinement.md says how), or set sandbox: none",
        )
    return found


def bubblewrap_version(found: Bubblewrap) -> str:
    """What it says of itself, such as `bubblewrap 0.8.0`."""
    return run([str(found.program), "--version"], env=found.environment, timeout_s=_PROBE_TIMEOUT_S).text


def _mounts(view: View) -> dict[Path, _Mount]:
    """What is where in the sandbox; of two for the same place the last one holds."""
    mounts = dict(_system(view.network))
    mounts |= {path: _Mount(kind=_Kind.EMPTY, source=path) for path in view.hidden if path.is_dir()}
    for path in view.read:
        if path.exists():
            mounts[path] = _Mount(kind=_Kind.READ, source=path)
    for path in view.write:
        mounts[path] = _Mount(kind=_Kind.WRITE, source=path)
    mounts |= dict(_concealed(mounts, view.hidden))
    if view.home is not None:
        mounts[view.home] = _Mount(kind=_Kind.PRIVATE, source=view.private / "home")
    mounts[_TMP] = _Mount(kind=_Kind.PRIVATE, source=view.private / "tmp")
    for path in (view.temp, view.slot):
        mounts[path] = _Mount(kind=_Kind.WRITE, source=path)
    return mounts


def _system(network: Network) -> Iterator[tuple[Path, _Mount]]:
    for path in _SYSTEM:
        if path.is_symlink():
            yield path, _Mount(kind=_Kind.LINK, source=path.readlink())
        elif path.is_dir():
            yield path, _Mount(kind=_Kind.READ, source=path)
    for path in _ROOTS_SECRETS if os.getuid() == 0 else ():
        if path.is_dir():
            yield path, _Mount(kind=_Kind.EMPTY, source=path)
        elif path.is_file():
            yield path, _Mount(kind=_Kind.READ, source=Path(os.devnull))
    # Often a link to a file of the local resolver below /run, which is hidden.
    resolver = _RESOLVER.resolve()
    if network is Network.FULL and resolver.is_file() and not resolver.is_relative_to("/etc"):
        yield resolver, _Mount(kind=_Kind.READ, source=resolver)


def _concealed(mounts: Mapping[Path, _Mount], hidden: Sequence[Path]) -> Iterator[tuple[Path, _Mount]]:
    """Emptiness over what must not be seen, at every place where a mount would show it."""
    folders = [folder.resolve() for folder in hidden if folder.is_dir()]
    for place, mount in mounts.items():
        if mount.kind not in (_Kind.READ, _Kind.WRITE):
            continue
        source = mount.source.resolve()
        for folder in folders:
            if folder != source and folder.is_relative_to(source):
                under = place / folder.relative_to(source)
                if under not in mounts:
                    yield under, _Mount(kind=_Kind.EMPTY, source=folder)


def _seals(empty: Sequence[Path]) -> Iterator[str]:
    """Nothing can be written beside what is shown: a write that went nowhere would look like a success.

    For root /proc as well: the kernel lets user id 0 change its settings, capabilities or not.
    """
    for place in (*empty, Path("/"), *((Path("/proc"),) if os.getuid() == 0 else ())):
        yield from ("--remount-ro", str(place))
