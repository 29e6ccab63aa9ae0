"""Text of plans, tools and files is shown and never obeyed, by the terminal, by a page or by a graph."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.fakes.command_line import Ended, type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import ONE, execute
from tests.faults.conftest import Tell
from tests.faults.hostile_texts import DOCUMENTS, EVIL, LOOKS, TITLE, TURNED, check_harmless, quoted
from tests.faults.rows import Part


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo", {"a.txt": "a\n", "b.txt": "b\n"})


@pytest.fixture
def hostile_run(repository: RepositoryBuilder) -> Ended:
    """A run in which every text that a plan, a tool, a check or a file name can set is an attack."""
    name = "evil \x1b]0;PWNED\x07\u202e<script>.txt"
    say = f"printf '%s\\n' {quoted(EVIL)}"
    nodes = [
        {"id": "good", "run": f"{say}; echo x > {quoted(name)}", "path_claims": ["**"]},
        {"id": "bad", "run": f"{say}; {say} >&2; exit 3", "path_claims": ["b.txt"], "deps": ["good"]},
        {"id": "red", "run": f"{say}; echo y > a.txt", "path_claims": ["a.txt"], "deps": ["good"]},
    ]
    plan = {
        "plan_id": "evil",
        "name": TURNED,
        "description": TURNED,
        "nodes": [{"tool": "shell", "label": TURNED, "retries": 0, **node} for node in nodes],
        "checks": {"tests": {"run": f"grep -q a a.txt || {{ {say}; exit 1; }}"}},
        "merge_policy": {"checklist": ["tests"]},
    }
    return execute(repository, yaml.safe_dump(plan, allow_unicode=True))


class Scripts(HTMLParser):
    """Counts what a page would run."""

    found = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += tag == "script" or any(name.startswith("on") for name, _ in attrs)


def test_what_is_shown_is_not_obeyed(hostile_run: Ended, repository: RepositoryBuilder, tell: Tell) -> None:
    assert hostile_run.status == 1, hostile_run.err
    assert "alert(1)" in hostile_run.out, "the texts are not shown at all"
    told: dict[tuple[str, ...], Ended] = {("execute",): hostile_run}
    told |= {words: type_in(repository.path, *words) for words in LOOKS}
    told |= {(*words, "json"): type_in(repository.path, *words, "--format", "json") for words in DOCUMENTS}
    gone = told["queue", "list", "json"].document["processing_history"]
    red = next(row["id"] for row in gone if "red" in row["id"])
    told["queue", "why"] = type_in(repository.path, "queue", "why", red)
    for form in ("text", "mermaid", "dot", "svg"):
        plan = repository.path.parent / "plan.yaml"
        told["graph", form] = type_in(repository.path, "graph", plan, "--as", form)
    for words, ended in told.items():
        assert ended.status in {0, 1}, (words, ended.err)
        check_harmless(words, ended)
        if words[-1] != "json" and words != ("export",):  # there as an escape of JSON
            assert "PWNED" not in ended.out + ended.err, words
    for shown in (told["report", "--format", "html"], told["graph", "svg"]):
        page = Scripts()
        page.feed(shown.out)
        assert page.found == 0
    tell(
        Part.TEXT,
        "escape sequences, turned reading directions and markup in names, labels, output, reasons and files",
        "shown without what steers, in every command, document, page and graph",
        cases=len(told),
    )


def test_a_terminal_that_is_watched(repository: RepositoryBuilder, tell: Tell) -> None:
    """On a terminal the view is redrawn: it sends sequences of its own, and none of theirs."""
    node = {"id": "n", "tool": "shell", "label": TURNED, "retries": 0, "path_claims": ["x"]}
    nodes = [{**node, "run": f"printf '%s\\n' {quoted(EVIL)}; exit 1"}]
    plan = yaml.safe_dump({"plan_id": "p", "nodes": nodes}, allow_unicode=True)
    (repository.path.parent / "plan.yaml").write_text(plan)
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "cli_multi_rapid.cli.main", "execute", "../plan.yaml"]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"}
    with subprocess.Popen(
        argv, cwd=repository.path, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as program:
        os.close(theirs)
        shown = b"".join(_pieces(ours))
    os.close(ours)
    assert program.returncode == 1
    assert b"alert(1)" in shown
    assert b"\x1b[" in shown, "the view was not redrawn"
    for sequence in (b"PWNED", b"\x1b[2J", b"\xc2\x9b", "\u202e".encode()):
        assert sequence not in shown, sequence
    tell(
        Part.TEXT,
        "escape sequences in output and labels while a person watches the terminal",
        "no sequence of theirs among ours",
    )


def _pieces(handle: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(handle, 65536)
        except OSError:  # the other end of a terminal says EIO when it is closed
            return
        if not piece:
            return
        yield piece


def test_what_was_typed_comes_back_harmless(repository: RepositoryBuilder, tell: Tell) -> None:
    execute(repository, ONE)
    bad = f"x{TITLE}\x9b2J\u202e"
    name = f"{bad}.yaml"
    (repository.path / name).write_text(f"nodes: [{{id: {json.dumps(bad)}, tool: {json.dumps(bad)}}}]\n")
    (repository.path / f"raw{name}").write_text(f"nodes: [{{id: {bad}}}]\n")
    typed: list[tuple[str, ...]] = [
        (bad,), ("status", bad), ("status", f"--{bad}"), ("events", "--type", bad), ("logs", bad),
        ("report", bad), ("retry", bad), ("execute", bad), ("execute", name), ("validate", bad),
        ("validate", name), ("validate", f"raw{name}"), ("graph", name), ("queue", "add", bad),
        ("queue", "why", bad), ("queue", "list", "--target", bad), ("import", name),
        ("plan", "--request", bad, "--planner", bad), ("status", "--repo", bad), ("schema", bad),
        ("execute", "--budget", bad), ("tools", "ping", bad), ("execute", name, "--param", bad),
        ("streams", "show", bad), ("worktrees", "clean", bad), ("coordination", "report", bad),
    ]  # fmt: skip
    for words in typed:
        ended = type_in(repository.path, *words)
        assert ended.status in {0, 1, 2, 5}, (words, ended.err)
        check_harmless(words, ended)
    tell(
        Part.TEXT,
        "escape sequences in arguments, in file names and in files with errors",
        "refused with a message that steers nothing",
        cases=len(typed),
    )


def test_a_ci_service_takes_no_orders_from_tools(repository: RepositoryBuilder, tell: Tell) -> None:
    """GitHub obeys every line that begins with two colons."""
    say = "printf '\\n::error title=x::PWNED\\n::stop-commands::y\\n##[command]z\\n'"
    node = {"id": "n", "tool": "shell", "label": "::error::PWNED", "retries": 0, "run": f"{say}; exit 1"}
    ended = execute(repository, json.dumps({"plan_id": "p", "nodes": [node]}), "--ci")
    assert ended.status == 1
    orders = [
        line for line in f"{ended.out}\n{ended.err}".splitlines() if line.lstrip().startswith(("::", "##["))
    ]
    assert len(orders) == 1, orders
    assert orders[0].startswith("::error title=n failed::")
    tell(
        Part.TEXT,
        "lines that a CI service would obey, in output and labels, with --ci",
        "only our own are given",
    )
