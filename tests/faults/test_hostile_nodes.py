"""What a node may try against the machine that runs it: it works against the naive way, and not here.

Each row is struck twice, in two fresh repositories: as a first script would do it (`World.naively`), and by
a plan that `cli-orchestrator execute` runs. Without the sandbox a node is the person, as far as the kernel
can tell: what only the sandbox stops is told as such, and tried again in it.
"""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.sandboxes import needs_bwrap
from tests.faults.conftest import Tell
from tests.faults.hostile_world import Deed, World, make_world
from tests.faults.rows import Part

HOOKS: Final = (
    "applypatch-msg pre-commit prepare-commit-msg commit-msg post-commit pre-merge-commit post-merge "
    "post-checkout post-index-change reference-transaction pre-rebase post-rewrite pre-push"
)

PLANTED: Final = {
    "hooks": f"""
hooks=$(git rev-parse --git-path hooks); mkdir -p $hooks; for hook in {HOOKS}; do cp $TRAP $hooks/$hook; done
echo x >> a.txt""",
    "core.hooksPath into the work tree": f"""
mkdir -p src/h; for hook in {HOOKS}; do cp $TRAP src/h/$hook; done
git config core.hooksPath "$PWD/src/h"; echo x >> a.txt""",
    "core.fsmonitor": """git config core.fsmonitor $TRAP; echo x >> a.txt""",
    "clean and smudge filters": """
git config filter.evil.clean $TRAP; git config filter.evil.smudge $TRAP; git config filter.evil.required true
echo '* filter=evil' > .gitattributes; echo x >> a.txt""",
    "a filter process": """
git config filter.evil.process $TRAP; echo '* filter=evil' > .gitattributes; echo x >> a.txt""",
    "textconv and an external diff": """
git config diff.evil.textconv $TRAP; git config diff.evil.command $TRAP; git config diff.external $TRAP
echo '* diff=evil' > .gitattributes; echo x >> a.txt""",
    "pager, editor, ssh and credential programs": """
for name in core.editor core.sshCommand core.askPass sequence.editor gpg.program credential.helper \
  core.alternateRefsCommand uploadpack.packObjectsHook; do git config $name $TRAP; done
git config commit.gpgSign true; git config user.signingKey x; echo x >> a.txt""",
    "a .git file that points to a repository of its own": f"""
git init -q --template= $OUTSIDE/evil
mkdir -p $OUTSIDE/evil/.git/hooks; for hook in {HOOKS}; do cp $TRAP $OUTSIDE/evil/.git/hooks/$hook; done
rm -rf .git; echo "gitdir: $OUTSIDE/evil/.git" > .git; echo x >> a.txt""",
    "a .git symlink to a repository of its own": f"""
git init -q --template= $OUTSIDE/evil
mkdir -p $OUTSIDE/evil/.git/hooks; for hook in {HOOKS}; do cp $TRAP $OUTSIDE/evil/.git/hooks/$hook; done
rm -rf .git; ln -s $OUTSIDE/evil/.git .git; echo x >> a.txt""",
}
"""What git would run in whoever calls it in the node's folder."""


@pytest.fixture
def naive(tmp_path: Path) -> World:
    return make_world(tmp_path / "naive")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "ours")


@pytest.mark.parametrize("plant", PLANTED)
def test_planted_programs(plant: str, naive: World, world: World, tell: Tell) -> None:
    deed = Deed(script=PLANTED[plant])
    naive.naively(deed)
    assert naive.sprung, "the attack itself is broken"
    ended = world.ours(deed)
    assert ended.status == 0, ended.out + ended.err
    assert not world.sprung
    assert world.repository.show("main", "a.txt").endswith("x\n")
    assert world.repository.status() == ""
    tell(
        Part.NODES,
        f"planted in the worktree: {plant}",
        "never run; the work itself lands",
        naive="run by the orchestrator",
    )


def test_a_merge_driver(naive: World, world: World, tell: Tell) -> None:
    """A driver decides what a merge is: this one also runs a program."""
    evil = Deed(
        script="""
git config merge.evil.driver "$TRAP %O %A %B"; git config merge.default evil
echo '* merge=evil' > .gitattributes; sed -i 's/line 1$/first/' a.txt"""
    )
    honest = Deed(script="sed -i 's/line 12$/last/' a.txt")
    naive.naively(evil, honest)
    assert naive.sprung, "the attack itself is broken"
    ended = world.ours(evil, honest)
    assert ended.status == 0, ended.out + ended.err
    assert not world.sprung
    text = world.repository.show("main", "a.txt")
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    tell(
        Part.NODES,
        "a merge driver in its config and .gitattributes",
        "never run; both sides are merged",
        naive="run at the next merge",
    )


