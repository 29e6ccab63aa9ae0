"""Tools that hang, flood, lie, flee and meddle: their node says so, and nobody else is the worse for it."""

from pathlib import Path

import pytest
from msgspec import Struct

from tests.faults.conftest import Tell
from tests.faults.rogue_tools import let_loose
from tests.faults.rows import Part
from tests.faults.struck_runs import take_time

_BASE_KB = 60_000
"""Of an interpreter with all that a run loads, and of git, with room to spare."""
_MOST_KB = 60_000
"""What the output of a tool may take on top: it is read in pieces and kept in excerpts."""


class Bad(Struct, frozen=True, kw_only=True):
    """A tool that fails."""

    does: str
    body: str
    says: str
    """What the person reads of it."""
    work: str | None = None
    """What the attempt had written: it is kept on a branch."""
    timeout_s: float = 60.0


FAILING = {
    "hang": Bad(does="hangs", body="sleep 3600", says="did not end within 2 s and was stopped", timeout_s=2),
    "deaf": Bad(
        does="hangs, heeds no signal and has written half of its work",
        body="trap '' INT TERM HUP; echo half > src/bad; while :; do sleep 1; done",
        says="did not end within 2 s and was stopped",
        work="half\n",
        timeout_s=2,
    ),
    "lie": Bad(does="exits 0 without work", body="exit 0", says="rogue changed nothing"),
    "work": Bad(
        does="exits 1 with work", body="echo work > src/bad; exit 1", says="exit code 1", work="work\n"
    ),
    "killed": Bad(
        does="kills itself with work", body="echo work > src/bad; kill -9 $$", says="SIGKILL", work="work\n"
    ),
    "slot": Bad(does="deletes its slot", body='rm -rf "$PWD"', says="is gone"),
    "moved": Bad(
        does="renames its slot and puts a file in its place",
        body='echo moved > src/bad; s=$PWD; cd /; mv "$s" "$s.away"; touch "$s"',
        says="is gone",
    ),
    "history": Bad(
        does="begins a history of its own without the files of others",
        body="git checkout -q --orphan new; git rm -rqf .; mkdir -p src; echo w > src/bad; git add .; "
        "git commit -qm new",
        says="changed what it did not claim",
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_bad_tool_fails_its_node_with_a_reason_and_a_retry_lands_it(
    tmp_path: Path, tell: Tell, name: str
) -> None:
    bad = FAILING[name]
    misdeed = let_loose(tmp_path, bad.body, timeout_s=bad.timeout_s)
    misdeed.assert_contained()
    assert misdeed.ended.status == 1, misdeed.ended.err
    node = misdeed.node()
    assert node["status"] == "failed"
    assert bad.says in node["reason"]
    assert bad.says in misdeed.ended.err
    assert f"cli-orchestrator retry {misdeed.scene.run_id} bad" in misdeed.ended.out
    if bad.work is not None:
        assert misdeed.scene.repository.show(node["branch"], "src/bad") == bad.work
    misdeed.assert_cured(kept=name == "moved")
    kept = ", its work kept on a branch" if bad.work else ""
    kept += ", the folder that it moved away stays in state/worktrees" if name == "moved" else ""
    tell(Part.TOOLS, bad.does, f"exit 1, `{bad.says}`{kept}; the other node landed; a retry landed this one")


class Odd(Struct, frozen=True, kw_only=True):
    """A tool whose work is good, whatever it does beside."""

    does: str
    body: str


LANDING = {
    "binary": Odd(
        does="writes binary, non-UTF-8 and terminal codes to its output",
        body="head -c 100000 /dev/urandom; printf '\\377\\376\\033[2J\\033]0;x\\007\\n'; echo odd > src/bad",
    ),
    "child": Odd(
        does="leaves detached children that heed no signal",
        body="(setsid sh -c 'trap \"\" INT TERM HUP; while :; do sleep 1; done' >/dev/null 2>&1 &)\n"
        "echo odd > src/bad",
    ),
    "commit": Odd(does="commits by itself", body="echo odd > src/bad; git add -A; git commit -qm own"),
    "branch": Odd(
        does="switches branches and commits there",
        body="git checkout -qb elsewhere; echo odd > src/bad; git add -A; git commit -qm own; "
        "git branch -f main HEAD",
    ),
    "amend": Odd(
        does="rewrites the history that it was given",
        body="echo odd > src/bad; git add -A; git commit -q --amend -m rewritten; git reflog expire "
        "--expire=now --all; git gc -q --prune=now",
    ),
    "config": Odd(
        does="edits .git: hooks, filters, fsmonitor, alternates, HEAD",
        body="for h in pre-commit post-checkout reference-transaction; do\n"
        "  mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {trap}\\n' > .git/hooks/$h\n"
        "  chmod +x .git/hooks/$h\n"
        "done\n"
        "git config core.fsmonitor 'touch {trap}'; git config filter.x.clean 'touch {trap}'\n"
        "echo '* filter=x' > .git/info/attributes; echo /nowhere > .git/objects/info/alternates\n"
        "echo nonsense > .git/HEAD; echo odd > src/bad",
    ),
    "no git": Odd(does="deletes .git", body="rm -rf .git; echo odd > src/bad"),
}


@pytest.mark.parametrize("name", LANDING)
def test_good_work_lands_whatever_else_its_tool_does(tmp_path: Path, tell: Tell, name: str) -> None:
    odd, trap = LANDING[name], tmp_path / "sprung"
    misdeed = let_loose(tmp_path, odd.body.replace("{trap}", str(trap)))
    misdeed.assert_contained()
    assert misdeed.ended.status == 0, misdeed.ended.err
    scene = misdeed.scene
    assert scene.repository.show("main", "src/bad") == "odd\n"
    assert not trap.exists()
    scene.world.assert_only_verified_trees(scene.start, ["ok"])
    scene.world.assert_nothing_left(scene.run_id)
    tell(
        Part.TOOLS,
        odd.does,
        "exit 0: what it claims landed and nothing else of it reached anybody",
    )


@pytest.mark.parametrize("form", ["lines", "one endless line"])
def test_a_flood_of_output_takes_bounded_memory_and_disk(
    tmp_path: Path, tell: Tell, form: str, short: bool
) -> None:
    take_time()
    size = 50_000_000 if short else 1_000_000_000
    made = "yes 0123456789abcdef" if form == "lines" else "tr '\\0' x < /dev/zero"
    misdeed = let_loose(tmp_path, f"{made} | head -c {size}; echo odd > src/bad", timeout_s=900)
    misdeed.assert_contained()
    assert misdeed.ended.status == 0, misdeed.ended.err
    scene = misdeed.scene
    assert scene.repository.show("main", "src/bad") == "odd\n"
    (log,) = (scene.repository.path / "artifacts" / "logs" / scene.run_id).glob("bad.1.log")
    assert log.stat().st_size <= 17_000_000
    assert misdeed.peak_kb <= _BASE_KB + _MOST_KB
    scene.world.assert_nothing_left(scene.run_id)
    tell(
        Part.TOOLS,
        f"floods its output: {size // 1_000_000:,} MB, {form}",
        f"exit 0, landed; peak memory {misdeed.peak_kb // 1000} MB, log {log.stat().st_size // 1_000_000} MB",
    )
