"""What a node may make of its own worktree: whatever lies there, we follow nothing out and lose nothing."""

from pathlib import Path
from typing import Final

import pytest

from tests.fakes.command_line import type_in
from tests.faults.conftest import Tell
from tests.faults.hostile_world import Deed, World, make_world
from tests.faults.rows import Part

MINE: Final = "untracked and mine\n"


@pytest.fixture
def naive(tmp_path: Path) -> World:
    return make_world(tmp_path / "naive")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "ours")


def test_a_worktree_that_became_a_link_to_the_checkout(naive: World, world: World, tell: Tell) -> None:
    for each in (naive, world):
        each.repository.write({"mine.txt": MINE, "a.txt": MINE})
    deed = Deed(script="here=$PWD; cd /; rm -rf $here; ln -s $REPO $here")
    naive.naively(deed)
    assert "mine.txt" in naive.repository.files("HEAD"), "the attack itself is broken"
    before = world.repository.status()
    assert world.ours(deed).status == 1
    (node,) = world.nodes()
    assert "is gone" in node["reason"]
    assert type_in(world.repository.path, "worktrees", "clean", "--force").status == 0
    assert world.ours(Deed(script="echo x > src/app.py")).status == 0
    assert world.repository.status() == before
    assert (world.repository.path / "mine.txt").read_text() == MINE
    tell(
        Part.NODES,
        "puts a link to the person's checkout in the place of its worktree",
        "seen as gone; the checkout is not committed, filled anew or cleaned",
        naive="the person's uncommitted edits are committed",
    )


def test_a_git_folder_that_became_a_link_to_the_persons(naive: World, world: World, tell: Tell) -> None:
    deed = Deed(script="rm -rf .git; ln -s $REPO/.git .git; echo x >> a.txt")
    naive.naively(deed)
    parents = naive.repository.git("log", "--format=%s", "main").splitlines()
    assert parents[0] == "n0", "the attack itself is broken"
    assert naive.repository.status() != ""
    assert world.ours(deed, check=True).status == 0
    assert world.repository.show("main", "a.txt").endswith("x\n")
    assert world.repository.status() == ""
    tell(
        Part.NODES,
        "puts a link to the person's .git in the place of its own",
        "not followed; the work lands after its checks, and the person's index stays as it was",
        naive="committed onto main, unchecked; the person's index is changed",
    )


UNFIT: Final = {
    "a pipe in the place of a file": ("rm a.txt; mkfifo a.txt", "can only add regular files"),
    "a folder .GIT": ("mkdir -p src/.GIT; cp $TRAP src/.GIT/config", "invalid path"),
    "a folder git~1, which Windows takes for .git": ("mkdir git~1; cp $TRAP git~1/config", "invalid path"),
    "an encoding that its files do not have": (
        "echo '* working-tree-encoding=UTF-16' > .gitattributes; echo x >> a.txt",
        "BOM is required",
    ),
}


@pytest.mark.parametrize("thing", UNFIT)
def test_what_cannot_be_committed(thing: str, naive: World, world: World, tell: Tell) -> None:
    script, said = UNFIT[thing]
    deed = Deed(script=script)
    assert naive.naively(deed), "the attack itself is broken"
    assert naive.repository.git("log", "--format=%s", "main") == "first"
    assert world.ours(deed).status == 1
    (node,) = world.nodes()
    assert said in node["reason"]
    assert list((world.repository.path / "state/worktrees").glob("*.n0.*")), "what it made is not kept"
    assert world.repository.show("main", "src/app.py") == "print('app')\n"
    tell(
        Part.NODES,
        thing,
        "refused and named; the worktree is kept",
        naive="nothing is committed, and nobody says so",
    )


SPOILT: Final = {
    "an index.lock": "touch $(git rev-parse --git-dir)/index.lock; echo x >> a.txt",
    "a HEAD that is none": "echo nonsense > $(git rev-parse --git-dir)/HEAD; echo x >> a.txt",
    "a config that is none": "echo '[[[' >> $(git rev-parse --git-path config); echo x >> a.txt",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_git_folder(spoilt: str, naive: World, world: World, tell: Tell) -> None:
    deed = Deed(script=SPOILT[spoilt])
    if spoilt == "a config that is none":  # it would be the person's own: a linked worktree shares it
        before = (naive.repository.path / ".git/config").read_text()
        naive.naively(deed)
        assert (naive.repository.path / ".git/config").read_text() != before, "the attack itself is broken"
        (naive.repository.path / ".git/config").write_text(before)
    else:
        assert naive.naively(deed), "the attack itself is broken"
    assert naive.repository.git("log", "--format=%s", "main") == "first"
    assert world.ours(deed, check=True).status == 0
    assert world.repository.show("main", "a.txt").endswith("x\n")
    tell(
        Part.NODES,
        f"leaves {spoilt} in its .git",
        "its files decide: the work lands",
        naive="the work cannot be committed",
    )
