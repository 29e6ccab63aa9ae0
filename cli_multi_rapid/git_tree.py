"""Trees as lists of files: read whole, and made of some of the files of another."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cli_multi_rapid.core.ids import Tree
from cli_multi_rapid.core.verdicts import TreeFile
from cli_multi_rapid.git_command import Git, split


def tree_files(git: Git, tree: Tree) -> tuple[TreeFile, ...]:
    """Every file of a tree in git's order. Raises `EnvironmentFault` when there is no such tree."""
    output = os.fsdecode(git.tell("ls-tree", "-r", "-z", "--full-tree", tree).stdout)
    return tuple(_file(entry) for entry in output.split("\0")[:-1])


def _file(entry: str) -> TreeFile:
    facts, _, path = entry.partition("\t")
    mode, _, oid = facts.split(" ")
    return TreeFile(path, mode, oid)


def changed_paths(git: Git, one: Tree, other: Tree) -> Sequence[str] | None:
    """The names of what differs between two trees, in content, mode or kind; None when one is not there.

    Git skips folders that are the same, so this is quick however large the trees are.
    """
    done = git.ask(
        *("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none"),
        *("--end-of-options", one, other),
    )
    return split(done.stdout) if done.ok else None


def make_tree(git: Git, files: Iterable[TreeFile]) -> Tree:
    """A tree of exactly these files; their contents are in the object store, or can be fetched into it."""
    entries = "".join(f"{mode} {oid}\t{path}\0" for path, mode, oid in files)
    with tempfile.TemporaryDirectory(prefix="index-", dir=git.work_tree.parent) as folder:
        ours = git.for_slot(work_tree=git.work_tree, index=Path(folder) / "index")
        ours.tell("update-index", "-z", "--index-info", stdin=os.fsencode(entries))
        return Tree(ours.tell("write-tree", "--missing-ok").text)
