"""Derive the published schemas of our own JSON documents from the types that make them.

    .venv/bin/python -m scripts.output_schemas

writes `cli_multi_rapid/schema/published/`; a test holds the files against the types. The schemas of documents
that people write (plan, streams, phases, tools, config) are kept by hand.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

from cli_multi_rapid.cli.command_given import CommandDocument
from cli_multi_rapid.cli.config import SettingsDocument
from cli_multi_rapid.cli.coordination import CoordinationDocument
from cli_multi_rapid.cli.doctor import DoctorDocument
from cli_multi_rapid.cli.errors import ErrorDocument
from cli_multi_rapid.cli.events import EventList
from cli_multi_rapid.cli.init import InitDocument
from cli_multi_rapid.cli.logs import LogList
from cli_multi_rapid.cli.preview import PreviewDocument
from cli_multi_rapid.cli.queue_act import QueueCommandDocument
from cli_multi_rapid.cli.queue_add import AddDocument
from cli_multi_rapid.cli.queue_entry import EntryDocument
from cli_multi_rapid.cli.queue_process import ProcessDocument
from cli_multi_rapid.cli.schema import SchemaList
from cli_multi_rapid.cli.streams import StreamList
from cli_multi_rapid.cli.tools import ToolList
from cli_multi_rapid.cli.transfer import ImportDocument
from cli_multi_rapid.cli.worktrees import CleanDocument, SlotList
from cli_multi_rapid.core.facts import RunStatus
from cli_multi_rapid.core.node_state import MergeStatus, NodeStatus
from cli_multi_rapid.reports.cost import CostDocument, LedgerLine
from cli_multi_rapid.reports.document import RunReport
from cli_multi_rapid.reports.events_text import EventDocument
from cli_multi_rapid.reports.queue_text import QueueDocument
from cli_multi_rapid.reports.replay import RunDiff
from cli_multi_rapid.reports.run_list import RunList
from cli_multi_rapid.reports.status import StatusDocument
from cli_multi_rapid.reports.verification import VerificationReport

FOLDER: Final = Path(__file__).resolve().parent.parent / "cli_multi_rapid" / "schema" / "published"
Schema = dict[str, Any]

OUTPUTS: Final[Mapping[str, tuple[str, type]]] = {
    "cleaned": ("Cleaned worktrees", CleanDocument),
    "command": ("Command given", CommandDocument),
    "coordination": ("Coordination report", CoordinationDocument),
    "cost": ("Cost", CostDocument),
    "diff": ("Difference of two points of a run", RunDiff),
    "doctor": ("Findings of doctor", DoctorDocument),
    "error": ("Error", ErrorDocument),
    "event": ("Event", EventDocument),
    "events": ("Events", EventList),
    "imported": ("Imported run", ImportDocument),
    "init": ("Files of init", InitDocument),
    "ledger_line": ("Ledger line", LedgerLine),
    "logs": ("Logs", LogList),
    "preview": ("Preview", PreviewDocument),
    "queue": ("Queue", QueueDocument),
    "queue_added": ("Entries added to a queue", AddDocument),
    "queue_command": ("Command to a queue", QueueCommandDocument),
    "queue_entry": ("Entry of a queue", EntryDocument),
    "queue_processed": ("Result of queue process", ProcessDocument),
    "report": ("Run report", RunReport),
    "runs": ("Runs", RunList),
    "schema_list": ("Published schemas", SchemaList),
    "settings": ("Settings", SettingsDocument),
    "status": ("Status", StatusDocument),
    "stream_list": ("Streams and their phases", StreamList),
    "tool_list": ("Tools", ToolList),
    "verification": ("Verification report", VerificationReport),
    "worktrees": ("Worktrees", SlotList),
}
"""Name of the schema to its title and type."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "ledger_line": ("ts", "task_id", "tool", "action", "tokens", "amount"),
    "verification": ("verification_id", "timestamp", "checks", "overall_status", "summary"),
}
"""Documents that earlier tools wrote too, with fewer keys."""

_RUN_STATUS: Final[Schema] = {"enum": [status.value for status in RunStatus]}
_NODE_STATUS: Final[Schema] = {"enum": [status.value for status in NodeStatus]}
_MERGE_STATUS: Final[Schema] = {"enum": [status.value for status in MergeStatus]}
_TIME: Final[Schema] = {"format": "date-time"}

NARROWER: Final[Mapping[tuple[str, str], Schema]] = {
    ("*", "schema_version"): {"const": 1},
    ("RunReport", "status"): _RUN_STATUS,
    ("StatusDocument", "status"): _RUN_STATUS,
    ("RunLine", "status"): _RUN_STATUS,
    ("NodeReport", "status"): _NODE_STATUS,
    ("NodeReport", "merge_status"): {"enum": [None, *_MERGE_STATUS["enum"]]},
    ("QueueLine", "status"): _MERGE_STATUS,
    ("EventDocument", "time"): _TIME,
    ("EventDocument", "seq"): {"minimum": 1},
    ("*", "created_at"): _TIME,
    ("*", "completed_at"): _TIME,
    ("*", "start_time"): _TIME,
    ("*", "end_time"): _TIME,
}
"""What the type cannot say, by type (`*`: every one) and key."""


