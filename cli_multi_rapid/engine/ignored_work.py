"""Work that git ignores: what a node wrote inside its claims and what does not become part of its commit."""

from collections.abc import Collection, Sequence

from cli_multi_rapid.core.claims import parse_glob
from cli_multi_rapid.core.plan import Node
from cli_multi_rapid.worktrees import Slot, Worktrees

_MOST_NAMES = 5
_ADVICE = "name each file under outputs to take it, or change what .gitignore says"


def ignored_work(
    worktrees: Worktrees, slot: Slot, node: Node, taken: Collection[str], litter: Sequence[str]
) -> tuple[str, ...]:
    """The ignored files inside the node's claims (without claims: all), but those that were `taken`."""
    claims = [parse_glob(claim.path) for claim in node.path_claims if claim.writes]
    if node.path_claims and not claims:
        return ()
    folders = ["/".join(claim.literal_prefix) for claim in claims]
    found = worktrees.ignored(slot, folders if all(folders) else (), litter)
    return tuple(
        path
        for path in found
        if path not in taken and (not claims or any(claim.matches(path) for claim in claims))
    )


def ignored_warning(paths: Sequence[str]) -> tuple[str, ...]:
    """What to say of ignored work; nothing when there is none."""
    if not paths:
        return ()
    return (f"git ignores {shown_few(paths)}: not part of the work; {_ADVICE}",)


def ignored_outputs(outputs: Sequence[str], ignored: Sequence[str]) -> str:
    """Why declared outputs with wildcards found nothing: all that they match is ignored. Else empty."""
    for glob in map(parse_glob, outputs):
        if hidden := [path for path in ignored if glob.matches(path)]:
            return f"its output {glob.text} is there, but git ignores {shown_few(hidden)}; {_ADVICE}"
    return ""


def shown_few(paths: Sequence[str]) -> str:
    """The first names, and how many there are beside them."""
    more = f" and {len(paths) - _MOST_NAMES} more" if len(paths) > _MOST_NAMES else ""
    return f"{', '.join(paths[:_MOST_NAMES])}{more}"
