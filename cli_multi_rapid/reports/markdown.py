"""The run report in Markdown, as a step summary of CI and for pull requests."""

import re
from collections.abc import Iterable, Iterator, Sequence

from cli_multi_rapid.reports.amendments import waived_findings
from cli_multi_rapid.reports.document import NodeReport, RunReport
from cli_multi_rapid.reports.efficiency import speed_up
from cli_multi_rapid.reports.graph import graph_mermaid, graph_of_report
from cli_multi_rapid.reports.safe_text import one_line, printable
from cli_multi_rapid.reports.spent import cost_notes, dollars
from cli_multi_rapid.reports.times import span
from cli_multi_rapid.reports.tone import Tone, tone_of_node

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!@&])")
_MOST_DRAWN = 100
"""Nodes. Sites that draw mermaid refuse larger graphs."""


def markdown_report(report: RunReport) -> str:
    """The page. It is made of the report alone, so that a stored report can be shown again."""
    parts = [
        f"# {escape(report['workflow_name'] or report['run_id'])}: {escape(report['status'])}",
        _intro(report),
        _next(report),
        _nodes(report),
        _amendments(report),
        _waived(report),
        _choices(report),
        _troubles(report),
        _graph(report),
        _checks(report),
        _figures(report),
        _artifacts(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """A text on one line in which nothing is markup."""
    return _SPECIAL.sub(r"\\\1", one_line(text))


def code(text: str) -> str:
    """A text as code, fenced by more backticks than it holds."""
    line = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def code_block(text: str, language: str = "") -> str:
    """Lines as code, fenced by more backticks than they hold."""
    lines = printable(text).strip("\n")
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", lines)), default=0) + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are escaped already; nothing when there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines])


def _intro(report: RunReport) -> str:
    cost, merge = report["cost_summary"], report["merge_summary"]
    budget = (
        "" if cost["budget_usd"] is None else f" of ${cost['budget_usd']:.2f} ({cost['utilization_pct']} %)"
    )
    when = f"{report['created_at']} to {report['completed_at'] or 'now'}"
    plan, target = code(report["plan_id"]), code(report["target"] or "-")
    took = span(report["total_duration_min"] * 60)
    lines = [
        f"Run {code(report['run_id'])} of plan {plan} into {target}, {when}, {took}.",
        f"{escape(report['reason'])}." if report["reason"] else "",
        f"{merge['branches_merged']} branches landed in {merge['trains']} trains.",
        f"{merge['merge_conflicts']} conflicts. ${cost['total_used_usd']:.2f}{budget} spent.",
        *(f"{note}." for note in cost_notes(cost)),
    ]
    return "\n".join(line for line in lines if line)


def _next(report: RunReport) -> str:
    lines = []
    for step in report["next"]:
        lines.append(f"- {escape(step['text'])}")
        if step["command"]:
            lines.append("\n" + _indent(code_block(step["command"], "sh")))
    return "## Next\n\n" + "\n".join(lines) if lines else ""


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _nodes(report: RunReport) -> str:
    rows = (
        (
            escape(node["node_id"]),
            escape(one_line(node["label"], 80)),
            escape(_standing(node)),
            escape(node["tool"]),
            str(len(node["attempts"])),
            span(node["duration_min"] * 60),
            dollars(node["cost_usd"], 4),
            escape(one_line(node["reason"], 160)),
        )
        for node in report["nodes"]
    )
    head = ("node", "label", "status", "tool", "tries", "time", "cost", "reason")
    return f"## Nodes\n\n{table(head, rows)}" if report["nodes"] else ""


def _amendments(report: RunReport) -> str:
    """The nodes that were added to the running plan."""
    rows = (
        (
            str(past["round"]),
            past["kind"],
            escape(", ".join(past["nodes"])),
            escape(", ".join(past["again"])),
            escape(one_line(past["reason"], 300)),
        )
        for past in report.get("amendments", ())  # reports of earlier releases have none
    )
    body = table(("round", "kind", "added", "verified again", "because"), rows)
    return f"## Added nodes\n\n{body}" if body else ""


def _waived(report: RunReport) -> str:
    """What a person has overruled of the last verdicts."""
    rows = (
        (
            escape(finding["id"]),
            escape(one_line(finding["summary"], 300)),
            escape(waiver["by"]),
            waiver["time"],
            escape(one_line(waiver["reason"], 300)),
        )
        for finding, waiver in waived_findings(report)
    )
    body = table(("finding", "says", "overruled by", "at", "because"), rows)
    return f"## Overruled findings\n\n{body}" if body else ""


def _choices(report: RunReport) -> str:
    """Why each attempt had its tool, and how it ended."""
    rows = (
        (
            escape(node["node_id"]),
            str(attempt["number"]),
            escape(attempt["tool"]),
            escape(one_line(attempt["tool_reason"], 300)),
            attempt["outcome"],
            "" if attempt["outcome"] == "succeeded" else escape(one_line(attempt["reason"], 160)),
        )
        for node in report["nodes"]
        for attempt in node["attempts"]
    )
    body = table(("node", "try", "tool", "why this tool", "outcome", "because"), rows)
    return f"## Tools\n\n{body}" if body else ""


def _standing(node: NodeReport) -> str:
    return " ".join(word for word in (node["status"], node["merge_status"]) if word)


def _troubles(report: RunReport) -> str:
    """What did not get there, with its branch and its evidence."""
    parts = [
        "\n\n".join(_trouble(node))
        for node in report["nodes"]
        if tone_of_node(node["status"], node["merge_status"]) in (Tone.BAD, Tone.ASKS)
    ]
    return "## What did not get there\n\n" + "\n\n".join(parts) if parts else ""


def _trouble(node: NodeReport) -> Iterator[str]:
    yield f"### {escape(node['node_id'])}: {escape(_standing(node))}"
    if node["reason"]:
        yield escape(node["reason"])
    if node["branch"]:
        yield f"Its work is on {code(node['branch'])}" + (
            f" at {code(node['commit'])}." if node["commit"] else "."
        )
    elif node["slot"]:
        yield f"Its work is in {code(node['slot'])}, which no branch could take."
    if node["merge_files"]:
        lead = "Conflicting files" if node["merge_status"] == "CONFLICTED" else "Files to look at"
        yield f"{lead}: " + ", ".join(code(path) for path in node["merge_files"])
    evidence = node["merge_evidence"] or (node["attempts"][-1]["evidence"] if node["attempts"] else "")
    if evidence:
        yield code_block(evidence)
    if node["attempts"]:
        yield f"Log: {code(node['merge_log'] or node['attempts'][-1]['log'])}"


def _graph(report: RunReport) -> str:
    if not 0 < len(report["nodes"]) <= _MOST_DRAWN:
        return ""
    return "## Graph\n\n" + code_block(graph_mermaid(graph_of_report(report)), "mermaid")


def _checks(report: RunReport) -> str:
    rows = [
        (
            escape(check["check"]),
            check["verdict"] or "not finished",
            escape(", ".join(check["nodes"] or check["entries"])),
            code(check["tree"][:10]),
            f"reused from {code(check['log'])}" if check["reused"] else span(check["duration_s"]),
        )
        for check in report["checks"]
    ]
    body = table(("check", "verdict", "nodes", "tree", "time"), rows)
    return f"## Checks\n\n{body}" if body else ""


def _figures(report: RunReport) -> str:
    quality, speed = report["quality_metrics"], report["parallel_efficiency"]
    rows = [
        ("files changed", str(quality["files_changed"])),
        ("lines", f"+{quality['lines_added']} -{quality['lines_removed']}"),
        ("test files added", str(quality["tests_added"])),
        ("test coverage", _known(quality["test_coverage_pct"], " %")),
        ("security issues", _known(quality["security_issues"])),
        ("speed-up by working side by side", f"{speed_up(speed) or 'not known'}, {escape(speed['note'])}"),
        *(
            (f"cost of {escape(tool)}", f"${usd:.6f}")
            for tool, usd in report["cost_summary"]["breakdown"].items()
        ),
    ]
    return "## Figures\n\n" + table(("", "value"), rows)


def _known(value: float | None, unit: str = "") -> str:
    return "not known" if value is None else f"{value}{unit}"


def _artifacts(report: RunReport) -> str:
    lines = [f"- {code(path)}" for path in report["artifacts_generated"]]
    return "## Files\n\n" + "\n".join(lines) if lines else ""
