"""What a confined tool cannot do, and what it still can: with real nodes, a real bwrap and real signals."""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli_multi_rapid.core.confinement import Confinement, ConfinementRules
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import NodeId, ToolName
from cli_multi_rapid.core.plan import Network, Node
from cli_multi_rapid.engine.confinement import Sandboxes
from cli_multi_rapid.git_agent import read_from_slots
from cli_multi_rapid.ports import Invocation
from cli_multi_rapid.process import Completed, ProgramMissing, inherited_environment, run
from cli_multi_rapid.worktrees import Strategy
from tests.engine.test_git_snapshot import Attempt
from tests.fakes.command_line import type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.sandboxes import INTRUDER, needs_bwrap
from tests.fakes.short_runs import ONE, execute, the_report


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    made = make_repository(tmp_path / "r", {"intruder.py": INTRUDER})
    made.git("commit", "--quiet", "--allow-empty", "-m", "second")
    return made


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@needs_bwrap
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_node_that_tries_everything_gets_nowhere_when_it_is_confined(
    builder: RepositoryBuilder, sandbox_home: Path, port: int
) -> None:
    (sandbox_home / ".ssh").mkdir()
    (sandbox_home / ".ssh" / "id_test").write_text("a private key")
    for folder in ("state/worktrees/another", "config", ".git/hooks"):
        (builder.path / folder).mkdir(parents=True, exist_ok=True)
    common = [str(sandbox_home), str(builder.path), str(port), str(os.getpid())]
    nodes = [
        {
            "id": who,
            "tool": "shell",
            "argv": [sys.executable, "intruder.py", who, *common, f"{who}.json"],
            "path_claims": [f"{who}.json", {"path": "work.txt", "mode": "shared"}],
            **keys,
        }
        for who, keys in {"free": {}, "held": {"sandbox": "bwrap", "network": "none"}}.items()
    ]
    plan = {"plan_id": "intruders", "nodes": nodes, "merge_policy": {"checklist": []}}
    execute(builder, json.dumps(plan))

    told: Mapping[str, Any] = {
        node["node_id"]: json.loads(builder.git("show", f"{node['commit']}:{node['node_id']}.json"))
        for node in nodes_of(builder)
    }
    assert set(told["free"]["forbidden"].values()) == {"done"}, "the intruder itself is broken"
    assert "done" not in told["held"]["forbidden"].values(), told["held"]
    assert set(told["held"]["needed"].values()) == {"done"}, told["held"]
    for made in (".git/hooks/{}", "config/{}", "untracked.{}", "state/{}", "state/worktrees/another/{}"):
        assert (builder.path / made.format("free")).exists()
        assert not (builder.path / made.format("held")).exists(), made
    Path(f"/tmp/free{port}").unlink()
    assert not Path(f"/tmp/held{port}").exists()
    assert (sandbox_home / ".profile").read_text() == "free\n"
    assert {node["node_id"]: node["attempts"][0]["sandbox"] for node in nodes_of(builder)} == {
        "free": "",
        "held": "bwrap, network none",
    }


def nodes_of(builder: RepositoryBuilder) -> list[Any]:
    found = the_report(builder)["nodes"]
    assert isinstance(found, list)
    return found


# --- one program at a time ----------------------------------------------------------------------------------


class Bench:
    """Confines programs in a slot, on terms that a test changes."""

    def __init__(self, slot: Path, tmp_path: Path, **parts: Any) -> None:
        self.slot = slot
        self.temp, self.private = tmp_path / "temp", tmp_path / "private"
        for folder in (slot, self.temp, self.private):
            folder.mkdir(exist_ok=True, parents=True)
        self.sandboxes = Sandboxes(rules=ConfinementRules(), **{"protected": (), **parts})

    def confine(self, *argv: str, env: Mapping[str, str] | None = None, **terms: Any) -> Invocation:
        node = Node(id=NodeId("n"), label="n", tool=ToolName("shell"), env=env or {})
        program = Invocation(argv=argv, env={**inherited_environment(), **node.env}, cwd=self.slot)
        confinement = Confinement(**terms)
        return self.sandboxes.confine(program, confinement, node, temp=self.temp, private=self.private)

    def run(self, line: str, **terms: Any) -> Completed:
        program = self.confine("sh", "-c", line, **terms)
        return run(program.argv, env=program.env, cwd=program.cwd, timeout_s=20)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "slot", tmp_path)