def test_an_embedded_repository(naive: World, world: World, tell: Tell) -> None:
    deed = Deed(
        script="""
git init -q vendor; cd vendor; echo f > f; git add f; git -c user.name=x -c user.email=x commit -q -m x"""
    )
    naive.naively(deed)
    assert "160000" in naive.modes(), "the attack itself is broken"
    assert world.ours(deed).status == 1
    (node,) = world.nodes()
    assert "git repository inside" in node["reason"]
    assert "vendor" in node["reason"]
    assert world.modes() == {"100644"}
    tell(
        Part.NODES,
        "an embedded repository",
        "refused and named; the slot is kept",
        naive="landed as a link to nothing",
    )


LINKS: Final = {
    "to /": "ln -s / src/root",
    "to a file outside": "ln -s /etc/passwd src/passwd",
    "to .git": "ln -s ../.git src/git",
    "out of the worktree by ..": "ln -s ../../../outside src/out",
    "in the place of a folder of files": "rm -r src; ln -s $OUTSIDE src; echo app > $OUTSIDE/app.py",
}


@pytest.mark.parametrize("link", LINKS)
def test_symlinks(link: str, naive: World, world: World, tell: Tell) -> None:
    deed = Deed(script=LINKS[link])
    naive.naively(deed)
    assert "120000" in naive.modes(), "the attack itself is broken"
    assert world.ours(deed).status == 1
    (node,) = world.nodes()
    assert "symlink that leads out" in node["reason"]
    assert world.modes() == {"100644"}
    tell(Part.NODES, f"a symlink {link}", "refused and named", naive="landed in everybody's checkout")


# --- what judges it -----------------------------------------------------------------------------------------

BROKEN: Final = "echo broken > src/app.py; "
JUDGES: Final = {
    "the test": "echo true > tests/test_app.sh",
    "the test and the configuration of the checks": (
        "echo true > tests/test_app.sh; echo 'checks: {}' > config/orchestrator.yaml"
    ),
}


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_that_it_did_not_claim(judge: str, naive: World, world: World, tell: Tell) -> None:
    deed = Deed(script=BROKEN + JUDGES[judge], claims=("src/**",))
    naive.naively(deed)
    assert naive.repository.show("main", "src/app.py") == "broken\n", "the attack itself is broken"
    assert world.ours(deed, check=True).status == 1
    (node,) = world.nodes()
    assert "changed what it did not claim" in node["reason"]
    assert world.repository.show("main", "src/app.py") == "print('app')\n"
    tell(
        Part.NODES,
        f"changes {judge} that judges it, claiming src/**",
        "refused: changed what it did not claim",
        naive="judged by itself, and landed",
    )


def test_the_configuration_that_it_did_claim(world: World, tell: Tell) -> None:
    """Which command a check is was fixed when the run began: its own tree does not say."""
    script = BROKEN + "echo 'checks: {tests: {run: \"true\"}}' > config/orchestrator.yaml"
    assert world.ours(Deed(script=script), check=True).status == 1
    assert world.nodes()[0]["merge_status"] == "FAILED"
    assert world.repository.show("main", "src/app.py") == "print('app')\n"
    tell(
        Part.NODES,
        "claims everything, and changes which command the check is",
        "judged by the check as it was when the run began",
    )


def test_the_test_that_it_did_claim(world: World, tell: Tell) -> None:
    ended = world.ours(Deed(script=BROKEN + JUDGES["the test"]), check=True)
    assert ended.status == 0
    assert world.repository.show("main", "src/app.py") == "broken\n"
    tell(
        Part.NODES,
        "claims everything, and changes the test that judges it",
        "lands: what a node may change it may make worthless. Claim no tests beside code, or let a person "
        "look (`approval: landing`)",
        kept=False,
    )


# --- what is not in its worktree ----------------------------------------------------------------------------

_AS_X: Final = "git --git-dir=$REPO/.git -c user.name=x -c user.email=x"
ELSEWHERE: Final = {
    "moves main to a commit of its own": (
        f"{_AS_X} update-ref refs/heads/main $({_AS_X} commit-tree -m stolen main^{{tree}} -p main)",
        "main moves: to git it is the person who did it. What lands next is checked on top of that",
    ),
    "makes a branch that looks like another lane": (
        "git --git-dir=$REPO/.git branch lane/x/y main",
        "the branch is there; no lane of a run is found by its name",
    ),
    "plants a hook in the person's .git": (
        "(cd $REPO/.git; mkdir -p hooks; cp $TRAP hooks/post-merge; cp $TRAP hooks/reference-transaction)",
        "the hook is there. We never run it; the person's own git will",
    ),
    "changes config/orchestrator.yaml in the person's checkout": (
        "echo 'checks: {}' > $REPO/config/orchestrator.yaml",
        "the edit is there, and `git status` shows it. This run keeps its settings, the next one reads it",
    ),
    "writes into state/": (
        "echo x > $REPO/state/planted; echo x > $REPO/state/merge_queue.json",
        "the files are there. What is for people is made again from the events, which it could forge as well",
    ),
}
"""Struck from a worktree at the person's own files, with the person's own rights."""


