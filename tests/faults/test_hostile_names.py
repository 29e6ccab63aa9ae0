"""Names and paths of plans, tools and files: refused, or harmless to git, the shell and the file system."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from cli_multi_rapid.adapters.command import CommandAdapter
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import RunId, ToolName
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.planner.load import load_plan
from cli_multi_rapid.ports import Adapter
from cli_multi_rapid.schema.tools import ToolConfig
from cli_multi_rapid.worktrees import slot_name
from tests.fakes.command_line import type_in
from tests.fakes.recorded_agents import AGENTS, brief_for
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import execute
from tests.faults.conftest import Tell
from tests.faults.fuzz_bounds import within_bounds
from tests.faults.fuzz_edits import TEXTS
from tests.faults.hostile_texts import LOOKS, check_harmless
from tests.faults.rows import Part

RUN: Final = RunId("r1")
FIELDS: Final = (
    "plan_id", "name", "branch_base", "nodes.id", "nodes.label", "nodes.tool", "nodes.goal", "nodes.deps",
    "nodes.inputs", "nodes.outputs", "nodes.path_claims", "nodes.model", "nodes.env", "nodes.capabilities",
    "merge_policy.target", "merge_policy.checklist", "checks.inputs",
)  # fmt: skip
LISTS: Final = {"deps", "inputs", "outputs", "path_claims", "capabilities", "checklist"}
LONGEST_MESSAGE: Final = 100_000


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def plan_with(field: str, text: str) -> dict[str, Any]:
    """A plan that says this text in one place."""
    node: dict[str, Any] = {"id": "n1", "tool": "aider", "goal": "g", "path_claims": ["src/**"]}
    check: dict[str, Any] = {"argv": ["true"]}
    plan: dict[str, Any] = {"plan_id": "p", "nodes": [node], "merge_policy": {"target": "main"}}
    plan["checks"] = {"tests": check}
    room, _, key = field.rpartition(".")
    holder = {"": plan, "nodes": node, "merge_policy": plan["merge_policy"], "checks": check}[room]
    holder[key] = [text] if key in LISTS else {text: text} if key == "env" else text
    return plan


def check_accepted(plan: Plan, home: Home) -> set[str]:
    """What becomes of accepted texts: files below our folders. Returns the branches."""
    branches = {str(plan.merge_policy.target), str(plan.branch_base)}
    for node in plan.nodes:
        assert home.attempt_log(RUN, node.id, 1).resolve().is_relative_to(home.artifacts)
        assert "/" not in slot_name(RUN, node.id, 1)
        branches.add(f"lane/{RUN}/{node.id}")
        for path in (*node.inputs, *node.outputs, *(claim.path for claim in node.path_claims)):
            assert not path.startswith("/")
            assert ".." not in path.split("/")
            assert "\0" not in path
    assert (home.plans / f"{plan.plan_id}.json").resolve().is_relative_to(home.artifacts)
    return branches


def test_every_name_of_a_plan(repository: RepositoryBuilder, tmp_path: Path, tell: Tell) -> None:
    path, branches, accepted = tmp_path / "p.json", set[str](), 0
    for field in FIELDS:
        for text in TEXTS:
            path.write_text(json.dumps(plan_with(field, text)))
            with within_bounds():
                try:
                    plan = load_plan(path).plan
                except UserError as error:
                    refused = error.message
                else:
                    refused = ""
                    accepted += 1
                    branches |= check_accepted(plan, Home(root=repository.path))
            assert len(refused) < LONGEST_MESSAGE, "the message repeats all that it refuses"
    for branch in branches:
        assert repository.try_git("check-ref-format", f"refs/heads/{branch}").returncode == 0, branch
        assert not branch.startswith("-")
    cases = len(FIELDS) * len(TEXTS)
    tell(
        Part.TEXT,
        f"{len(TEXTS)} texts (../, dashes, line ends, NUL, shell characters, 1 MB) in {len(FIELDS)} fields",
        f"{cases - accepted} refused; of {accepted} no file lies outside, and git takes every branch",
        cases=cases,
    )


PROMPTS: Final = (*TEXTS, "--dangerously-skip-permissions", "-c core.pager=x", "\0" * 9, "a" * (90 * 1024))


def test_prompts_are_never_options(tell: Tell, tmp_path: Path) -> None:
    mine = ToolConfig(name=ToolName("mine"), argv=("mine", "{prompt}", "--file", "{prompt_file}"))
    agents = {name: AGENTS[name] for name in AGENTS if name not in {"shell", "python", "actions", "scripted"}}
    agents[ToolName("mine")] = CommandAdapter(mine)
    refused = 0
    for name, adapter in agents.items():
        plain = set(prepared(adapter, "do it", tmp_path))
        for prompt in PROMPTS:
            try:
                more = [word for word in prepared(adapter, prompt, tmp_path) if word not in plain]
            except UserError:
                refused += 1
                continue
            assert len(more) <= 1, (name, more)
            assert not any(word.startswith("-") or "\0" in word for word in more), (name, prompt[:60])
    cases = len(agents) * len(PROMPTS)
    tell(
        Part.TEXT,
        f"prompts that look like options, hold NUL or escapes, or are long, for {len(agents)} agents",
        f"one argument, never an option; {refused} refused, which no program can be given",
        cases=cases,
    )


def prepared(adapter: Adapter, prompt: str, temp: Path) -> tuple[str, ...]:
    return adapter.prepare(replace(brief_for("x"), prompt=prompt, temp=temp, slot=temp)).argv


FILE_NAMES: Final = (
    b"new\nline", b"tab\tbed", b'quo"te', b"ap'os", b"back\\slash", b"-rf", b"--", b"--help",
    b":(exclude)*", b":!x", b"*", b"[a-z]", b"?", b"!neg", b"#hash", b" lead", b"trail ", b"\x1b[31mred",
    b"bell\x07", b"\xc2\x9b2J", "\u202egnp.exe".encode(), b"not\xffutf8", b"\xed\xa0\x80", b"$(touch x)",
    b"`id`", b"a;b|c&d", b"%s%n", b"~", b"x" * 255, "é".encode() * 120, b"deep/" * 60 + b"f", b"con", b"HEAD",
    b"refs/heads/main", b"@{-1}", b"a=>b", b"{old => new}", b"0", b"\x7f", b"a b\n c\n",
)  # fmt: skip
WRITE_ALL: Final = """
import json, os, sys
for name in map(bytes.fromhex, json.load(open(sys.argv[1]))):
    os.makedirs(os.path.dirname(name) or b".", exist_ok=True)
    open(name, "ab").write(name)
