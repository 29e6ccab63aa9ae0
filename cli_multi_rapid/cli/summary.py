"""How a run ended, on one screen: what landed, what did not and why, the cost, and what to type next."""

from collections.abc import Iterator
from pathlib import Path

from cli_multi_rapid.cli.output import shown_path
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.reports.document import NodeReport, RunReport
from cli_multi_rapid.reports.node_report import kept_where
from cli_multi_rapid.reports.safe_text import one_line
from cli_multi_rapid.reports.spent import cost_notes
from cli_multi_rapid.reports.status import next_lines
from cli_multi_rapid.reports.times import span

_MOST_NODES = 40
"""Of one kind; the report has them all."""
_REASON = 160
_WARNING = 300


def run_summary(report: RunReport, path: Path) -> str:
    """The text that ends `execute` and `resume`."""
    took = span(report["total_duration_min"] * 60)
    lines = [f"{report['run_id']} {report['status']} in {took}: {one_line(report['reason'])}"]
    good = [node for node in report["nodes"] if _is_done(node)]
    bad = [node for node in report["nodes"] if not _is_done(node)]
    lines += _some([_with_warnings(_good_line(node), node) for node in good], "done")
    lines += _some([_with_warnings(_bad_line(node), node) for node in bad], "not done")
    lines += [
        _cost_line(report),
        *next_lines(report["next"], RunId(report["run_id"])),
        f"report: {shown_path(path)}",
    ]
    return "\n".join(lines)


def _is_done(node: NodeReport) -> bool:
    return node["status"] == "completed" and node["merge_status"] in (None, "MERGED")


def _good_line(node: NodeReport) -> str:
    if node["landed_commit"]:
        count = node["files_modified"]
        what = f"landed in {node['landed_commit'][:8]} ({count} {'file' if count == 1 else 'files'})"
    else:
        what = "done, nothing to land"
    return f"  + {node['node_id']}  {what}  {one_line(node['label'], 60)}"


def _bad_line(node: NodeReport) -> str:
    word = node["merge_status"] if node["status"] == "completed" else node["status"]
    reason = one_line(node["reason"], _REASON)
    where = kept_where(node)
    kept = f"; kept {where}" if where else ""
    return f"  ! {node['node_id']}  {word}{f': {reason}' if reason else ''}{kept}"


def _with_warnings(line: str, node: NodeReport) -> str:
    """A line with what its node was warned of, one below the other."""
    warnings = [f"      warning: {one_line(warning, _WARNING)}" for warning in node["warnings"]]
    return "\n".join([line, *warnings])


def _some(lines: list[str], what: str) -> Iterator[str]:
    yield from lines[:_MOST_NODES]
    if len(lines) > _MOST_NODES:
        yield f"  and {len(lines) - _MOST_NODES} more {what}: see the report"


def _cost_line(report: RunReport) -> str:
    cost = report["cost_summary"]
    budget = cost["budget_usd"]
    limit = "no budget" if budget is None else f"of a budget of ${budget:.2f}"
    return "; ".join([f"cost: ${cost['total_used_usd']:.2f}, {limit}", *cost_notes(cost)])
