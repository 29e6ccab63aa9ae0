"""What an entry was judged by: every tree that held it, with whom, and what each check said there."""

from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import CheckId, EntryId, Tree
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted, MergeChecking
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.times import span

_MOST_TREES: Final = 5
"""As many as a text shows, the latest."""
_SHORT: Final = 10


class TriedCheck(TypedDict):
    """One check on one tree. `verdict` null: it is under way, or was called off."""

    check: str
    verdict: str | None
    reason: str
    exit_code: int | None
    duration_s: float
    log: str
    reused: bool
    times_run: int


class TriedTree(TypedDict):
    """A tree that held the entry. `partners`: the others that were not on the target yet, the last time."""

    tree: str
    commit: str
    partners: list[str]
    checks: list[TriedCheck]


def tried_trees(events: Sequence[Event], entry_id: EntryId) -> list[TriedTree]:
    """The trees that an entry was tried on, the latest last."""
    trees: dict[Tree, TriedTree] = {}
    checks: dict[tuple[Tree, CheckId], TriedCheck] = {}
    for event in events:
        match event.data:
            case MergeChecking(entries=entries, tree=tree) as built if entry_id in entries:
                before = trees.pop(tree, None)  # tried again, perhaps with fewer: the latest is the last
                partners = [str(name) for name in entries if name != entry_id]
                found = before["checks"] if before else []
                trees[tree] = TriedTree(tree=tree, commit=built.commit, partners=partners, checks=found)
            case CheckStarted(tree=tree, check=check, log=log) if tree in trees:
                tried = _check_of(trees[tree], checks, tree, check)
                times = tried["times_run"] + 1
                tried.update({"verdict": None, "reused": False, "times_run": times, "log": log})
            case CheckFinished(tree=tree, check=check) as ended if tree in trees:
                tried = _check_of(trees[tree], checks, tree, check)
                tried["verdict"], tried["reason"], tried["reused"] = ended.verdict, ended.reason, ended.reused
                tried["exit_code"], tried["duration_s"] = ended.exit_code, ended.duration_s
                tried["log"] = ended.log
            case _:
                pass
    return list(trees.values())


def _check_of(
    tree: TriedTree, checks: dict[tuple[Tree, CheckId], TriedCheck], tree_id: Tree, check: CheckId
) -> TriedCheck:
    key = (tree_id, check)
    if key not in checks:
        checks[key] = TriedCheck(
            check=check,
            verdict=None,
            reason="",
            exit_code=None,
            duration_s=0.0,
            log="",
            reused=False,
            times_run=0,
        )
        tree["checks"].append(checks[key])
    return checks[key]


def evidence_lines(trees: Sequence[TriedTree]) -> Iterator[str]:
    """The latest trees for a terminal."""
    if len(trees) > _MOST_TREES:
        yield f"and {len(trees) - _MOST_TREES} earlier trees: see --format json"
    for tree in trees[-_MOST_TREES:]:
        beside = f"with {', '.join(tree['partners'])}" if tree["partners"] else "alone"
        yield f"tree {tree['tree'][:_SHORT]}, commit {tree['commit'][:_SHORT]}, {beside}"
        for check in tree["checks"]:
            yield f"  {_check_text(check)}"
            if check["log"]:
                yield f"    {check['log']}"


def _check_text(check: TriedCheck) -> str:
    code = "" if check["exit_code"] is None else f", exit code {check['exit_code']}"
    if check["verdict"] is None:
        how = "under way, or called off"
    elif check["reused"]:
        how = f"{check['verdict']}, known from before"
    else:
        times = "once" if check["times_run"] == 1 else f"{check['times_run']} times"
        how = f"{check['verdict']}{code}, after {span(check['duration_s'])}, run {times}"
    return f"{one_line(check['check'])}: {how}"
