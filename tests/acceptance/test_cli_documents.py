"""The commands around a run: init, plan, validate, graph, config, schema, completion."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cli_multi_rapid.schema.published import schema_names, schema_violations
from tests.fakes.command_line import PACKAGE_ROOT, start_in, type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository

PLAN = """\
plan_id: pair
nodes:
  - {id: a, label: First, tool: shell, run: echo a > a.txt, path_claims: ["*.txt"]}
  - {id: b, label: Second, tool: shell, run: echo b > b.txt, path_claims: [b.txt]}
merge_policy: {checklist: []}
"""
BAD = """\
nodes:
  - {id: a, tool: shel, goal: x}
  - {id: b, tool: claude, goal: y, deps: [c]}
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


# --- init ---------------------------------------------------------------------------------------------------


def test_init_writes_a_starter_that_is_valid_and_adds_nothing_else(
    repository: RepositoryBuilder,
) -> None:
    ended = type_in(repository.path, "init", "--format", "json")

    assert ended.status == 0
    assert schema_violations(ended.document, "init") == []
    assert ended.document["left_alone"] == []
    assert all((repository.path / name).is_file() for name in ended.document["written"])
    assert repository.status().split() == ["??", "config/", "??", "workflows/"]
    files = [name for name in ended.document["written"] if name.endswith(".yaml")]
    validated = type_in(repository.path, "validate", "--strict", *files)
    assert validated.status == 0, validated.out
    assert validated.out == "4 files: no problems\n"


def test_init_never_writes_over_a_file(repository: RepositoryBuilder) -> None:
    repository.write({"config/tools.yaml": "mine\n"})
    (repository.path / "config" / "orchestrator.yaml").symlink_to("nowhere")

    ended = type_in(repository.path, "init")
    again = type_in(repository.path, "init", "--format", "json")

    assert ended.status == 0
    assert (repository.path / "config/tools.yaml").read_text() == "mine\n"
    assert not (repository.path / "nowhere").exists()
    assert "left alone: config/tools.yaml" in ended.out
    assert "left alone: config/orchestrator.yaml" in ended.out
    assert "written:    workflows/multi_stream.yaml" in ended.out
    assert again.document["written"] == []


def test_init_outside_of_a_repository_says_what_to_type(tmp_path: Path) -> None:
    ended = type_in(tmp_path, "init")
    assert (ended.status, list(tmp_path.iterdir())) == (5, [])
    assert "hint: run `git init`" in ended.err


def test_the_agents_of_the_starter_are_those_of_this_repository() -> None:
    starter = PACKAGE_ROOT / "cli_multi_rapid" / "cli" / "starter" / "tools.yaml"
    assert starter.read_text() == (PACKAGE_ROOT / "config" / "tools.yaml").read_text()


# --- plan ---------------------------------------------------------------------------------------------------


def test_a_request_becomes_a_plan_file_that_validates_and_says_what_to_expect(
    repository: RepositoryBuilder,
) -> None:
    repository.commit({"src/app.py": "x = 1\n"})
    words = (
        "plan",
        "--request",
        "Add a health check",
        "--files",
        "src/app.py,docs/health.md",
        "--budget",
        "3",
    )

    shown = type_in(repository.path, *words, "-o", "new.json")
    document = type_in(repository.path, *words, "--format", "json").document

    assert shown.status == 0, shown.err
    for word in ("complexity", "risk", "confidence", "estimate", "next: cli-orchestrator execute new.json"):
        assert word in shown.out
    assert type_in(repository.path, "validate", "new.json").status == 0
    assert schema_violations(document, "preview") == []
    assert document["target"] == "main"
    assert document["assessment"]["confidence"] > 0
    saved = Path(document["path"])
    assert saved == repository.path / "artifacts/plans" / f"{document['plan_id']}.json"
    assert json.loads(saved.read_text())["global_budget_usd"] == 3
    assert schema_violations(json.loads(saved.read_text()), "plan") == []


def test_a_built_in_tool_that_is_described_for_its_sandbox_is_given_no_goal(
    repository: RepositoryBuilder,
) -> None:
    described = "tools: [{name: shell, sandbox: bwrap, network: none, capabilities: [code, tests]}]\n"
    repository.commit({"config/tools.yaml": described})
    ended = type_in(repository.path, "plan", "--request", "Add a health check", "-o", "new.json")
    assert ended.status == 0, ended.err
    nodes = json.loads((repository.path / "new.json").read_text())["nodes"]
    assert {node["tool"] for node in nodes} - {"verify"} == {"claude"}


def test_files_may_follow_each_other_without_repeating_the_option(repository: RepositoryBuilder) -> None:
    ended = type_in(
        repository.path, "plan", "--format=json", "--request", "Explain it", "--files", "a.md", "b.md"
    )
    claims = [claim for node in ended.document["nodes"] for claim in node["path_claims"]]
    assert claims == ["a.md (exclusive)", "b.md (exclusive)"]


def test_a_plan_without_a_request_is_a_matter_of_usage(repository: RepositoryBuilder) -> None:
    assert type_in(repository.path, "plan").status == 2
    empty = type_in(repository.path, "plan", "--request", " ", "--format", "json")
    assert (empty.status, empty.document["error"]["code"]) == (2, "input")


# --- validate -----------------------------------------------------------------------------------------------


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "good.yaml").write_text(PLAN)

    ended = type_in(tmp_path, "validate", "good.yaml", "bad.yaml", "missing.yaml")
    document = type_in(
        tmp_path, "validate", "good.yaml", "bad.yaml", "missing.yaml", "--format=json"
    ).document

    assert ended.status == 2
    for said in ("bad.yaml:2:19: error[E401]", "bad.yaml:3:43: error[E202]", "missing.yaml: error[E001]"):
        assert said in ended.out
    assert "3 files: 3 errors, 2 notices" in ended.out
    assert schema_violations(document, "problems") == []
    assert document["valid"] is False


