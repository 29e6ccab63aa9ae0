"""What a slot holds and git ignores: no part of a snapshot unless it is declared as an output."""

from collections.abc import Sequence

from cli_multi_rapid.git_command import Git, split
from cli_multi_rapid.git_slot import SlotFiles


def ignored_files(
    git: Git, files: SlotFiles, below: Sequence[str], excluded: Sequence[str]
) -> tuple[str, ...]:
    """The untracked files that the slot's `.gitignore` files or the person's excludes hide.

    `below`: the folders or files to look at; none of them: the whole slot. `excluded`: pathspecs with magic.
    Empty when the slot is gone.
    """
    if not files.is_there():
        return ()
    ours = git.for_slot(work_tree=files.work_tree, index=files.index)
    wanted = [f":(top,literal){path}" for path in below] or ["."]
    options = ("--others", "--ignored", "--exclude-standard", "-z")
    found = ours.ask("ls-files", *options, "--", *wanted, *excluded)
    return tuple(split(found.stdout)) if found.ok else ()
