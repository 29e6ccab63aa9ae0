"""Paths that steps write to: below the slot, whatever the text or a symbolic link says."""

from pathlib import Path, PurePosixPath

from cli_multi_rapid.core.errors import UserError


def path_in_slot(slot: Path, text: str) -> Path:
    """The place of a relative path in the slot.

    Raises `UserError` for a path that leaves the slot (absolute, `..`, through a symbolic link), that is the
    slot itself, or that lies in git's own folder.
    """
    path = PurePosixPath(text)
    if not path.parts or "\0" in text:
        raise UserError(f"{text!r} is no path of a file in the worktree")
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{text!r} leads out of the worktree", hint="use a path from the repository's root")
    if any(part.lower() == ".git" for part in path.parts):
        raise UserError(f"{text!r} lies in git's own folder")
    place = slot / path
    if not place.resolve().is_relative_to(slot.resolve()):
        raise UserError(f"{text!r} leads out of the worktree through a symbolic link")
    return place


def write_text(slot: Path, path: str, text: str) -> None:
    """Write a file in the slot, with its folders; the text's line endings stay as they are.

    Raises `UserError` for a path outside the slot and for text that has no UTF-8 form.
    """
    place = path_in_slot(slot, path)
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UserError(f"the text for {path!r} cannot be written as UTF-8: {error.reason}") from error
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
