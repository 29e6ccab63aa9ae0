"""Keys, tokens and passwords are kept nowhere, whoever prints them; what is kept is for its user alone."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.command_line import type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import ONE, execute
from tests.faults.conftest import Tell
from tests.faults.hostile_texts import DOCUMENTS, LOOKS
from tests.faults.rows import Part

VALUE: Final = "Zq7-hidden-in-the-environment"
KEY: Final = "sk-" + "ant-api03-4f9aB7c2D8e1F6a3B5c9_x-Y"
IN_URL: Final = "hunter2-in-the-url"
SECRETS: Final = (VALUE, KEY, IN_URL)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RepositoryBuilder:
    monkeypatch.setenv("MY_SERVICE_TOKEN", VALUE)
    return make_repository(tmp_path / "repo", {"a.txt": "a\n", "b.txt": "b\n"})


def kept(repository: RepositoryBuilder) -> Iterator[tuple[Path, bytes]]:
    """All files that we keep, but for the worktrees, where tools write what they like."""
    for folder in ("state", "artifacts"):
        for path in (repository.path / folder).rglob("*"):
            if path.is_file() and path.relative_to(repository.path).parts[1] != "worktrees":
                yield path, path.read_bytes()


def check_clean(repository: RepositoryBuilder, said: str) -> None:
    """No secret in a file of ours, nor in what was said."""
    for where, text in [*kept(repository), (Path("the terminal"), said.encode())]:
        for secret in SECRETS:
            assert secret.encode() not in text, (where, secret)


def test_secrets_that_tools_and_checks_print(
    repository: RepositoryBuilder, tmp_path: Path, tell: Tell
) -> None:
    leaks = tmp_path / "leaks"
    leaks.write_text(
        f"echo $MY_SERVICE_TOKEN {KEY} https://u:{IN_URL}@host/ bearer={KEY}\n"
        'echo "url=$MY_SERVICE_TOKEN" >&2; echo "{\\"key\\": \\"$MY_SERVICE_TOKEN\\"}"\n'
        "printf %s $MY_SERVICE_TOKEN | cut -c1-9 | tr -d '\\n'\n"
        "sleep 0.2; printf %s $MY_SERVICE_TOKEN | cut -c10-\n"
    )
    repository.git("remote", "add", "origin", f"https://ada:{IN_URL}@localhost:1/x.git")
    nodes: list[dict[str, object]] = [
        {"id": "says", "run": f"sh {leaks}; echo x > a.txt", "path_claims": ["a.txt"]},
        {"id": "fails", "run": f"sh {leaks}; exit 1", "retries": 1, "path_claims": ["c.txt"]},
        {"id": "hangs", "run": f"sh {leaks}; sleep 60", "timeout_s": 1, "path_claims": ["d.txt"]},
        {"id": "lands", "run": f"sh {leaks}; echo x > b.txt", "path_claims": ["b.txt"]},
    ]
    plan = {
        "plan_id": "leaks",
        "nodes": [{"tool": "shell", "retries": 0, **node} for node in nodes],
        "checks": {"tests": {"run": f"sh {leaks}; grep -q b b.txt"}},
        "merge_policy": {"checklist": ["tests"]},
    }
    told = [execute(repository, json.dumps(plan))]
    told.append(type_in(repository.path, "inject", "fails", f"use {VALUE} and {KEY}"))
    told.append(type_in(repository.path, "queue", "add", f"https://x:{IN_URL}@h/x"))
    told += [type_in(repository.path, *words) for words in LOOKS]
    told += [type_in(repository.path, *words, "--format", "json") for words in DOCUMENTS]
    assert "[redacted]" in type_in(repository.path, "logs").out
    check_clean(repository, "".join(ended.out + ended.err for ended in told))
    tell(
        Part.TEXT,
        "keys and tokens of the environment, known kinds of keys, passwords in URLs: from tools and checks",
        "in no event, log, report, list, export or finding of doctor",
        cases=len(told),
    )


def test_a_secret_in_a_plan(repository: RepositoryBuilder, tell: Tell) -> None:
    plans = [
        f"{{id: n, tool: shell, run: 'curl -H {KEY}'}}",
        f"{{id: n, tool: shell, run: x, env: {{A: {VALUE}}}}}",
        f"{{id: n, tool: shell, run: x, label: '{VALUE}'}}",
        f"{{id: n, tool: shell, argv: [git, clone, 'https://a:{IN_URL}@h/x']}}",
    ]
    for node in plans:
        ended = execute(repository, f"nodes: [{node}]")
        assert ended.status == 2, ended.err
        assert "looks like a key" in ended.err
        check_clean(repository, ended.out + ended.err)
    tell(Part.TEXT, "a secret in a plan", "refused before anything is kept (exit 2)", cases=len(plans))


def test_a_secret_in_disguise(repository: RepositoryBuilder, tell: Tell) -> None:
    execute(repository, ONE.replace("echo hello", "echo $MY_SERVICE_TOKEN | rev; echo hello"))
    assert VALUE[::-1] in type_in(repository.path, "logs").out
    tell(
        Part.TEXT,
        "a secret that a tool prints in another form: turned round, base64, with something in between",
        "not recognised: nobody knows every form. Give tools keys that are good for little",
        kept=False,
    )


def test_other_users_of_the_machine(repository: RepositoryBuilder, tell: Tell) -> None:
    old = os.umask(0o022)
    try:
        for name in ("state", "artifacts"):
            (repository.path / name).mkdir(mode=0o755)
        execute(repository, ONE)
    finally:
        os.umask(old)
    folders = [repository.path / "state", repository.path / "artifacts"]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700, 0o700]
    assert (repository.path / "state/orchestrator.db").stat().st_mode & 0o777 == 0o600
    tell(
        Part.TEXT,
        "other users of the machine, where the folders were there before and open to all",
        "state/ and artifacts/ are 0700, the database 0600",
        cases=sum(1 for _ in kept(repository)),
    )
