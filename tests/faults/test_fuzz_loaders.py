"""Every file is read whatever is in it: refused with its problems, never with a crash or a hang."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import yaml
from hypothesis import strategies as st

from cli_multi_rapid.adapters.health import read_health, write_health
from cli_multi_rapid.adapters.registry import KNOWN_TOOLS, adapters
from cli_multi_rapid.adapters.script_steps import steps_of
from cli_multi_rapid.cli.graph import Drawing, draw
from cli_multi_rapid.core.codec import from_data, to_data
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import Branch, NodeId, ToolName
from cli_multi_rapid.core.money import ZERO
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.scheduler import prepare
from cli_multi_rapid.planner.from_model import first_prompt, plan_of_draft, repair_prompt
from cli_multi_rapid.planner.load import load_plan, validate
from cli_multi_rapid.planner.template import Request
from cli_multi_rapid.planner.tool_choice import Toolbox
from cli_multi_rapid.reports.graph import graph_of_plan
from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.plan_draft import parse_draft
from cli_multi_rapid.schema.problems import InvalidInput, Problems
from cli_multi_rapid.schema.review_answer import Reviewed, parse_review
from cli_multi_rapid.schema.settings_reader import parse_settings
from cli_multi_rapid.schema.tools import parse_tools
from cli_multi_rapid.schema.validation import Surroundings
from cli_multi_rapid.worktree_records import SlotRecords
from tests.conftest import REPOSITORY
from tests.faults.conftest import Tell
from tests.faults.fuzz_bounds import storm
from tests.faults.fuzz_edits import Json, as_json, spoilt_bytes, spoilt_data
from tests.faults.rows import Part

EXAMPLES = REPOSITORY / "tests" / "data" / "examples"
AROUND = Surroundings(known_tools=(*KNOWN_TOOLS, "auto", "verify"), serialize_overlaps=True)
CASES: Final = 2000
"""Of each kind of file, in the full form."""

EVERY_KEY: Final = """\
version: 1
plan_id: all
name: Every key
branch_base: main
global_budget_usd: 15
params: {api: v2}
checks:
  tests: {argv: [pytest, -q], inputs: ["src/**"], timeout_s: 600, env: {A: b}}
  style: {run: "ruff check ."}
