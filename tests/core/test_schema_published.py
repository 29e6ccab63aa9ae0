"""The published schemas: complete for editors, true to the parsers, and kept by our own documents."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.plan import Json
from cli_multi_rapid.reports.document import NodeReport, RunReport
from cli_multi_rapid.schema.checks import CHECK_KEYS
from cli_multi_rapid.schema.document import Document, document_of
from cli_multi_rapid.schema.nodes import NODE_KEYS
from cli_multi_rapid.schema.phases import PHASE_KEYS, PHASES_KEYS, parse_phases
from cli_multi_rapid.schema.plan import PLAN_KEYS, parse_plan
from cli_multi_rapid.schema.plan_head import POLICY_KEYS, ROLLBACK_KEYS
from cli_multi_rapid.schema.problems import Code, Problems
from cli_multi_rapid.schema.published import load_schema, schema_names, schema_text, schema_violations
from cli_multi_rapid.schema.settings_reader import SETTINGS, parse_settings, section_keys
from cli_multi_rapid.schema.streams import STREAM_KEYS, STREAMS_KEYS, parse_streams
from cli_multi_rapid.schema.tool_prices import PRICE_KEYS
from cli_multi_rapid.schema.tools import TOOL_KEYS, TOOLS_KEYS, parse_tools
from tests.core.schema_reading import EXAMPLES, document, example
from tests.core.test_schema_settings import FULL
from tests.core.test_schema_tools import COMMAND


def parts(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each property in a schema with its path."""
    if isinstance(schema, dict):
        for name, part in schema.get("properties", {}).items():
            yield f"{path}.{name}", part
        for key, value in schema.items():
            yield from parts(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value, path)


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_is_valid_named_and_says_what_each_key_is_for(name: str) -> None:
    schema = load_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:cli-orchestrator:schema:{name}:1"
    assert schema["title"]
    assert schema["description"]
    definitions = schema.get("$defs", {})
    assert isinstance(definitions, dict)
    for path, part in parts(schema):
        target = definitions.get(str(part.get("$ref", "")).removeprefix("#/$defs/"), {})
        described = (
            "description" in part or "const" in part or (isinstance(target, dict) and "description" in target)
        )
        assert described or "anyOf" in part, path


def test_an_unknown_schema_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        schema_text("plam")
    assert caught.value.hint == "did you mean `plan`?"
    with pytest.raises(UserError) as caught:
        schema_text("../plan")
    assert "plan" in caught.value.hint


def keys_in(name: str, *path: str) -> Collection[str]:
    part: Any = load_schema(name)
    for step in path:
        part = part[step]
    return set(part["properties"])


def test_the_schemas_know_exactly_the_keys_that_the_parsers_read() -> None:
    def known(keys: Mapping[str, str]) -> set[str]:
        return set(keys)

    assert keys_in("plan") == known(PLAN_KEYS.spelling)
    assert keys_in("plan", "$defs", "node") == known(NODE_KEYS.spelling)
    assert keys_in("plan", "$defs", "merge_policy") == known(POLICY_KEYS.spelling)
    assert keys_in("plan", "$defs", "rollback_policy") == known(ROLLBACK_KEYS.spelling)
    check: Any = load_schema("plan")["$defs"]
    assert set(check["check"]["anyOf"][2]["properties"]) == known(CHECK_KEYS.spelling)
    assert keys_in("streams") == known(STREAMS_KEYS.spelling)
    assert keys_in("streams", "$defs", "stream") == known(STREAM_KEYS.spelling)
    assert keys_in("phases") == known(PHASES_KEYS.spelling)
    assert keys_in("phases", "$defs", "phase") == known(PHASE_KEYS.spelling)
    assert keys_in("tools") == known(TOOLS_KEYS.spelling)
    assert keys_in("tools", "$defs", "tool") == known(TOOL_KEYS.spelling)
    assert keys_in("tools", "$defs", "price") == known(PRICE_KEYS.spelling)
    for section in filter(None, SETTINGS):
        assert keys_in("config", "properties", section) == known(section_keys(section).spelling)


def test_the_report_schema_knows_exactly_the_keys_of_a_report() -> None:
    assert keys_in("report") == set(get_type_hints(RunReport))
    assert keys_in("report", "$defs", "NodeReport") == set(get_type_hints(NodeReport))


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("oauth2_plan_long.json", "plan"),
        ("oauth2_plan_short.json", "plan"),
        ("multi_stream.yaml", "streams"),
        ("phase_definitions.yaml", "phases"),
        ("tools.yaml", "tools"),
        ("tool_health.json", "tool_health"),
        ("merge_queue.json", "merge_queue"),
        ("verification_report.json", "verification"),
    ],
)
def test_the_examples_that_users_have_hold_their_schema(file: str, schema: str) -> None:
    assert schema_violations(example(file).data(), schema) == []