@needs_bwrap
def test_what_is_declared_is_shown_and_nothing_protected_with_it(tmp_path: Path, sandbox_home: Path) -> None:
    (sandbox_home / ".agent").mkdir()
    (sandbox_home / ".agent" / "key").write_text("key")
    for name in ("data/public", "data/repository/inner"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    bench = Bench(tmp_path / "slot", tmp_path, protected=(tmp_path / "data" / "repository",))
    link = f"{tmp_path}/link"
    done = bench.run(
        f"cat {link}/public/file ~/.agent/key; ls {link}/repository; touch {link}/x; echo y > ~/.agent/key",
        read=(link,),
        write=("~/.agent",),
    )
    assert done.text == "data/publickey"
    assert "Read-only" in done.error_text
    assert (sandbox_home / ".agent" / "key").read_text() == "y\n"


@needs_bwrap
def test_a_declaration_that_cannot_be_kept_is_refused(tmp_path: Path, sandbox_home: Path) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "elsewhere").symlink_to(tmp_path / "repository" / ".git")
    (sandbox_home / "bin").mkdir()
    (sandbox_home / "bin" / "agent").write_text("#!/bin/sh\necho hello\n")
    (sandbox_home / "bin" / "agent").chmod(0o755)
    bench = Bench(tmp_path / "slot", tmp_path, protected=(tmp_path / "repository",))
    with pytest.raises(UserError, match="does not exist"):
        bench.confine("true", write=("~/nothing",))
    with pytest.raises(UserError, match="belongs to the repository"):
        bench.confine("true", write=(f"{tmp_path}/elsewhere",))
    (tmp_path / "again").symlink_to(tmp_path / "repository")
    for whole in ("repository", "again"):
        with pytest.raises(UserError, match="which stays hidden"):
            bench.confine("true", read=(f"{tmp_path}/{whole}",))
    with pytest.raises(ProgramMissing, match="nowhere-at-all was not found"):
        bench.confine("nowhere-at-all")
    agent = str(sandbox_home / "bin" / "agent")
    with pytest.raises(UserError, match="which the sandbox hides") as caught:
        bench.confine(agent)
    assert f"sandbox_read: [{sandbox_home}/bin]" in caught.value.hint
    program = bench.confine(agent, read=("~/bin",))
    assert run(program.argv, env=program.env, cwd=program.cwd).text == "hello"


@needs_bwrap
def test_the_variables_of_a_node_reach_its_program_and_not_the_sandbox_itself(bench: Bench) -> None:
    line = 'echo "${LD_PRELOAD-none}${WORD}"'
    program = bench.confine("sh", "-c", line, env={"LD_PRELOAD": "", "WORD": "two words"})
    assert "LD_PRELOAD" not in program.env
    assert run(program.argv, env=program.env, cwd=program.cwd).text == "two words"


@needs_bwrap
@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("network", Network)
def test_a_program_reaches_itself_and_others_as_its_network_says(
    bench: Bench, port: int, network: Network
) -> None:
    talk = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
for kind, port in {"own": server.getsockname()[1], "other": int(sys.argv[1])}.items():
    try:
        socket.create_connection(("127.0.0.1", port), 5)
        print(kind)
    except OSError:
        continue
