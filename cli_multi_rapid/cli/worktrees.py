"""`worktrees list` and `worktrees clean`: the folders in which attempts work."""

from collections.abc import Sequence
from typing import TypedDict

import click

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.reports import commands
from cli_multi_rapid.reports.document import SCHEMA_VERSION
from cli_multi_rapid.reports.times import span
from cli_multi_rapid.worktree_slots import slot_name


class SlotDocument(TypedDict):
    """A worktree. `state`: `active`, `kept`, `orphaned` or `pooled`; `unsaved`: what would be lost."""

    name: str
    state: str
    age_s: float
    base: str | None
    path: str
    unsaved: str


class SlotList(TypedDict):
    """The document of `worktrees list`."""

    schema_version: int
    worktrees: list[SlotDocument]


class KeptSlot(TypedDict):
    """A worktree that was not removed, and why."""

    name: str
    reason: str


class CleanDocument(TypedDict):
    """The document of `worktrees clean`."""

    schema_version: int
    removed: list[str]
    kept: list[KeptSlot]


@click.group(epilog=examples("worktrees list", "worktrees clean"))
def worktrees() -> None:
    """List and clean the worktrees of attempts and checks."""


@worktrees.command("list", epilog=examples("worktrees list", "worktrees list --format json"))
@format_option
@place_options
def list_worktrees(place: Place, format_: Format) -> None:
    """List the worktrees: in use, kept for you, left behind by a dead process, or pooled for the next."""
    from cli_multi_rapid.wiring import open_workshop
    from cli_multi_rapid.worktrees import SlotState

    with open_workshop(place.repo, place.home) as shop:
        slots = [
            SlotDocument(
                name=info.name,
                state=info.state,
                age_s=round(info.age_s, 1),
                base=info.base,
                path=str(info.path),
                unsaved=""
                if info.state in (SlotState.ACTIVE, SlotState.POOLED)
                else shop.worktrees.unsaved(info.name),
            )
            for info in shop.worktrees.list()
        ]
    if format_ is Format.JSON:
        print_json(SlotList(schema_version=SCHEMA_VERSION, worktrees=slots))
    else:
        print_text(_list_text(slots))


def _list_text(slots: Sequence[SlotDocument]) -> str:
    if not slots:
        return "there are no worktrees"
    lines = []
    for slot in sorted(slots, key=lambda slot: (slot["state"] == "pooled", slot["name"])):
        note = f"  {slot['unsaved']}" if slot["unsaved"] else ""
        lines.append(f"{slot['state']:8} {span(slot['age_s']):>12}  {slot['name']}{note}")
        lines += [] if slot["state"] == "pooled" else [f"{'':23}{slot['path']}"]
    loose = [slot for slot in slots if slot["state"] in ("kept", "orphaned")]
    if loose:
        lines += [
            "next: remove what holds nothing that a branch lacks",
            "        cli-orchestrator worktrees clean",
        ]
    return "\n".join(lines)


def _users_of_slots() -> dict[str, str]:
    """The slots of attempts whose processes live, each with the reason to leave it alone."""
    from cli_multi_rapid.process_table import living_processes, marker_of, self_and_ancestors

    spared = self_and_ancestors()
    found: dict[str, str] = {}
    for process in living_processes():
        parts = [] if process.pid in spared else marker_of(process).split("/")
        if len(parts) == 3 and parts[2].isdecimal():
            run_id, node_id = RunId(parts[0]), NodeId(parts[1])
            found.setdefault(
                slot_name(run_id, node_id, int(parts[2])),
                f"in use by pid {process.pid} of run {run_id}, which nobody drives; "
                f"type: {commands.resume(run_id)}, or end it: kill {process.pid}",
            )
    return found


@worktrees.command(epilog=examples("worktrees clean", "worktrees clean --force   # also unsaved work"))
@click.option("--force", is_flag=True, help="Also remove work that no branch has")
@format_option
@place_options
def clean(place: Place, format_: Format, force: bool) -> None:
    """Remove kept, left-behind and pooled worktrees; never one in use.

    One that holds changes which no branch has stays, unless --force. One that a process of a dead run still
    works in stays as well: `resume` ends that process, saves its work and goes on.
    """
    from cli_multi_rapid.wiring import open_workshop

    with open_workshop(place.repo, place.home) as shop:
        cleaned = shop.worktrees.clean(force=force, users=_users_of_slots())
        shop.worktrees.empty_trash()
    kept = [KeptSlot(name=name, reason=reason) for name, reason in cleaned.kept]
    if format_ is Format.JSON:
        print_json(CleanDocument(schema_version=SCHEMA_VERSION, removed=list(cleaned.removed), kept=kept))
        return
    lines = [f"removed {len(cleaned.removed)} worktrees"]
    lines += [f"kept {slot['name']}: {slot['reason']}" for slot in kept]
    if any(not slot["reason"].startswith("in use") for slot in kept):
        lines += [
            "next: look at them, or remove them with what they hold",
            "        cli-orchestrator worktrees clean --force",
        ]
    print_text("\n".join(lines))