def test_each_line_of_the_example_ledger_holds_its_schema() -> None:
    for line in (EXAMPLES / "cost_ledger.jsonl").read_text().splitlines():
        assert schema_violations(json.loads(line), "ledger_line") == []


def test_a_violation_names_path_and_reason() -> None:
    (violation,) = schema_violations({"workers": "x"}, "config")
    assert re.match(r"\$\.workers: 'x' is not of type", violation)


# The parsers and the schemas judge alike -------------------------------------------------------------------

PARSERS: Mapping[str, Callable[[Document, Problems], object]] = {
    "plan": parse_plan,
    "streams": parse_streams,
    "phases": parse_phases,
    "tools": parse_tools,
    "config": lambda read, problems: parse_settings([read], problems),
}


def errors_of(name: str, read: Document) -> Problems:
    problems = Problems()
    PARSERS[name](read, problems)
    return problems


PLAN = """\
version: 1
plan_id: p
global_budget_usd: 15
params: {a: x}
checks: {lint: {argv: [ruff], timeout_s: 5, env: {A: 1}}, s: {run: x}, t: [a, b], u: c}
nodes:
  - {id: a, label: L, role: wt, tool: aider, goal: g, inputs: [i], outputs: [o], path_claims: [o, {path: p}],
     capabilities: [c], priority: high, est_cost: 4,
     timeout_s: 9, retries: 2, model: m, env: {B: 2}, approval: none}
  - {id: b, tool: shell, argv: [make], deps: [a], priority: 3}
  - {id: c, tool: python, target: 'm:f', kwargs: {x: 1}}
  - {id: d, actions: [{type: run, cmd: [x]}, {type: files, write: [{path: f, text: t}]},
     {type: mkdirs, paths: [d]},
     {type: tests}, {type: python, call: 'm:f'}]}
  - {id: e, script: [{write: x}]}
merge_policy: {strategy: merge-queue, target: main, checklist: [lint], when: eager,
  auto_merge_on_success: true}
rollback_policy: {preserve_worktrees_on_failure: true, max_retry_attempts: 2}
"""
GOOD: dict[str, list[Json]] = {
    "plan": [dict(document(PLAN).data()), dict(example("oauth2_plan_long.json").data())],
    "streams": [dict(example("multi_stream.yaml").data())],
    "phases": [dict(example("phase_definitions.yaml").data())],
    "tools": [dict(example("tools.yaml").data()), dict(document(COMMAND).data())],
    "config": [dict(document(FULL).data())],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_documents_hold_the_schema_and_please_the_parser(name: str) -> None:
    for data in GOOD[name]:
        assert isinstance(data, dict)
        problems = errors_of(name, document_of(data, name))
        assert problems.error_count == 0, problems.to_text()
        assert schema_violations(data, name) == []


REPLACEMENTS: list[Json] = [None, True, -1, 0, 1.5, "", "zz", "1", [], [1], [[]], {}, {"zz": 1}, [{}], 10**12]


def places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from places(item, (*path, at))


def changed(value: Json, path: tuple[str | int, ...], change: str, new: Json) -> Json:
    if not path:
        if change == "add" and isinstance(value, dict):
            return {**value, "zz": new}
        return new
    if isinstance(value, dict):
        rest = {key: item for key, item in value.items() if key != path[0]}
        if change == "remove" and len(path) == 1:
            return rest
        return {
            key: changed(item, path[1:], change, new) if key == path[0] else item
            for key, item in value.items()
        }
    assert isinstance(value, list)
    return [changed(item, path[1:], change, new) if at == path[0] else item for at, item in enumerate(value)]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, dict[str, Json]]:
    """A good document with one value replaced, removed, or given an unknown key."""
    name = draw(st.sampled_from(sorted(GOOD)))
    data = draw(st.sampled_from(GOOD[name]))
    path = draw(st.sampled_from([path for path in places(data) if path]))
    change = draw(st.sampled_from(["replace", "remove", "add"]))
    found = changed(data, path, change, draw(st.sampled_from(REPLACEMENTS)))
    assert isinstance(found, dict)
    return name, found


@given(damaged())
def test_schema_and_parser_agree_on_the_shape_of_documents(case: tuple[str, dict[str, Json]]) -> None:
    name, data = case
    problems = errors_of(name, document_of(data, name))
    codes = {problem.code for problem in problems if problem.severity == "error"}
    violations = schema_violations(data, name)
    if not codes:
        assert violations == []
    if codes & {Code.UNKNOWN_KEY, Code.WRONG_TYPE}:
        assert violations, problems.to_text()
    if violations:
        assert codes, violations