"""
    program = bench.confine(sys.executable, "-c", talk, str(port), network=network)
    done = run(program.argv, env=program.env, cwd=program.cwd, timeout_s=20)
    expected = {Network.NONE: [], Network.LOOPBACK: ["own"], Network.FULL: ["own", "other"]}
    assert (done.returncode, done.text.split()) == (0, expected[network])


@needs_bwrap
def test_the_kernels_settings_stay_as_they_are_even_for_root(bench: Bench) -> None:
    done = bench.run("cat /etc/shadow; (: >> /proc/sys/kernel/core_pattern) && echo opened")
    assert done.text == ""


@needs_bwrap
def test_a_slot_that_is_linked_to_the_repository_can_look_at_it_and_change_nothing(
    builder: RepositoryBuilder, tmp_path: Path
) -> None:
    attempt = Attempt(builder, tmp_path / "state", strategy=Strategy.LINKED)
    try:
        git_dir = builder.path / ".git"
        lent = read_from_slots(git_dir, linked=True)
        bench = Bench(attempt.slot.path, tmp_path, lent=lent, protected=(builder.path, git_dir))
        done = bench.run(
            "echo x >> intruder.py; git status --short; git log --format=%s; "
            "git commit -qam no; git branch no; git config a.b c"
        )
    finally:
        attempt.worktrees.close()
    assert done.text.split("\n")[:2] == [" M intruder.py", "second"]
    assert done.returncode != 0
    assert "no" not in builder.git("branch", "--list", "no")
    assert builder.try_git("config", "a.b").returncode == 1


# --- where it cannot be had ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["auto", "plain"])
def test_a_tool_that_may_get_a_node_is_looked_at_before_the_start(
    builder: RepositoryBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    """The cheapest tool, and the one that the plan names, is not confined; what may take over is."""
    described = """\
        tools:
          - {name: plain, argv: [sh, -c, "true {prompt}"], cost_hint: 0.1, cost_class: free, fallback: [held]}
          - {name: held, argv: [sh, -c, "true {prompt}"], cost_hint: 0.9, cost_class: free, sandbox: bwrap}
        """
    builder.commit({"config/tools.yaml": described})
    monkeypatch.setenv("PATH", str(programs_without_bwrap(tmp_path)))
    plan = f"nodes: [{{id: a, tool: {tool}, goal: Do it, path_claims: [a.txt]}}]"
    ended = execute(builder, plan)
    assert ended.status == 5
    assert "bwrap, which was not found" in ended.err
    assert not (builder.path / "state").exists()


@pytest.mark.parametrize("fix", ["auto", "off"])
def test_a_tool_that_only_fixes_is_looked_at_before_the_start_where_there_may_be_fixes(
    builder: RepositoryBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fix: str
) -> None:
    held = "tools: [{name: held, argv: [sh, -c, 'true {prompt}'], cost_class: free, sandbox: bwrap}]\n"
    builder.commit({"config/tools.yaml": held})
    monkeypatch.setenv("PATH", str(programs_without_bwrap(tmp_path)))
    plan = (
        f"verification: {{fix: {fix}, tool: held}}\nmerge_policy: {{checklist: []}}\n"
        "nodes: [{id: a, tool: shell, run: ': > a', path_claims: [a]}, {id: v, tool: verify, deps: [a]}]"
    )
    ended = execute(builder, plan)
    assert (ended.status, "bwrap, which was not found" in ended.err) == (
        (5, True) if fix == "auto" else (0, False)
    )


def programs_without_bwrap(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("git", "sh"):
        found = run(["sh", "-c", f"command -v {program}"], env=inherited_environment()).text
        (folder / program).symlink_to(found)
    return folder


CONFINED = ONE.replace("tool: shell", "tool: shell, sandbox: bwrap")


@pytest.mark.parametrize("obstacle", ["missing", "forbidden"])
def test_a_run_that_cannot_be_confined_is_refused_before_anything_is_recorded(
    builder: RepositoryBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    folder = programs_without_bwrap(tmp_path)
    said = {"missing": "bwrap, which was not found", "forbidden": "bwrap: no namespaces"}[obstacle]
    if obstacle == "forbidden":
        (folder / "bwrap").write_text("#!/bin/sh\necho 'bwrap: no namespaces' >&2\nexit 1\n")
        (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    ended = execute(builder, CONFINED)
    assert ended.status == 5
    assert said in ended.err
    assert "hint: " in ended.err
    assert not (builder.path / "state").exists()
    assert type_in(builder.path, "execute", tmp_path / "plan.yaml", "--dry-run").status == 0