def test_warnings_pass_unless_they_are_meant_to_count(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.replace("plan_id: pair", "plan_id: pair\nversion: 1"))
    (tmp_path / "order.yaml").write_text(PLAN + "execution_order: [[a], [b]]\n")

    assert type_in(tmp_path, "validate", "plan.yaml", "--strict").status == 0
    assert type_in(tmp_path, "validate", "order.yaml").status == 0
    strict = type_in(tmp_path, "validate", "order.yaml", "--strict", "--format", "json")
    assert strict.status == 2
    assert "warning" in {problem["severity"] for problem in strict.document["problems"]}


def test_validation_needs_neither_git_nor_a_repository_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    ended = start_in(tmp_path, "validate", "plan.yaml", environment={"PATH": "/nonexistent"})
    assert ended.status == 0, ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


def test_tools_of_the_repository_may_be_named_and_a_broken_configuration_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tools.yaml").write_text("tools: [{name: quill, argv: [quill, '{prompt}']}]\n")
    (tmp_path / "plan.yaml").write_text(
        PLAN.replace("tool: shell, run: echo a > a.txt", "tool: quill, goal: g")
    )
    assert type_in(tmp_path, "validate", "plan.yaml").status == 0

    (tmp_path / "config/tools.yaml").write_text("tools: [{nam: quill}]\n")
    ended = type_in(tmp_path, "validate", "plan.yaml")
    assert ended.status == 0
    assert "the configuration is wrong" in ended.err
    assert "config/tools.yaml:1:10" in ended.err


# --- graph --------------------------------------------------------------------------------------------------


def test_a_graph_shows_the_order_that_comes_from_claims(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)

    text = type_in(tmp_path, "graph", "plan.yaml")
    dot = type_in(tmp_path, "graph", "plan.yaml", "--as", "dot")
    mermaid = type_in(tmp_path, "graph", "plan.yaml", "--as", "mermaid")
    svg = type_in(tmp_path, "graph", "plan.yaml", "--as", "svg", "-o", "plan.svg")

    assert (text.status, dot.status, mermaid.status, svg.status) == (0, 0, 0, 0)
    assert "after a: " in text.out
    assert '"a" -> "b" [style=dashed' in dot.out
    assert mermaid.out.startswith("flowchart")
    assert (svg.out, svg.err) == ("", "written: plan.svg\n")
    assert ET.parse(tmp_path / "plan.svg").getroot().tag.endswith("svg")


def test_a_graph_of_a_bad_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(BAD)
    ended = type_in(tmp_path, "graph", "plan.yaml")
    assert (ended.status, ended.out) == (2, "")
    assert "plan.yaml:2:19: error[E401]" in ended.err


# --- config, schema, completion -----------------------------------------------------------------------------


def test_every_setting_names_the_layer_that_set_it(
    repository: RepositoryBuilder, sandbox_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = sandbox_home / ".config" / "cli-orchestrator" / "orchestrator.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("budget: {node_usd: 3}\nworkers: 2\n")
    repository.write({"config/orchestrator.yaml": "workers: 6\nchecks: {style: {argv: [ruff, check]}}\n"})
    monkeypatch.setenv("CLI_ORCHESTRATOR_BUDGET__DAY_USD", "40")

    text = type_in(repository.path, "config", "show")
    document = type_in(repository.path, "config", "show", "--format", "json").document

    assert schema_violations(document, "settings") == []
    found = {line["key"]: (line["value"], line["source"]) for line in document["settings"]}
    assert found["workers"] == (6, "config/orchestrator.yaml")
    assert found["budget.node_usd"] == (3.0, str(user))
    assert found["budget.day_usd"] == (40.0, "environment")
    assert found["claims.violation"] == ("fail", "built-in")
    assert found["checks.style"][0]["argv"] == ["ruff", "check"]
    assert "workers" in text.out
    assert "(environment)" in text.out


def test_schemas_are_listed_and_printed_as_they_are_published(tmp_path: Path) -> None:
    listed = type_in(tmp_path, "schema", "list", "--format", "json").document
    assert schema_violations(listed, "schema_list") == []
    assert [line["name"] for line in listed["schemas"]] == list(schema_names())

    shown = type_in(tmp_path, "schema", "show", "plan")
    assert shown.document["$id"].startswith("urn:cli-orchestrator:schema:plan")
    assert "# yaml-language-server: $schema=file://" in shown.err

    kept = type_in(tmp_path, "schema", "show", "streams", "-o", "streams.json")
    assert (tmp_path / "streams.json").exists()
    assert "$schema=streams.json" in kept.err

    unknown = type_in(tmp_path, "schema", "show", "plam")
    assert unknown.status == 2
    assert "did you mean `plan`?" in unknown.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_completion_script(tmp_path: Path, shell: str) -> None:
    ended = type_in(tmp_path, "completion", shell)
    assert ended.status == 0
    assert f"_CLI_ORCHESTRATOR_COMPLETE={shell}_complete" in ended.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ended.out, text=True, check=True)


def test_commands_and_options_are_completed_without_loading_the_commands(tmp_path: Path) -> None:
    def complete(line: str, place: int) -> list[str]:
        ended = start_in(
            tmp_path,
            environment={
                "_CLI_ORCHESTRATOR_COMPLETE": "bash_complete",
                "COMP_WORDS": f"cli-orchestrator {line}",
                "COMP_CWORD": str(place),
            },
        )
        return [word.partition(",")[2] for word in ended.out.split()]

    assert complete("exec", 1) == ["execute"]
    assert complete("execute --dry", 2) == ["--dry-run"]
    assert complete("schema sh", 2) == ["show"]
