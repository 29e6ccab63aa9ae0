"""A review by a model: what is taken from it, and what it must say better."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.verification_events import Severity
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.review_answer import (
    MOST_FINDINGS,
    Opinion,
    Review,
    Reviewed,
    parse_review,
    review_schema,
)

NODES = (NodeId("n1"), NodeId("n2"))
LINES = {"src/a.py": 10, "src/empty.py": 0}
REVIEWED = Reviewed(nodes=NODES, lines_of=LINES.get, gone=("src/old.py",))


def a_finding(**keys: Any) -> dict[str, Any]:
    return {
        "file": "src/a.py",
        "line": 3,
        "severity": "major",
        "summary": "It leaks.",
        "node": "n1",
        **keys,
    }


def a_review(*findings: dict[str, Any], **keys: Any) -> dict[str, Any]:
    verdict = "fail" if findings else "pass"
    return {"verdict": verdict, "summary": "Looked at all of it.", "findings": list(findings), **keys}


def read(review: object) -> tuple[Review | None, Problems]:
    problems = Problems()
    text = review if isinstance(review, str) else json.dumps(review, indent=2)
    return parse_review(text, "review-1.json", problems, REVIEWED), problems


def test_a_review_becomes_findings_with_their_places() -> None:
    whole = a_finding(file="src/old.py", line=0, severity="blocker", node="")
    minor = a_finding(file="", line=0, severity="minor", node="n2", summary="x" * 2000)
    review, problems = read(a_review(a_finding(), whole, minor))
    assert review is not None, problems.to_text()
    assert review.verdict is Opinion.FAIL
    first, second, third = review.findings
    assert (first.place, first.node, first.severity) == ("src/a.py:3", "n1", Severity.MAJOR)
    assert (second.place, second.line, second.node) == ("src/old.py", None, None)
    assert (third.place, third.blocks, len(third.summary)) == ("", False, 1000)


def test_a_review_may_find_nothing_or_only_what_is_minor() -> None:
    for findings in ((), (a_finding(severity="minor"),)):
        review, _ = read(a_review(*findings, verdict="pass"))
        assert review is not None
        assert review.verdict is Opinion.PASS


@pytest.mark.parametrize(
    ("review", "said"),
    [
        (a_review(a_finding(line=11)), "`src/a.py` has 10 lines and no line 11"),
        (a_review(a_finding(file="src/b.py")), "no such file has landed"),
        (a_review(a_finding(file="/etc/passwd")), "no such file has landed"),
        (a_review(a_finding(file="")), "names a line and no file"),
        (a_review(a_finding(node="n3")), "`n3`, whose work is not reviewed"),
        (a_review(a_finding(severity="grave")), "is one of blocker, major, minor"),
        (a_review(a_finding(severity=None)), "has no `severity`"),
        (a_review(a_finding(summary=" ")), "has no `summary`"),
        (a_review(a_finding(line=-1)), "must be between 0"),
        (a_review(a_finding(line="three")), "must be a whole number"),
        (a_review(a_finding(fix="rm -rf /")), "unknown key `fix`"),
        (a_review(a_finding(), verdict="pass"), "the verdict is pass, and 1 findings are blockers or major"),
        (a_review(a_finding(severity="minor")), "the verdict is fail, and no finding is a blocker or major"),
        (a_review(verdict="perhaps"), "is one of pass, fail"),
        (a_review(verdict=None), "has no `verdict`"),
        (a_review(summary=""), "has no `summary`"),
        (a_review(findings=None), "has no `findings`"),
        (a_review(findings="none"), "must be a list of findings"),
        (a_review(findings=["bad"]), "must be a mapping"),
        (a_review(*[a_finding()] * (MOST_FINDINGS + 1)), "nobody reads more than 50"),
        ("It looks good to me.", "not JSON"),
        ("[]", "must be a mapping"),
    ],
)
def test_what_a_review_cannot_mean_is_told_with_its_place(review: object, said: str) -> None:
    found, problems = read(review)
    assert found is None
    assert said in problems.to_text()
    assert "review-1.json:" in problems.to_text()


def test_the_schema_asks_for_every_key_and_knows_the_nodes() -> None:
    schema = review_schema(NODES)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid(a_review(a_finding()))
    assert not validator.is_valid(a_review(a_finding(node="n3")))
    assert not validator.is_valid({"verdict": "pass"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["verdict", "summary", "findings", "file", "line", "severity", "node"]),
            inner,
            max_size=7,
        )
    ),
    max_leaves=12,
)


@given(st.text(max_size=40) | JSON.map(json.dumps))
def test_whatever_a_model_says_is_a_review_or_has_a_problem(text: str) -> None:
    review, problems = read(text)
    assert (review is None) is bool(problems.error_count)
