"""kill -9 of the orchestrator together with its git, in the middle of a snapshot: the next one takes it."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from cli_multi_rapid.core.ids import Branch
from cli_multi_rapid.git import open_repository
from cli_multi_rapid.worktrees import Slot, Snapshot, Worktrees
from tests.fakes.repositories import RepositoryBuilder, make_repository

PROJECT = Path(__file__).resolve().parents[2]
NOW = datetime(2024, 5, 6, tzinfo=UTC)

DEADLY_FILTER = """kill -9 $(cut -d' ' -f4 "/proc/$PPID/stat") "$PPID" """
"""A clean filter that kills git, which started it, and whoever started git."""

SNAPSHOT = """\
import sys
from datetime import UTC, datetime
from pathlib import Path
from cli_multi_rapid.git import open_repository
from cli_multi_rapid.worktrees import Worktrees
path, state, head = sys.argv[1:]
worktrees = Worktrees(open_repository(Path(path), Path(state, "git")), Path(state, "worktrees"))
slot = worktrees.open("n1", head)
Path(slot.path, "work.dat").write_text("half done")
worktrees.snapshot(slot, "never made", when=datetime(2024, 5, 6, tzinfo=UTC))
"""


def test_a_snapshot_that_was_killed_with_its_git_is_in_nobodys_way(tmp_path: Path) -> None:
    builder = make_repository(tmp_path / "r", {".gitattributes": "*.dat filter=deadly\n"})
    builder.git("config", "filter.deadly.clean", DEADLY_FILTER)
    state = tmp_path / "state"
    killed = subprocess.run(
        [sys.executable, "-c", SNAPSHOT, str(builder.path), str(state), builder.head],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path for path in (state / "git").rglob("*.lock") if "slots" in path.parts], "no lock was left"

    builder.git("config", "--unset", "filter.deadly.clean")
    heir = Worktrees(open_repository(builder.path, state / "git"), state / "worktrees")
    slot = Slot(path=heir.folder / "n1", name="n1", base=builder.head, lane=Branch("lane/n1"))
    assert heir.unsaved("n1") == "holds changes that no branch has"
    taken = heir.snapshot(slot, "saved", when=NOW)
    assert isinstance(taken, Snapshot), taken
    heir.seal(slot, taken, slot.lane)
    heir.release(slot)
    heir.close()
    assert RepositoryBuilder(path=builder.path).git("show", "lane/n1:work.dat") == "half done"
    assert list((state / "git/slots").iterdir()) == []