def schema_of(name: str) -> Schema:
    """The whole schema of one output."""
    title, type_ = OUTPUTS[name]
    definitions: dict[str, Schema] = {}
    body = _typed_dict(type_, definitions, REQUIRED.get(name))
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:cli-orchestrator:schema:{name}:1",
        "title": title,
        **body,
    }
    return {**schema, "$defs": definitions} if definitions else schema


def text_of(name: str) -> str:
    """The file's text."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def _typed_dict(
    type_: type, definitions: dict[str, Schema], required: tuple[str, ...] | None = None
) -> Schema:
    hints = get_type_hints(type_)
    return {
        "description": " ".join((type_.__doc__ or "").split()),
        "type": "object",
        "required": list(required or hints),
        "properties": {
            key: {
                **_of(hint, definitions),
                **NARROWER.get(("*", key), {}),
                **NARROWER.get((type_.__name__, key), {}),
                "description": _description(key),
            }
            for key, hint in hints.items()
        },
    }


def _of(hint: Any, definitions: dict[str, Schema]) -> Schema:
    if is_typeddict(hint):
        name = hint.__name__
        if name not in definitions:
            definitions[name] = {}  # a type may hold itself
            definitions[name] = _typed_dict(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _union([_of(part, definitions) for part in get_args(hint)])
    if origin is list:
        return {"type": "array", "items": _of(get_args(hint)[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(get_args(hint)[1], definitions)}
    return {} if hint in (Any, object) else {"type": _SIMPLE[hint]}


_SIMPLE: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
}


def _union(parts: list[Schema]) -> Schema:
    if all(set(part) == {"type"} for part in parts):
        return {"type": [part["type"] for part in parts]}
    return {"anyOf": parts}


def _description(key: str) -> str:
    return DESCRIPTIONS.get(key) or key.replace("_", " ").capitalize() + "."


DESCRIPTIONS: Final[Mapping[str, str]] = {
    "action": "What was done.",
    "after": "The value after.",
    "asks": "Whether nothing goes on before the next command is typed; else it shows more.",
    "carried": "Entries that took the place of those that depended on a replaced one.",
    "delayed": "Entries in line that land later.",
    "depends_on": "Entries that must land first.",
    "landing_estimates": "By node that waits for the merge queue: how long until it is decided.",
    "later_s": "Seconds at P50 of the entry that loses most; null: nothing has been measured yet.",
    "newer_commits": "Commits that the branch has got since it was queued: they are not part of it.",
    "no_estimate": "Why there is no estimate.",
    "overtaken": "Checks under way that may have to be run again.",
    "p50_s": "Seconds, kept in half of the cases.",
    "p90_s": "Seconds, kept in nine of ten cases.",
    "partners": "The other entries in the same tree.",
    "replaces": "Entries that it took the place of.",
    "solo": "Whether it is checked and landed in a train of its own.",
    "tried": "Every tree that held it, the latest last.",
    "urgent": "Whether it goes to the head of the line.",
    "urgent_cost": "What urgent entries cost the others; null: none was asked for.",
    "alive": "Whether a process has the run in hand.",
    "amount": "Dollars.",
    "amount_usd": "Dollars.",
    "assumed_usd": "The part that is assumed, because the end of an attempt was not seen.",
    "artifacts_generated": "Files that were written for this run.",
    "assessment": "How hard, risky and certain a request is.",
    "attempt": "The attempt.",
    "attempts": "Each try.",
    "base": "The commit that the run started from.",
    "before": "The value before.",
    "blocked_by": "The node whose failure blocks this one.",
    "branch": "The lane that holds its work.",
    "branches_merged": "Lanes that landed.",
    "breakdown": "Dollars by tool.",
    "budget_remaining_usd": "The limit less what is spent.",
    "budget_usd": "The limit in dollars.",
    "by": "What the sums are of.",
    "causation_id": "The event that caused it.",
    "changes": "What differs.",
    "checks": "The checks, or what they found.",
    "command": "What to type.",
    "commit": "The head of the lane.",
    "completed_at": "When it ended; null while it runs.",
    "coordination_id": "The correlation id: the plan's, else the run's own.",
    "correlation_id": "The id from outside.",
    "cost_summary": "The money.",
    "cost_usd": "What it cost in dollars.",
    "counts": "Nodes by status, and landed ones.",
    "created_at": "When the run began.",
    "data": "The fields of the type.",
    "defined": "Whether a phase file defines it.",
    "deps": "The nodes it waited for.",
    "driven_by": "Who carries it out; null: nobody heard of it yet.",
    "duration_min": "Minutes from begin to end.",
    "end_time": "When it ended.",
    "estimate": "What it is expected to take.",
    "event_seq": "The place of the command's event.",
    "evidence": "The lines of the output that tell most.",
    "error": "What went wrong.",
    "exit_code": "Of a run: 0 landed, 1 something failed, 2 wrong input, "
    "3 budget, 4 waits for a person, 5 environment, 70 a bug, 130 interrupted. Null: not ended.",
    "failure": "The class of the failure.",
    "failures": "What failed.",
    "file": "The file.",
    "files": "The files it changed.",
    "files_changed": "Distinct files.",
    "files_modified": "How many files it changed.",
    "fits": "Whether the estimate fits the budget.",
    "group": "Place of the group in the order, from 1.",
    "group_kind": "parallel or sequential.",
    "groups": "The sums.",
    "halted": "Why the queue stands still; null: it goes on.",
    "id": "Its id.",
    "implied_edges": "Orders that come from claims.",
    "label": "One line for people.",
    "landed_commit": "The commit of the target that brought its work.",
    "landings": "Every move of the target.",
    "last_seq": "The last event that is counted in.",
    "lines_added": "Lines.",
    "lines_removed": "Lines.",
    "log": "The file with the output.",
    "merge_conflicts": "Lanes that did not merge.",
    "merge_reason": "Why the queue decided so.",
    "merge_status": "Where its work stands in the merge queue; null: nothing to land.",
    "merge_summary": "What the merge queue did.",
    "metrics": "Figures.",
    "model": "The model.",
    "name": "Its name.",
    "next": "What happens next, or what a person must type.",
    "next_command": "What a person must type.",
    "node": "The node.",
    "node_id": "The node's id.",
    "nodes": "The nodes in plan order, or how many there are.",
    "order": "The order of dispatch among ready nodes.",
    "overall_status": "PASSED or FAILED.",
    "owner": "Who does the phases.",
    "parallel_efficiency": "How much ran side by side.",
    "paths": "Globs that the stream owns.",
    "paused": "Whether no new attempts start.",
    "phases": "The phases in order.",
    "plan_id": "The plan that was run.",
    "position": "Place in line, from 1; null: it has left the queue.",
    "pre_merge_checks_passed": "Of these, passed.",
    "pre_merge_checks_run": "Checks that were run.",
    "processing_history": "What has left the queue.",
    "quality_metrics": "What landed, in figures.",
    "queue": "What waits, in order.",
    "reason": "Why it ended so.",
    "recommendations": "What to do next.",
    "recovered": "Whether it was found after a crash.",
    "reported_at": "When this report was made.",
    "repository": "The repository's folder.",
    "reserved_usd": "Reserved for what runs now.",
    "reused": "Whether the verdict was known already.",
    "role": "wt: changes files; ipt: plans or verifies.",
    "run": "The run.",
    "run_id": "The run.",
    "runs": "The most recent first.",
    "schema_version": "Grows when a key changes its meaning; keys are only ever added.",
    "security_issues": "Of the last security check.",
    "seq": "The place in the stream, without gaps.",
    "since": "From when on.",
    "source": "Where it comes from.",
    "start_time": "When it began.",
    "status": "Where it stands.",
    "stream": "The stream of its phase.",
    "streams": "The streams in the file's order.",
    "subject": "run, or a node's id.",
    "summary": "In words.",
    "target": "The branch that work lands on.",
    "task_id": "The node.",
    "test_coverage_pct": "Of the last coverage check.",
    "tests_added": "Tests.",
    "text": "In words.",
    "time": "UTC.",
    "timestamp": "When it was made.",
    "times_run": "How often it was started on this tree.",
    "tokens": "Input and output together.",
    "tokens_used": "Input and output tokens together.",
    "tool": "The tool of the last attempt.",
    "total_duration_min": "Minutes from begin to end.",
    "total_usd": "Dollars in all.",
    "total_used_usd": "Spent so far.",
    "trains": "Landings.",
    "tree": "The exact tree.",
    "ts": "Seconds since 1970.",
    "type": "Dotted, in the past tense, such as node.succeeded.",
    "until": "Until when.",
    "updated_at": "When something last happened.",
    "utilization_pct": "Spent part of the limit.",
    "verdict": "passed, failed, error or timed_out; null: begun, and its end is not known.",
    "verdicts_reused": "Checks that were known already.",
    "verification_id": "Its id.",
    "version": "The version of the fields of this type.",
    "waits": "What it waited for, and how long.",
    "waits_for": "What must be done before.",
    "warnings": "What a person should know of it.",
    "what": "What differs or is waited for.",
    "workers": "How many nodes could run at once.",
    "workflow_name": "The plan's name.",
    "workstream_id": "The workstream of the run.",
}
"""What a key means, wherever it stands."""


def main(show: Callable[[str], None] = print) -> None:
    """Write every file."""
    for name in OUTPUTS:
        (FOLDER / f"{name}.json").write_text(text_of(name), encoding="utf-8")
        show(f"{name}.json")


if __name__ == "__main__":
    main()
