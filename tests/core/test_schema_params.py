"""Params of a plan: which values a shell may see, and names that were mistyped."""

import pytest

from cli_multi_rapid.core.plan import Argv, ShellLine
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Code, Problems
from tests.core.schema_reading import document, errors, good_plan


@pytest.mark.parametrize("value", ["src", "v1.2", "a/b_c:d@e%f+g=h,i-j", "über", ""])
def test_a_plain_value_goes_into_a_line_for_a_shell(value: str) -> None:
    text = "nodes: [{id: n1, run: 'x ${params.v} y'}]"
    assert good_plan(text, params={"v": value}).nodes[0].work == ShellLine(run=f"x {value} y")


@pytest.mark.parametrize(
    "value", ["a b", "a;b", "$(b)", "`b`", "a|b", "a&b", "'", '"', "a\nb", "*", "~", "#", "a\\b", "<b", "(b)"]
)
@pytest.mark.parametrize(
    "text",
    [
        "nodes: [{id: n1, run: 'x ${params.v} y'}]",
        "nodes: [{id: n1, actions: [{type: run, cmd: 'x ${params.v} y'}]}]",
        "nodes: [{id: n1, argv: [x]}]\nchecks: {c: {run: 'x ${params.v} y'}}",
        "nodes: [{id: n1, argv: [x]}]\nchecks: {c: 'x ${params.v} y'}",
    ],
)
def test_a_value_that_a_shell_would_interpret_is_refused_where_it_would_go(text: str, value: str) -> None:
    problems = Problems()
    assert parse_plan(document(text), problems, params={"v": value}) is None
    (problem,) = errors(list(problems))
    line = text.splitlines()[problem.line - 1]
    assert (problem.code, line[problem.column - 1 :][:4]) == (Code.UNSAFE_PARAM, "'x $")
    assert "argv: " in problem.suggestion
    assert "env: " in problem.suggestion


def test_a_value_that_no_shell_sees_may_be_anything() -> None:
    text = (
        "nodes: [{id: n1, argv: [x, '${params.v}']}, "
        "{id: n2, run: 'x \"$V\" $${params.v}', env: {V: '${params.v}'}}]"
    )
    plan = good_plan(text, params={"v": "a; b"})
    assert plan.nodes[0].work == Argv(argv=("x", "a; b"))
    assert plan.nodes[1].work == ShellLine(run='x "$V" ${params.v}')
    assert plan.nodes[1].env == {"V": "a; b"}


def test_a_value_for_a_param_that_the_plan_does_not_have_is_refused() -> None:
    text = "params: {folder: docs}\nnodes: [{id: n1, run: 'x ${params.folder} ${params.word}'}]"
    for given, said in (
        ({"folde": "a", "word": "b"}, "did you mean `folder`?"),
        ({"zzz": "a", "word": "b"}, "its params are: folder, word"),
    ):
        problems = Problems()
        assert parse_plan(document(text), problems, params=given) is None
        (problem,) = errors(list(problems))
        assert (problem.code, problem.suggestion) == (Code.UNKNOWN_PARAM, said)
