"""Trees with some files exchanged, made without an index: the change decides the price, not the tree."""

import os
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from cli_multi_rapid.core.ids import Tree
from cli_multi_rapid.git_command import Git, joined
from cli_multi_rapid.git_objects import hashed, write_object

_FOLDER = b"40000"
Entries = dict[bytes, tuple[bytes, bytes]]
"""Of one folder: the name of each entry -> its mode and its binary id, both as a tree object holds them."""


class TreeFile(Struct, frozen=True, kw_only=True):
    """A file as a tree knows it."""

    path: str
    mode: str
    blob: str


def lay_over(git: Git, tree: Tree, files: Iterable[TreeFile], seen: dict[bytes, Entries]) -> Tree:
    """The tree with these files in it, in place of those of the same name; folders are made as needed.

    No file may be where the tree has a folder, or the other way round. `seen` holds folders of this very tree
    that were read before, and gets those that are read now.
    """
    by_folder: dict[bytes, Entries] = {b"": {}}
    for file in files:
        folder, _, name = os.fsencode(file.path).rpartition(b"/")
        for each in (folder, *_folders_above(folder)):
            by_folder.setdefault(each, {})
        by_folder[folder][name] = (file.mode.lstrip("0").encode(), bytes.fromhex(file.blob))
    if unseen := [folder for folder in by_folder if folder not in seen]:
        seen.update(_read_folders(git, tree, unseen))
    for folder in sorted(by_folder, key=lambda path: path.count(b"/") if path else -1, reverse=True):
        body = _tree_body({**seen[folder], **by_folder[folder]})
        if not folder:
            return Tree(write_object(git, "tree", body))
        above, _, name = folder.rpartition(b"/")
        by_folder[above][name] = (_FOLDER, bytes.fromhex(write_object(git, "tree", body)))
    return tree


def _read_folders(git: Git, tree: Tree, folders: Sequence[bytes]) -> Mapping[bytes, Entries]:
    """The entries of these folders; of one that the tree does not have, none."""
    names = joined(f"{tree}:{os.fsdecode(folder)}" for folder in folders)
    output = git.tell("cat-file", "--batch=%(objecttype) %(objectsize)", "-z", stdin=names).stdout
    found: dict[bytes, Entries] = {folder: {} for folder in folders}
    place = 0
    for folder in folders:
        missing = b"%s:%s missing\n" % (tree.encode(), folder)
        if output.startswith(missing, place):
            place += len(missing)
            continue
        start = output.index(b"\n", place) + 1
        end = start + int(output[place : start - 1].partition(b" ")[2])
        found[folder] = _entries(output[start:end], len(hashed(git, "tree", b"").digest()))
        place = end + 1
    return found


def _entries(body: bytes, id_bytes: int) -> Entries:
    entries: Entries = {}
    place = 0
    while place < len(body):
        end = body.index(b"\0", place) + 1
        mode, _, name = body[place : end - 1].partition(b" ")
        place = end + id_bytes
        entries[name] = (mode, body[end:place])
    return entries


def _tree_body(entries: Entries) -> bytes:
    """Git sorts the entries of a folder by name, those of folders as if they ended with a slash."""
    order = sorted(entries, key=lambda name: name + b"/" if entries[name][0] == _FOLDER else name)
    return b"".join(b"%s %s\0%s" % (entries[name][0], name, entries[name][1]) for name in order)


def _folders_above(path: bytes) -> Iterable[bytes]:
    while path:
        path = path.rpartition(b"/")[0]
        yield path
