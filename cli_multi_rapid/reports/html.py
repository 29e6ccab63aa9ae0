"""The run report as one HTML file: no scripts, no external resources, readable on a phone and in the dark."""

from collections.abc import Iterator

from cli_multi_rapid.reports.amendments import waived_findings
from cli_multi_rapid.reports.document import AttemptReport, NodeReport, RunReport
from cli_multi_rapid.reports.efficiency import speed_up
from cli_multi_rapid.reports.graph import graph_of_report
from cli_multi_rapid.reports.graph_svg import graph_svg
from cli_multi_rapid.reports.html_parts import STYLE, next_steps, pill, scroll, section, table, tile
from cli_multi_rapid.reports.safe_text import markup, one_line
from cli_multi_rapid.reports.spent import cost_notes, dollars
from cli_multi_rapid.reports.timeline import timeline_svg
from cli_multi_rapid.reports.times import span
from cli_multi_rapid.reports.tone import Tone, tone_of_node, tone_of_run, tone_of_verdict

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page needs nothing from anywhere; a text that slipped through could load nothing either."""


def html_report(report: RunReport) -> str:
    """The page. It is made of the report alone, so that a stored report can be shown again."""
    title = f"{report['workflow_name'] or report['run_id']}: {report['status']}"
    body = "".join(
        (
            _header(report),
            next_steps(report["next"], tone_of_run(report["status"])),
            _tiles(report),
            section("Graph", scroll(graph_svg(graph_of_report(report)), "Graph of the nodes")),
            section("Timeline", scroll(timeline_svg(report), "Timeline")),
            section("Nodes", _node_table(report) + "".join(_node_details(node) for node in report["nodes"])),
            section("Added nodes", _amendment_table(report)),
            section("Overruled findings", _waived_table(report)),
            section("Checks", _check_table(report)),
            section("Landings", _landing_table(report)),
            section("Cost", _cost_table(report)),
            section("Order from path claims", _edge_table(report)),
            section("Files", _artifact_list(report)),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{markup(one_line(title))}</title><style>{STYLE}</style></head><body><main>{body}</main>"
        f'<footer class="soft"><p>{markup(report["run_id"])} as of {report["reported_at"]}</p></footer>'
        "</body></html>\n"
    )


def _header(report: RunReport) -> str:
    facts = [f"run {report['run_id']}", f"plan {report['plan_id']}"]
    if report["coordination_id"] != report["run_id"]:
        facts.append(f"coordination {report['coordination_id']}")
    facts.append(f"target {report['target']}" if report["target"] else "not started")
    reason = f"<p>{markup(report['reason'])}</p>" if report["reason"] else ""
    return (
        f"<header><h1>{markup(one_line(report['workflow_name'] or report['run_id']))} "
        f"{pill(report['status'], tone_of_run(report['status']))}</h1>"
        f'<p class="soft">{markup(", ".join(facts))}<br>{markup(_when(report))}</p>{reason}</header>'
    )


def _when(report: RunReport) -> str:
    took = span(report["total_duration_min"] * 60)
    if report["completed_at"] is None:
        return f"began {report['created_at']}, {took} ago"
    return f"{report['created_at']} to {report['completed_at']}, {took}"


def _tiles(report: RunReport) -> str:
    nodes, cost, quality = report["nodes"], report["cost_summary"], report["quality_metrics"]
    merge, speed = report["merge_summary"], report["parallel_efficiency"]
    done = sum(
        1 for node in nodes if node["status"] == "completed" and node["merge_status"] in (None, "MERGED")
    )
    limit, used = cost["budget_usd"], cost["total_used_usd"]
    meter = (
        f'<meter min="0" max="{limit}" value="{used}" high="{limit * 0.8}" aria-label="budget used">'
        f"{cost['utilization_pct']} %</meter>"
        if limit
        else ""
    )
    spent = f"of ${limit:.2f}" if limit is not None else "spent, no limit"
    spent = "; ".join([spent, *cost_notes(cost)])
    checks = f"{merge['pre_merge_checks_passed']} of {merge['pre_merge_checks_run']}"
    return (
        '<div class="tiles">'
        + tile(f"{done} of {len(nodes)}", "nodes done and landed")
        + tile(f"${used:.2f}", spent, meter)
        + tile(span(report["total_duration_min"] * 60), "from start to end")
        + tile(checks, f"checks passed, {merge['verdicts_reused']} reused")
        + tile(
            f"+{quality['lines_added']} -{quality['lines_removed']}",
            f"lines in {quality['files_changed']} files",
        )
        + tile(speed_up(speed) or "-", f"speed-up by working side by side: {speed['note']}")
        + "</div>"
    )


# --- nodes --------------------------------------------------------------------------------------------------


def _standing(node: NodeReport) -> str:
    words = " ".join(word for word in (node["status"], node["merge_status"]) if word)
    return pill(words, tone_of_node(node["status"], node["merge_status"]))


def _node_table(report: RunReport) -> str:
    rows = (
        (
            f"<b>{markup(node['node_id'])}</b><br>{markup(one_line(node['label'], 80))}",
            _standing(node),
            markup(node["tool"]),
            str(len(node["attempts"])),
            span(node["duration_min"] * 60),
            dollars(node["cost_usd"], 4),
            f'<div class="wide">{markup(one_line(node["reason"], 200))}</div>',
        )
        for node in report["nodes"]
    )
    head = ("node", "status", "tool", "tries", "time", "cost", "reason")
    return table(head, rows, "Nodes", numbers=(3, 4, 5))


def _node_details(node: NodeReport) -> str:
    parts = "".join(_node_parts(node))
    is_open = " open" if tone_of_node(node["status"], node["merge_status"]) is Tone.BAD else ""
    if not parts:
        return ""
    summary = f"<summary><b>{markup(node['node_id'])}</b>{_standing(node)}</summary>"
    return f"<details{is_open}>{summary}{parts}</details>"


def _node_parts(node: NodeReport) -> Iterator[str]:
    if node["next"]:
        yield next_steps([node["next"]], tone_of_node(node["status"], node["merge_status"]))
    work = {
        "branch": node["branch"],
        "folder": node["slot"],
        "commit": node["commit"],
        "landed as": node["landed_commit"],
    }
    lines = [f"{name} <code>{markup(value)}</code>" for name, value in work.items() if value]
    if lines:
        yield f"<p>{'<br>'.join(lines)}</p>"
    if node["merge_reason"] and node["merge_reason"] != node["reason"]:
        yield f"<p>{markup(node['merge_reason'])}</p>"
    if node["merge_evidence"]:
        yield f"<pre>{markup(node['merge_evidence'])}</pre>"
    for warning in node["warnings"]:
        yield f"<p>warning: {markup(warning)}</p>"
    for wait in node["waits"]:
        until = "" if wait["end_time"] else ", still"
        took = span(wait["duration_min"] * 60)
        yield f'<p class="soft">waited {took} for {markup(wait["what"])}{until}</p>'
    for attempt in node["attempts"]:
        yield _attempt(attempt)
    files = ((f["status"], markup(f["path"]), f"+{f['added']}", f"-{f['removed']}") for f in node["files"])
    yield table(("", "file", "added", "removed"), files, f"Files of {node['node_id']}", numbers=(2, 3))


def _attempt(attempt: AttemptReport) -> str:
    tone = {"succeeded": Tone.GOOD, "failed": Tone.BAD, "refused": Tone.BAD}.get(
        attempt["outcome"], Tone.BUSY
    )
    model = f" ({attempt['model']})" if attempt["model"] else ""
    confined = f" in {attempt['sandbox']}" if attempt["sandbox"] else ""
    label = f"try {attempt['number']} {attempt['outcome']}"
    text = (
        f"<p>{pill(label, tone)} "
        f"{markup(attempt['tool'] + model + confined)}, {span(attempt['duration_min'] * 60)}, "
        f"{dollars(attempt['cost_usd'], 4)}, {attempt['tokens_used']} tokens"
        f'<br><span class="soft">{markup(attempt["tool"])}: {markup(attempt["tool_reason"])}</span>'
        f'<br>{markup(attempt["reason"])}<br><span class="soft">log {markup(attempt["log"])}</span></p>'
    )
    return text + (f"<pre>{markup(attempt['evidence'])}</pre>" if attempt["evidence"] else "")


# --- the rest -----------------------------------------------------------------------------------------------


def _check_table(report: RunReport) -> str:
    rows = (
        (
            markup(check["check"]),
            pill(check["verdict"] or "not finished", tone_of_verdict(check["verdict"])),
            markup(", ".join(check["nodes"] or check["entries"])),
            f"<code>{markup(check['tree'][:10])}</code>",
            "reused" if check["reused"] else span(check["duration_s"]),
            f'<div class="wide">{markup(check["reason"])}'
            + (f"<pre>{markup(check['evidence'])}</pre>" if check["evidence"] else "")
            + f'<p class="soft">{"reused from " if check["reused"] else ""}{markup(check["log"])}</p></div>',
        )
        for check in report["checks"]
    )
    return table(("check", "verdict", "nodes", "tree", "time", "evidence"), rows, "Checks", numbers=(4,))


def _amendment_table(report: RunReport) -> str:
    rows = (
        (
            str(past["round"]),
            past["kind"],
            markup(", ".join(past["nodes"])),
            markup(", ".join(past["again"])),
            f'<div class="wide">{markup(past["reason"])}</div>',
        )
        for past in report.get("amendments", ())  # reports of earlier releases have none
    )
    return table(("round", "kind", "added", "verified again", "because"), rows, "Added nodes")


def _waived_table(report: RunReport) -> str:
    rows = (
        (
            markup(finding["id"]),
            f'<div class="wide">{markup(finding["summary"])}</div>',
            markup(waiver["by"]),
            waiver["time"],
            f'<div class="wide">{markup(waiver["reason"])}</div>',
        )
        for finding, waiver in waived_findings(report)
    )
    head = ("finding", "says", "overruled by", "at", "because")
    return table(head, rows, "Overruled findings")


def _landing_table(report: RunReport) -> str:
    rows = (
        (
            landing["time"],
            f"<code>{markup(landing['commit'][:12])}</code>",
            markup(", ".join(landing["nodes"])),
            "found done after a crash" if landing["recovered"] else "",
        )
        for landing in report["landings"]
    )
    return table(("time", "commit", "nodes", ""), rows, "Landings")


def _cost_table(report: RunReport) -> str:
    breakdown = report["cost_summary"]["breakdown"].items()
    return table(("tool", "cost"), ((markup(t), f"${usd:.6f}") for t, usd in breakdown), "Cost", numbers=(1,))


def _edge_table(report: RunReport) -> str:
    rows = ((markup(e["before"]), markup(e["after"]), markup(e["reason"])) for e in report["implied_edges"])
    return table(("first", "then", "because"), rows, "Order from path claims")


def _artifact_list(report: RunReport) -> str:
    items = "".join(f"<li><code>{markup(path)}</code></li>" for path in report["artifacts_generated"])
    return f"<ul>{items}</ul>" if items else ""
