"""Where a repository's `state/` and `artifacts/` are, and what lies in them."""

import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.ids import NodeId, RunId

_IGNORE = "# Written by cli-orchestrator: nothing in here belongs to the repository.\n*\n"


class Home(Struct, frozen=True, kw_only=True):
    """The folder that holds `state/` and `artifacts/`: the repository's root, or another one by choice."""

    root: Path

    @property
    def state(self) -> Path:
        """Event log, locks, worktrees."""
        return self.root / "state"

    @property
    def artifacts(self) -> Path:
        """Plans, logs, reports."""
        return self.root / "artifacts"

    @property
    def database(self) -> Path:
        """The event log."""
        return self.state / "orchestrator.db"

    @property
    def plans(self) -> Path:
        """Saved plans."""
        return self.artifacts / "plans"

    def amended_plan(self, run_id: RunId) -> Path:
        """The plan of a run as it is after nodes were added to it; the saved one stays as it was accepted."""
        return self.plans / f"{run_id}_amended.json"

    def report(self, run_id: RunId) -> Path:
        """The report of a run."""
        return self.artifacts / "reports" / f"{run_id}_report.json"

    def verification(self, run_id: RunId) -> Path:
        """The verification report of a run."""
        return self.artifacts / "verification" / f"{run_id}.json"

    def logs(self, run_id: RunId) -> Path:
        """The folder of a run's logs."""
        return self.artifacts / "logs" / run_id

    def attempt_log(self, run_id: RunId, node_id: NodeId, attempt: int) -> Path:
        """What the tool of one attempt wrote."""
        return self.logs(run_id) / f"{node_id}.{attempt}.log"

    def prepare(self) -> None:
        """Make both folders, private to the user and ignored by git. Raises `EnvironmentFault`."""
        for folder in (self.state, self.artifacts):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _keep_private(folder)
                _ignore_all(folder / ".gitignore")
            except OSError as error:
                raise EnvironmentFault(
                    f"{folder} cannot be written: {error.strerror}",
                    hint="free the disk, change its permissions, or choose another place with --home DIR",
                ) from error

    def claim(self, git_dir: Path) -> None:
        """Say which repository this home serves: its runs and queues name branches and commits alone.

        Raises `UserError` when it serves another one that is still there.
        """
        record = self.state / "repository"
        known = record.read_bytes() if record.exists() else b""
        owner = Path(os.fsdecode(known))
        if known and owner != git_dir and owner.exists() and not owner.samefile(git_dir):
            raise UserError(
                f"{self.root} holds the runs of another repository: {owner}",
                hint="give each repository a place of its own: --home DIR, or unset CLI_ORCHESTRATOR_HOME",
            )
        if known != os.fsencode(git_dir):
            record.write_bytes(os.fsencode(git_dir))


def _keep_private(folder: Path) -> None:
    """Logs and reports are for their user's eyes, also where git or the user made the folder."""
    if folder.stat().st_mode & 0o077:
        with suppress(PermissionError):  # somebody else's folder, which they let us use
            folder.chmod(0o700)


def _ignore_all(path: Path) -> None:
    """Have git ignore the folder. A file that somebody changed stays; the beginning of ours is mended."""
    found = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if _IGNORE.startswith(found) and found != _IGNORE:  # a full disk or a crash let no more of it be written
        fresh = path.with_name(f".gitignore.{os.getpid()}")
        try:
            fresh.write_text(_IGNORE, encoding="utf-8")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