nodes:
  - {id: n1, label: L, role: wt, tool: aider, goal: "Use ${params.api}", inputs: [a.py], outputs: [src/a.py],
     path_claims: [{path: "src/**", mode: exclusive}, docs/*.md], deps: [], capabilities: [python],
     priority: high, est_cost: 4.0, max_cost: 5.0, timeout_s: 900, retries: 2, model: m, env: {A: b},
     approval: before}
  - {id: n2, tool: shell, run: make, deps: [n1], path_claims: [{path: x, mode: shared}], sandbox: bwrap,
     network: none}
  - {id: n3, tool: shell, argv: [echo, "-n"], deps: [n1]}
  - {id: n4, tool: python, target: "m:f", kwargs: {a: [1, {b: null}]}, path_claims: [y]}
  - {id: n5, tool: scripted, goal: g, path_claims: [z], script: [{write: z, text: t}, {cost: 0.1, tokens: 5}]}
  - {id: n6, tool: verify, role: ipt, deps: [n1, n2]}
merge_policy: {strategy: merge-queue, target: main, checklist: [style, tests], when: eager}
rollback_policy: {preserve_worktrees_on_failure: true, max_retry_attempts: 2}
"""
SCRIPTS: Final[list[Json]] = [
    [
        {"write": "a", "text": "b"},
        {"append": "a", "text": "c"},
        {"delete": "a"},
        {"say": "x"},
        {"sleep": 0.5},
    ],
    [{"cost": 0.25, "tokens": 1200}, {"fail": "no", "exit": 3, "failure": "transient"}],
    [{"hang": True}, {"spawn_detached": 60}, {"git": ["mv", "a", "b"]}, {"commit": "m"}, {"flood": 100}],
    [
        {"attempts": {"1": [{"fail": "not yet"}], "2": [{"write": "x", "text": "y"}]}},
        {"no_record": True, "exit": 0},
    ],
]


def texts_of(pattern: str, *folders: Path) -> list[bytes]:
    found = [path.read_bytes() for folder in folders for path in sorted(folder.glob(pattern))]
    assert found
    return found


def both(seeds: list[bytes], data: list[Json] | None = None) -> st.SearchStrategy[bytes]:
    """The files spoilt as bytes, and what they say spoilt value by value."""
    values = data if data is not None else [yaml.safe_load(seed) for seed in seeds]
    return spoilt_bytes(seeds) | spoilt_data(values).map(as_json)


def look_all_over(plan: Plan) -> None:
    """What an accepted plan is used for: it is stored, read back, ordered and drawn."""
    assert from_data(Plan, json.loads(json.dumps(to_data(plan)))) == plan
    _, implied = prepare(plan)
    for drawing in Drawing:
        text = draw(graph_of_plan(plan, implied), drawing)
        assert "\x1b" not in text


def read_as_plan(folder: Path) -> Callable[[bytes], None]:
    def strike(content: bytes) -> None:
        for name in ("plan.yaml", "plan.json"):
            path = folder / name
            path.write_bytes(content)
            problems = Problems()
            with suppress(InvalidInput):  # nobody reads on after so many errors
                validate(path, problems, AROUND, default_tool=ToolName("shell"))
            problems.to_text()
            json.dumps(problems.to_data())
            try:
                plan = load_plan(path, AROUND, default_tool=ToolName("shell")).plan
            except UserError:
                continue
            look_all_over(plan)

    return strike


def test_plans(tell: Tell, short: bool, tmp_path: Path) -> None:
    seeds = [
        EVERY_KEY.encode(),
        *texts_of("oauth2_*.json", EXAMPLES),
        *texts_of("*.yaml", REPOSITORY / "workflows" / "examples"),
    ]
    count = storm(both(seeds), read_as_plan(tmp_path), CASES, short=short)
    tell(
        Part.TEXT,
        "plans, YAML and JSON, spoilt byte by byte and value by value",
        "read or refused",
        cases=count,
    )


def test_streams_and_phases(tell: Tell, short: bool, tmp_path: Path) -> None:
    streams = texts_of("multi_stream.yaml", EXAMPLES, REPOSITORY / "workflows")
    phases = [
        *texts_of("phase_definitions.yaml", EXAMPLES),
        *texts_of("*.yaml", REPOSITORY / "workflows" / "phase_definitions"),
    ]
    whole = read_as_plan(tmp_path)
    (tmp_path / "phase_definitions").mkdir()

    def strike(files: tuple[bytes, bytes]) -> None:
        (tmp_path / "phase_definitions" / "p.yaml").write_bytes(files[1])
        validate(tmp_path / "phase_definitions" / "p.yaml", Problems(), AROUND)
        whole(files[0])

    mixed = st.one_of(
        st.tuples(both(streams), st.sampled_from(phases)), st.tuples(st.sampled_from(streams), both(phases))
    )
    count = storm(mixed, strike, CASES, short=short)
    tell(
        Part.TEXT,
        "multi_stream files and phase definitions, spoilt byte by byte and value by value",
        "read or refused",
        cases=count,
    )


def test_tools_files(tell: Tell, short: bool) -> None:
    seeds = [*texts_of("tools.yaml", EXAMPLES, REPOSITORY / "config"), TOOL.encode()]

    def strike(content: bytes) -> None:
        problems = Problems()
        document = read_document(content, "tools.yaml", problems)
        tools = None if document is None else parse_tools(document, problems, known_tools=KNOWN_TOOLS)
        assert tools is not None or problems.error_count
        made = adapters(tools or ())
        for name in made:
            made[name].missing({"PATH": ""})

    count = storm(both(seeds), strike, CASES, short=short)
    tell(Part.TEXT, "tools.yaml, spoilt byte by byte and value by value", "read or refused", cases=count)


TOOL = """\
tools:
  - name: my-agent
    argv: [my-agent, "{prompt}", "{prompt_file}"]
    capabilities: [python]
    version_cmd: [my-agent, --version]
    cost_hint: 0.5
    fallback: [claude]
    env: [MY_KEY]
    success: {exit_codes: [0, 2]}
    read:
      {format: text, result: "^done: (.*)$", cost: 'cost \\$([0-9.]+)', tokens: "([0-9k]+) in, ([0-9k]+) out"}
    cost_class: metered
    typical_cost_usd: 0.5
    sandbox: bwrap
    sandbox_read: [~/x]
    model: m
    prices: [{model: m, input: 0.3, output: 2.5, cached_input: 0.03}]
"""


def test_settings(tell: Tell, short: bool) -> None:
    starter = REPOSITORY / "cli_multi_rapid" / "cli" / "starter"
    seeds = texts_of("orchestrator.yaml", REPOSITORY / "config", starter)

    def strike(content: bytes) -> None:
        problems = Problems()
        document = read_document(content, "orchestrator.yaml", problems)
        settings = None if document is None else parse_settings([document], problems)
        assert settings is not None or problems.error_count

    count = storm(both(seeds), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "config/orchestrator.yaml, spoilt byte by byte and value by value",
        "read or refused",
        cases=count,
    )


def test_answers_of_models(tell: Tell, short: bool) -> None:
    answer: Json = {
        "name": "Login",
        "nodes": [
            {
                "id": "a",
                "label": "A",
                "goal": "Do A",
                "tool": "claude",
                "deps": [],
                "inputs": ["x.py"],
                "outputs": ["src/a.py"],
                "path_claims": [{"path": "src/**", "mode": "exclusive"}],
                "capabilities": ["python"],
                "priority": "high",
                "estimated_duration_min": 20,
            },
            {"id": "v", "goal": "check", "tool": "verify", "deps": ["a"], "estimated_duration_min": 1},
        ],
    }
    request = Request(text="Add a login", files=("src/a.py",), target=Branch("main"))
    toolbox = Toolbox(default=ToolName("claude"))
    prompt = first_prompt(request, toolbox, [ToolName("claude")], ["src/a.py"])

    def strike(content: bytes) -> None:
        problems = Problems()
        text = content.decode("utf-8", "replace")
        draft = parse_draft(text, "the answer", problems, tools=("claude",), default_base="main")
        if draft is None:
            again = repair_prompt(prompt, text, problems.to_text().splitlines())
            assert len(again.encode()) < 128 * 1024, "no program takes an argument of that length"
            return
        made = plan_of_draft(draft, request, toolbox, planner=ToolName("claude"), spent=ZERO)
        look_all_over(made.plan)

    count = storm(both([as_json(answer)], [answer]), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "a model's answer to a request for a plan, spoilt in every way",
        "planned or asked again",
        cases=count,
    )


def test_reviews_of_models(tell: Tell, short: bool) -> None:
    finding: Json = {"file": "a.py", "line": 3, "severity": "major", "summary": "It is wrong", "node": "a"}
    answer: Json = {"verdict": "fail", "summary": "Looked at all", "findings": [finding, finding]}
    reviewed = Reviewed(nodes=(NodeId("a"),), lines_of=lambda path: 10 if path == "a.py" else None)

    def strike(content: bytes) -> None:
        problems = Problems()
        review = parse_review(content.decode("utf-8", "replace"), "the review", problems, reviewed)
        assert (review is None) == bool(problems.error_count)

    count = storm(both([as_json(answer)], [answer]), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "a model's review, spoilt byte by byte and value by value",
        "taken or asked for again",
        cases=count,
    )


def test_scripts(tell: Tell, short: bool) -> None:
    def strike(script: Json) -> None:
        if not isinstance(script, list) or not all(isinstance(step, dict) for step in script):
            return  # refused as a document, see the plans
        for attempt in (1, 3):
            try:
                steps = steps_of(script, attempt)  # type: ignore[arg-type] # values of any kind on purpose
            except UserError:
                continue
            json.dumps([to_data(step) for step in steps], allow_nan=False)

    count = storm(spoilt_data(SCRIPTS), strike, CASES, short=short)
    tell(Part.TEXT, "scripts of the scripted tool, spoilt value by value", "read or refused", cases=count)


def test_the_file_of_pings(tell: Tell, short: bool, tmp_path: Path) -> None:
    path = tmp_path / "tool_health.json"
    seeds = texts_of("tool_health.json", EXAMPLES)

    def strike(content: bytes) -> None:
        path.write_bytes(content)
        write_health(tmp_path / "again.json", read_health(path).values())

    count = storm(both(seeds), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "state/tool_health.json, spoilt byte by byte and value by value",
        "read as far as it makes sense",
        cases=count,
    )


def test_records_of_slots(tell: Tell, short: bool, tmp_path: Path) -> None:
    records = SlotRecords(tmp_path, tmp_path / "writer")
    record: Json = {
        "name": "a",
        "base": "0" * 40,
        "lane": "lane/r/a",
        "owner": "123",
        "opened": 1.5,
        "links": [".env"],
        "ready": True,
        "kept": False,
        "sealed": "1" * 40,
    }

    def strike(content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        list(records.all())

    count = storm(both([as_json(record)], [record]), strike, CASES, short=short)
    tell(
        Part.TEXT,
        "the records of the worktrees, spoilt byte by byte and value by value",
        "read or passed over",
        cases=count,
    )
