"""A review as a model may write it, and our own rules for it: what it names must be there."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.verification_events import BLOCKING, Finding, Severity
from cli_multi_rapid.schema.answer_schema import a_list, a_number, a_text, a_word, an_object
from cli_multi_rapid.schema.document import Document, read_document
from cli_multi_rapid.schema.fields import Fields, keys, open_table
from cli_multi_rapid.schema.problems import Code, InvalidInput, Problems
from cli_multi_rapid.schema.reading import Reading
from cli_multi_rapid.schema.source import quoted

MOST_FINDINGS: Final = 50
"""Whoever lists more has not said what matters."""
_LONGEST_SUMMARY: Final = 1_000
"""Characters; what is longer is cut."""
_LONGEST_FILE: Final = 10_000_000
"""Lines: what a number of a line cannot exceed."""

_KEYS: Final = keys("verdict summary findings")
_FINDING_KEYS: Final = keys("file line severity summary node")


class Opinion(StrEnum):
    """The verdict of a review."""

    PASS = "pass"  # noqa: S105  # nosec B105  # a word of the answer, no secret
    FAIL = "fail"


class Reviewed(Struct, frozen=True, kw_only=True):
    """What a review may speak of."""

    nodes: Collection[NodeId]
    """The nodes whose work it is about."""
    lines_of: Callable[[str], int | None]
    """The number of lines of a file that has landed; None: there is no such file."""
    gone: Collection[str] = ()
    """Files that the work took away."""


class Review(Struct, frozen=True, kw_only=True):
    """A review that says something sensible."""

    verdict: Opinion
    summary: str
    findings: tuple[Finding, ...]


def review_schema(nodes: Sequence[NodeId]) -> dict[str, Any]:
    """The JSON schema of a review of the work of these nodes."""
    finding = an_object(
        file=a_text('Path from the repository\'s root; "" when it is about no single file'),
        line=a_number("The line in the file as it is now, from 1; 0 for the whole file", whole=True),
        severity=a_word(*Severity),
        summary=a_text("What is wrong, what comes of it, and what would put it right"),
        node=a_word(*nodes, "", description='The node whose work it is about; "" when that is not clear'),
    )
    return an_object(
        verdict=a_word(*Opinion, description="fail when a finding is a blocker or major, else pass"),
        summary=a_text("What was looked at, and the judgement in a sentence or two"),
        findings=a_list(finding),
    )


def parse_review(text: str, name: str, problems: Problems, reviewed: Reviewed) -> Review | None:
    """The review of an answer, or None when it has errors, each with its place in the text.

    `name` is what messages call the text.
    """
    with suppress(InvalidInput):  # too many problems to go on; they are noted
        document = read_document(text, name, problems, is_json=True)
        return None if document is None else _review_of(document, problems, reviewed)
    return None


def _review_of(document: Document, problems: Problems, reviewed: Reviewed) -> Review | None:
    reading = Reading(document.source, problems)
    fields = open_table(reading, document.root, _KEYS, "the review")
    if fields is None:
        return None
    verdict = fields.choice("verdict", Opinion)
    if not fields.has("verdict"):
        fields.missing("verdict", "write pass or fail")
    summary = _words(fields, "the judgement in a sentence")
    findings = _findings(fields, reviewed)
    if verdict is not None and not problems.error_count:
        _check_verdict(fields, verdict, findings)
    if problems.error_count or verdict is None:
        return None
    return Review(verdict=verdict, summary=summary, findings=findings)


def _words(fields: Fields, what: str) -> str:
    text = "".join(letter for letter in fields.string("summary") if letter.isprintable() or letter in "\n\t")
    text = text.strip()
    if not text:
        fields.missing("summary", f"say {what}")
    return text if len(text) <= _LONGEST_SUMMARY else f"{text[: _LONGEST_SUMMARY - 1]}…"


def _findings(fields: Fields, reviewed: Reviewed) -> tuple[Finding, ...]:
    values = fields.items("findings", "a list of findings")
    if not fields.has("findings"):
        fields.missing("findings", "write [] when there is nothing")
    if len(values) > MOST_FINDINGS:
        fields.reading.report(
            Code.BAD_VALUE,
            fields.at("findings"),
            f"the review has {len(values)} findings, and nobody reads more than {MOST_FINDINGS}",
            suggestion="keep what matters most",
        )
    found = []
    for place, value in enumerate(values, 1):
        table = open_table(fields.reading, value, _FINDING_KEYS, f"finding {place}")
        if table is not None:
            found.append(_finding(table, reviewed))
    return tuple(found)


def _finding(fields: Fields, reviewed: Reviewed) -> Finding:
    severity = fields.choice("severity", Severity)
    if not fields.has("severity"):
        fields.missing("severity", f"write one of {', '.join(Severity)}")
    file = fields.string("file").removeprefix("./")
    return Finding(
        summary=_words(fields, "what is wrong"),
        severity=severity or Severity.MINOR,
        file=file,
        line=_line(fields, file, reviewed),
        node=_node(fields, reviewed),
    )


def _line(fields: Fields, file: str, reviewed: Reviewed) -> int | None:
    """The line, when it is one of the file; notes a file or a line that is not there."""
    line = fields.integer("line", low=0, high=_LONGEST_FILE)
    if not file:
        if line:
            message = f"{fields.what} names a line and no file"
            fields.reading.report(
                Code.BAD_VALUE, fields.at("line"), message, suggestion="name the file, or write 0"
            )
        return None
    lines = reviewed.lines_of(file)
    if lines is None and file not in reviewed.gone:
        fields.reading.report(
            Code.BAD_PATH,
            fields.at("file"),
            f"{fields.what} names {quoted(file)}, and no such file has landed",
            suggestion='give the path from the root of the repository, or "" for no single file',
        )
    elif line and line > max(lines or 0, 1):
        fields.reading.report(
            Code.BAD_VALUE,
            fields.at("line"),
            f"{quoted(file)} has {lines or 0} lines and no line {line}",
            suggestion="number the lines as they are in what has landed, or write 0",
        )
    return line or None


def _node(fields: Fields, reviewed: Reviewed) -> NodeId | None:
    text = fields.text("node")
    if text is None or not text.text:
        return None
    if NodeId(text.text) in reviewed.nodes:
        return NodeId(text.text)
    names = ", ".join(sorted(reviewed.nodes))
    fields.reading.report(
        Code.UNKNOWN_DEP,
        text.at,
        f"{fields.what} names the node {quoted(text.text)}, whose work is not reviewed",
        suggestion=f'write one of {names}, or ""',
    )
    return None


def _check_verdict(fields: Fields, verdict: Opinion, findings: Sequence[Finding]) -> None:
    """A verdict that its own findings contradict is no verdict."""
    blocking = [finding for finding in findings if finding.severity in BLOCKING]
    if verdict is Opinion.FAIL and not blocking:
        fields.reading.report(
            Code.BAD_VALUE,
            fields.at("verdict"),
            "the verdict is fail, and no finding is a blocker or major",
            suggestion="name what must be put right, or let it pass",
        )
    if verdict is Opinion.PASS and blocking:
        fields.reading.report(
            Code.BAD_VALUE,
            fields.at("verdict"),
            f"the verdict is pass, and {len(blocking)} findings are blockers or major",
            suggestion="let it fail, or call minor what is no reason to",
        )
