"""Documents made to exhaust whoever reads them: each is refused or read, in bounded time and memory."""

from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.schema.validation import Surroundings, validate_file
from tests.faults.conftest import Tell
from tests.faults.fuzz_bounds import MOST_CPU_S, MOST_MEMORY, within_bounds
from tests.faults.fuzz_edits import DEEP, MEGABYTE
from tests.faults.rows import Part

MANY: Final = 100_000


def laughs(levels: int) -> str:
    """Each line is nine times the line before."""
    names = [chr(ord("a") + level) for level in range(levels)]
    nine = (f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise(names))
    return "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(nine)


def merges(levels: int) -> str:
    """Each mapping takes up the one before twice."""
    lines = (f"a{level}: &a{level} {{<<: [*a{level - 1}, *a{level - 1}]}}\n" for level in range(1, levels))
    return "a0: &a0 {x: 1}\n" + "".join(lines)


def params(count: int) -> str:
    """Each param is the next one twice."""
    pairs = (f"p{n}: '${{params.p{n + 1}}}${{params.p{n + 1}}}'" for n in range(count))
    return f"params: {{{', '.join(pairs)}}}\nnodes: [{{id: a, tool: shell, run: '${{params.p0}}'}}]"


def everybody_waits(count: int) -> str:
    """A cycle in every way there is."""
    deps = ", ".join(f"n{n}" for n in range(count))
    return "nodes:\n" + "".join(
        f"- {{id: n{n}, tool: shell, run: x, deps: [{deps}]}}\n" for n in range(count)
    )


BOMBS: Final = {
    "a billion laughs": laughs(20),
    "an anchor inside itself": "a: &a {b: *a}\nnodes: *a\n",
    "merge keys of merge keys": merges(200),
    "deep lists": "nodes: " + "[" * DEEP,
    "deep mappings": "nodes: " + "{a: " * DEEP,
    "deep blocks": "\n".join(" " * depth + "a:" for depth in range(1500)),
    "a key twice": "nodes: []\nnodes: []\n",
    "100,000 keys": "\n".join(f"k{n}: 1" for n in range(MANY)),
    "100,000 nodes": "nodes:\n" + "- {id: a}\n" * MANY,
    "100,000 wrong keys in a node": "nodes: [{" + ", ".join(f"k{n}: 1" for n in range(MANY)) + "}]",
    "a number of a million digits": "workers: " + "9" * MEGABYTE,
    "an exponent of a million": "global_budget_usd: 1e1000000\nnodes: []",
    "NaN and infinities": "nodes: [{id: a, tool: shell, run: x, est_cost: .nan, timeout_s: -.inf}]",
    "dates": "nodes: [{id: 2026-11-28, tool: shell, run: 2026-02-30, timeout_s: 12:30:45}]",
    "a text of 7 MB": "nodes: [{id: a, tool: shell, run: '" + "x" * (7 * MEGABYTE) + "'}]",
    "9 MB": "# " + "x" * (9 * MEGABYTE),
    "a quote that is open for 7 MB": "nodes: " + "'" + "y" * (7 * MEGABYTE),
    "5,000 params, each the next one twice": params(5000),
    "globs that backtrack": f"nodes: [{{id: a, tool: shell, run: x, path_claims: ['{'**/*' * 40}x']}}]",
    "300 nodes that all wait for all": everybody_waits(300),
    "a tag that runs a program": "nodes: !!python/object/apply:os.system ['touch pwned']",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(bomb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Tell) -> None:
    monkeypatch.chdir(tmp_path)
    path, problems = tmp_path / "plan.yaml", Problems()
    path.write_text(BOMBS[bomb])
    with within_bounds():
        try:
            validate_file(path, problems, Surroundings())
            told = problems.to_text()
        except UserError as error:  # more problems than anybody reads
            told = error.message
    with within_bounds():
        read_document(BOMBS[bomb], "plan.json", Problems(), is_json=True)
    assert len(told) < 4 * MEGABYTE
    assert not (tmp_path / "pwned").exists()
    seen = "refused with its problems" if "error[" in told else "read as what it says"
    bounds = f"{MOST_CPU_S} s and {MOST_MEMORY // MEGABYTE} MB"
    tell(Part.TEXT, f"a plan with {bomb}", f"{seen}, well within {bounds}")
