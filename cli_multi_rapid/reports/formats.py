"""The formats of `report RUN --format …`."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from cli_multi_rapid.reports.csv import csv_report
from cli_multi_rapid.reports.document import RunReport
from cli_multi_rapid.reports.html import html_report
from cli_multi_rapid.reports.json_text import indented_json
from cli_multi_rapid.reports.junit import junit_report
from cli_multi_rapid.reports.markdown import markdown_report


class ReportFormat(StrEnum):
    """How a report is written."""

    JSON = "json"
    MD = "md"
    HTML = "html"
    JUNIT = "junit"
    CSV = "csv"


def json_report(report: RunReport) -> str:
    """The document itself, in ASCII: names of undecodable files survive as escapes."""
    return indented_json(report) + "\n"


_WRITERS: Mapping[ReportFormat, Callable[[RunReport], str]] = {
    ReportFormat.JSON: json_report,
    ReportFormat.MD: markdown_report,
    ReportFormat.HTML: html_report,
    ReportFormat.JUNIT: junit_report,
    ReportFormat.CSV: csv_report,
}


def write_report(report: RunReport, report_format: ReportFormat) -> str:
    """The report as text in a format. Line ends are a part of it: write a file with `newline=""`."""
    return _WRITERS[report_format](report)