"""


def test_file_names(repository: RepositoryBuilder, tell: Tell) -> None:
    """Names come from git as bytes that end in NUL, and never as lines."""
    listing = repository.path.parent / "names.json"
    listing.write_text(json.dumps([name.hex() for name in FILE_NAMES]))
    node = {"tool": "shell", "argv": [sys.executable, "-c", WRITE_ALL, str(listing)], "path_claims": ["**"]}
    nodes = [{**node, "id": "n1"}, {**node, "id": "n2", "deps": ["n1"]}]
    plan = {"plan_id": "names", "nodes": nodes, "merge_policy": {"checklist": []}}
    ended = execute(repository, json.dumps(plan))
    assert ended.status == 0, ended.out + ended.err
    wanted = {os.fsdecode(name) for name in FILE_NAMES}
    assert wanted <= set(repository.files("main"))
    assert repository.status() == ""
    for name in wanted:
        assert (repository.path / name).read_bytes() == os.fsencode(name) * 2
    report = type_in(repository.path, "report", "--format", "json").document
    assert [node["files_modified"] for node in report["nodes"]] == [len(FILE_NAMES)] * 2
    for words in LOOKS:
        said = type_in(repository.path, *words)
        assert said.status in {0, 1}, (words, said.err)
        check_harmless(words, said)
    tell(
        Part.TEXT,
        "file names with line ends, escapes, quotes, dashes, pathspecs, no UTF-8, 255 bytes",
        "committed, compared, merged and landed as they are, and shown harmless",
        cases=len(FILE_NAMES),
    )


def test_file_names_in_a_conflict(repository: RepositoryBuilder, tell: Tell) -> None:
    """The files that two sides changed are named by git, and read back from its words."""
    names = [name for name in FILE_NAMES if not name.startswith(b"deep/")]
    repository.commit({os.fsdecode(name): "old\n" for name in names})
    listing = repository.path.parent / "names.json"
    listing.write_text(json.dumps([name.hex() for name in names]))
    argv = [
        sys.executable,
        "-c",
        WRITE_ALL.replace("write(name)", "write(sys.argv[2].encode())"),
        str(listing),
    ]
    nodes = [
        {"id": who, "tool": "shell", "argv": [*argv, who], "path_claims": [{"path": "**", "mode": "shared"}]}
        for who in ("n1", "n2")
    ]
    plan = {"plan_id": "names", "nodes": nodes, "merge_policy": {"checklist": []}}
    assert execute(repository, json.dumps(plan)).status == 1
    events = type_in(repository.path, "events", "--type", "merge.conflicted", "--format", "json").document
    (told,) = [event["data"]["files"] for event in events["events"]]
    assert {os.fsencode(name) for name in told} == set(names)
    for words in LOOKS:
        check_harmless(words, type_in(repository.path, *words))
    tell(
        Part.TEXT,
        "such file names in a conflict of two nodes",
        "every file is named, and shown harmless",
        cases=len(names),
    )