def struck(world: World) -> set[str]:
    """Which of the person's things are no longer as they were."""
    git, name = world.repository, "config/orchestrator.yaml"
    hooks = [git.path / ".git/hooks" / hook for hook in ("post-merge", "reference-transaction")]
    found = {
        "main": "stolen" in git.git("log", "--format=%s", "main").splitlines(),
        "lane": git.try_git("rev-parse", "-q", "--verify", "refs/heads/lane/x/y").returncode == 0,
        "hook": any(hook.exists() for hook in hooks),
        "config": (git.path / name).read_text() != git.show("main", name),
        "state": (git.path / "state/planted").exists(),
    }
    return {name for name, is_struck in found.items() if is_struck}


@pytest.mark.parametrize("deed", ELSEWHERE)
def test_what_only_the_sandbox_stops(deed: str, world: World, tell: Tell) -> None:
    script, what_comes_of_it = ELSEWHERE[deed]
    ended = world.ours(Deed(script=f"{script}; echo x >> a.txt"), check=True)
    assert ended.status == 0, ended.out + ended.err
    assert len(struck(world)) == 1, "the attack itself is broken"
    assert not world.sprung
    assert world.repository.show("main", "a.txt").endswith("x\n")
    tell(Part.NODES, f"without a sandbox: {deed}", what_comes_of_it, naive="the same", kept=False)


@needs_bwrap
@pytest.mark.parametrize("deed", ELSEWHERE)
def test_what_the_sandbox_stops(deed: str, world: World, tell: Tell) -> None:
    script, _ = ELSEWHERE[deed]
    world.ours(Deed(script=script, keys={"sandbox": "bwrap"}))
    assert world.nodes()[0]["attempts"][0]["sandbox"].startswith("bwrap")
    assert not struck(world)
    assert world.repository.status() == ""
    tell(Part.NODES, f"with sandbox: bwrap: {deed}", "not there for it: nothing is written")


def test_a_removed_event_log(world: World, tell: Tell) -> None:
    ended = world.ours(Deed(script="rm $REPO/state/orchestrator.db*; echo x >> a.txt"), check=True)
    assert ended.status == 5
    assert "was removed or replaced while it was in use" in ended.err
    assert not world.repository.show("main", "a.txt").endswith("x\n")
    tell(
        Part.NODES,
        "without a sandbox: removes the event log",
        "the run stops at once (exit 5), and nothing lands; its history is gone",
        kept=False,
    )


WRITES_NEXT_DOOR: Final = """
for slot in ../*/; do echo x > $slot/planted; done; rm -f planted; touch $OUTSIDE/done"""
WAITS_FOR_IT: Final = """
for i in $(seq 400); do [ -e $OUTSIDE/done ] && break; sleep 0.05; done; echo 'app 2' > src/app.py"""


def side_by_side(world: World, **keys: str) -> list[Any]:
    """One node at work, and one that writes into its worktree meanwhile."""
    victim = Deed(script=WAITS_FOR_IT, claims=("src/**",))
    world.ours(victim, Deed(script=WRITES_NEXT_DOOR, claims=("x",), keys=keys))
    return world.nodes()


def test_the_worktree_of_another_node(world: World, tell: Tell) -> None:
    victim, _ = side_by_side(world)
    assert "changed what it did not claim: planted" in victim["reason"]
    assert "planted" not in world.repository.files("main")
    tell(
        Part.NODES,
        "without a sandbox: writes a file into the worktree of another node",
        "detected: the other node has changed what it did not claim. A file that it did claim would not be",
        kept=False,
    )


@needs_bwrap
def test_the_sandbox_is_not_left_by_what_runs_later(world: World, tell: Tell) -> None:
    """Whatever is planted inside is looked at, committed, merged and cleaned outside."""
    planted = [text for text in PLANTED.values() if "rm -rf .git" not in text]
    text = f"#!/bin/sh\\ntouch {world.folder}/sprung\\ncat\\n"
    trap = f"printf '{text}' > src/trap; chmod +x src/trap; TRAP=$PWD/src/trap"
    world.ours(Deed(script="\n".join([trap, *planted]), keys={"sandbox": "bwrap"}))
    assert "src/trap" in world.repository.files("main")
    assert not world.sprung
    tell(
        Part.NODES,
        "with sandbox: bwrap: all that is planted in the worktree, together",
        "never run outside",
        cases=len(planted),
    )
