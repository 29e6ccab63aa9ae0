"""The worked example of docs/merge-queue.md runs as it stands there and says what the page says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.fakes.repositories import git_environment

PAGE = REPOSITORY / "docs" / "merge-queue.md"
_VARYING = (
    (re.compile(r"\b[0-9a-f]{10,40}\b"), "ID"),
    (re.compile(r" +\d+(\.\d)? s\b"), " TIME"),
    (re.compile(r"\S*/artifacts/logs/checks/\S+"), "LOG"),
    (re.compile(r"-{2,}"), "--"),
)
"""What is different each time: ids, durations, paths."""


def steps(page: str) -> list[tuple[str, str]]:
    """The commands of the example, and the output that the page shows for them."""
    _, _, rest = page.partition("\n## A worked example\n")
    section, _, _ = rest.partition("\n## ")
    found = re.findall(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", section, re.DOTALL | re.MULTILINE)
    assert len(found) > 3
    return found


def run_example(folder: Path, commands: list[str]) -> list[str]:
    """What each block of commands says on standard output, in one shell."""
    program = shlex.join([sys.executable, "-m", "cli_multi_rapid.cli.main"])
    mark = "@@ end of block @@"
    script = f'cli-orchestrator() {{ {program} "$@"; }}\n'.replace("cli-orchestrator()", "cli_orchestrator()")
    for block in commands:
        script += f"{block.replace('cli-orchestrator ', 'cli_orchestrator ')}\necho '{mark}'\n"
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={**os.environ, **git_environment(folder), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{mark}\n")[:-1]


def masked(text: str) -> list[str]:
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines()]


def test_the_worked_example_says_what_the_page_says(tmp_path: Path) -> None:
    blocks = steps(PAGE.read_text(encoding="utf-8"))
    said = run_example(tmp_path, [commands for commands, _ in blocks])
    for (commands, expected), output in zip(blocks, said, strict=True):
        assert masked(output) == masked(expected), commands
