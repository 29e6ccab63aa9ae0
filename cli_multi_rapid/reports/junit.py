"""The run as JUnit XML, which every CI service shows: nodes and checks are its test cases."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from cli_multi_rapid.reports.document import CheckReport, NodeReport, RunReport
from cli_multi_rapid.reports.node_report import kept_where
from cli_multi_rapid.reports.safe_text import markup, one_line
from cli_multi_rapid.reports.tone import Tone, tone_of_node

_BROKEN = ("error", "timed_out")
"""Verdicts that say that the check was not carried out: `error` in JUnit's words, not `failure`."""


class Case(Struct, frozen=True, kw_only=True):
    """One test case. `outcome`: None (passed), `failure`, `error` or `skipped`."""

    group: str
    name: str
    seconds: float
    outcome: str | None = None
    message: str = ""
    detail: str = ""
    output: str = ""


def junit_report(report: RunReport) -> str:
    """The document. A failed trial whose members landed all the same is skipped: it says nothing bad."""
    cases = [*(_node_case(node) for node in report["nodes"]), *_check_cases(report)]
    totals = " ".join(
        f'{name}="{sum(1 for case in cases if case.outcome == outcome)}"'
        for name, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    )
    seconds = f"{report['total_duration_min'] * 60:.3f}"
    name = markup(one_line(report["workflow_name"] or report["run_id"]))
    opening = f'name="{name}" tests="{len(cases)}" {totals} time="{seconds}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites {opening}>\n"
        f'  <testsuite {opening} id="0" timestamp="{report["created_at"].removesuffix("Z")}">\n'
        f"{_properties(report)}{''.join(_xml(case) for case in cases)}"
        "  </testsuite>\n</testsuites>\n"
    )


def _properties(report: RunReport) -> str:
    facts = {
        "run_id": report["run_id"],
        "plan_id": report["plan_id"],
        "status": report["status"],
        "cost_usd": str(report["cost_summary"]["total_used_usd"]),
    }
    lines = "".join(f'      <property name="{k}" value="{markup(v)}"/>\n' for k, v in facts.items())
    return f"    <properties>\n{lines}    </properties>\n"


def _xml(case: Case) -> str:
    """One `testcase` element."""
    head = f'classname="{markup(case.group)}" name="{markup(case.name)}" time="{case.seconds:.3f}"'
    inner = ""
    if case.outcome is not None:
        message = f'message="{markup(one_line(case.message))}"'
        kind = f' type="{case.outcome}"' if case.outcome != "skipped" else ""
        inner += f"      <{case.outcome} {message}{kind}>{markup(case.detail)}</{case.outcome}>\n"
    if case.output:
        inner += f"      <system-out>{markup(case.output)}</system-out>\n"
    return f"    <testcase {head}>\n{inner}    </testcase>\n" if inner else f"    <testcase {head}/>\n"


def _node_case(node: NodeReport) -> Case:
    tone = tone_of_node(node["status"], node["merge_status"])
    standing = " ".join(word for word in (node["status"], node["merge_status"]) if word)
    outcome = {Tone.GOOD: None, Tone.BAD: "failure"}.get(tone, "skipped")
    return Case(
        group="node",
        name=one_line(f"{node['node_id']}: {node['label']}"),
        seconds=node["duration_min"] * 60,
        outcome=outcome,
        message=f"{standing}: {node['reason']}",
        detail="\n".join(_node_detail(node)) if outcome == "failure" else "",
        output="\n".join(_attempt_lines(node)),
    )


def _node_detail(node: NodeReport) -> Iterator[str]:
    yield node["merge_reason"] or node["reason"]
    if where := kept_where(node):
        yield f"its work is {where}"
    if node["next"] and node["next"]["command"]:
        yield f"next: {node['next']['command']}"
    yield node["merge_evidence"] or (node["attempts"][-1]["evidence"] if node["attempts"] else "")


def _attempt_lines(node: NodeReport) -> Iterator[str]:
    for attempt in node["attempts"]:
        reason = one_line(attempt["reason"])
        yield f"try {attempt['number']} with {attempt['tool']} {attempt['outcome']}: {reason}"


def _check_cases(report: RunReport) -> Iterator[Case]:
    """Per check and tree the newest verdict: an older one on the same tree was a flake or a fault."""
    landed = {name for landing in report["landings"] for name in landing["nodes"]}
    newest: dict[tuple[str, str], CheckReport] = {}
    for check in report["checks"]:
        newest[check["check"], check["tree"]] = check
    for check in newest.values():
        yield _check_case(check, superseded=bool(check["nodes"]) and landed.issuperset(check["nodes"]))


def _check_case(check: CheckReport, *, superseded: bool) -> Case:
    verdict, outcome, message = check["verdict"], None, check["reason"]
    if verdict != "passed":
        outcome = "error" if verdict in _BROKEN else "failure"
        message = f"{verdict}: {check['reason']}"
        if verdict is None or superseded:
            outcome = "skipped"
            message = "not finished" if verdict is None else f"{message}; all of them landed later"
    return Case(
        group="check",
        name=one_line(
            f"{check['check']} on {_names(check['nodes'] or check['entries'])} ({check['tree'][:10]})"
        ),
        seconds=check["duration_s"],
        outcome=outcome,
        message=message,
        detail=check["evidence"] if outcome in ("failure", "error") else "",
        output=f"verdict reused from {check['log']}" if check["reused"] else check["log"],
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "the target"
