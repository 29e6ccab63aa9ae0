"""What a run says to GitHub Actions: an annotation per node that did not get there, and a step summary."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cli_multi_rapid.cli.output import print_text, tell
from cli_multi_rapid.reports.document import NodeReport, RunReport
from cli_multi_rapid.reports.node_report import kept_where

_SUMMARY_LIMIT = 1024 * 1024
"""Bytes. GitHub refuses a longer step summary as a whole."""


def announce_in_ci(report: RunReport, environ: Mapping[str, str], *, to_stderr: bool) -> None:
    """Write the annotations, and the step summary where `GITHUB_STEP_SUMMARY` names a file.

    The runner reads annotations from both streams; stderr leaves stdout to the JSON document.
    """
    lines = "\n".join(annotations(report))
    if lines:
        (tell if to_stderr else print_text)(lines)
    if path := environ.get("GITHUB_STEP_SUMMARY"):
        _append_summary(Path(path), report)


def annotations(report: RunReport) -> Iterator[str]:
    """`::error title=n2 failed::why`, for every node that is not done or landed."""
    for node in report["nodes"]:
        if node["status"] == "completed" and node["merge_status"] in (None, "MERGED"):
            continue
        if node["status"] in ("pending", "running"):
            continue
        level = "warning" if node["status"] in ("blocked", "waiting", "skipped") else "error"
        yield f"::{level} title={_property(_title(node))}::{_message(_text(node))}"


def _title(node: NodeReport) -> str:
    if node["status"] == "completed":
        return f"{node['node_id']} did not land"
    return f"{node['node_id']} {node['status']}"


def _text(node: NodeReport) -> str:
    where = kept_where(node)
    kept = f"\nits work is kept {where}" if where else ""
    command = node["next"]["command"] if node["next"] else None
    return f"{node['reason'] or node['label']}{kept}" + (f"\n{command}" if command else "")


def _append_summary(path: Path, report: RunReport) -> None:
    from cli_multi_rapid.reports.markdown import markdown_report

    text = markdown_report(report).encode()
    if len(text) > _SUMMARY_LIMIT:
        text = (
            text[: _SUMMARY_LIMIT - 100].decode("utf-8", "ignore").encode() + b"\n\n(cut: see the report)\n"
        )
    try:
        with path.open("ab") as file:
            file.write(text)
    except OSError as error:
        tell(f"warning: the step summary {path} cannot be written: {error.strerror}")


def _message(text: str) -> str:
    """As the runner's own toolkit escapes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
