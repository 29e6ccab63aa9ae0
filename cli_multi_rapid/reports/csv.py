"""The nodes of a run as CSV, one line each, for spreadsheets."""

import csv
import io
from typing import Final

from cli_multi_rapid.reports.document import NodeReport, RunReport
from cli_multi_rapid.reports.safe_text import cell, one_line

COLUMNS: Final = (
    "run_id", "node_id", "label", "tool", "role", "status", "merge_status", "reason", "attempts",
    "start_time", "end_time", "duration_min", "tokens_used", "cost_usd", "files_modified",
    "lines_added", "lines_removed", "branch", "commit", "landed_commit",
)  # fmt: skip
"""The header line."""


def csv_report(report: RunReport) -> str:
    """RFC 4180: CRLF line ends, quotes where needed."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_value(value) for value in _row(report, node)] for node in report["nodes"])
    return text.getvalue()


def _value(value: object) -> object:
    if value is None:
        return ""
    return cell(one_line(value)) if isinstance(value, str) else value


def _row(report: RunReport, node: NodeReport) -> tuple[object, ...]:
    return (
        report["run_id"],
        node["node_id"],
        node["label"],
        node["tool"],
        node["role"],
        node["status"],
        node["merge_status"],
        node["reason"],
        len(node["attempts"]),
        node["start_time"],
        node["end_time"],
        node["duration_min"],
        node["tokens_used"],
        node["cost_usd"],
        node["files_modified"],
        sum(file["added"] for file in node["files"]),
        sum(file["removed"] for file in node["files"]),
        node["branch"],
        node["commit"],
        node["landed_commit"],
    )
