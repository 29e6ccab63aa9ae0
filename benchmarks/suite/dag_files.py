"""One DAG of shell nodes in the languages of several programs; each node starts a shell and nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.suite.ground import shell_node, write_plan

Graph = Mapping[str, tuple[str, ...]]
"""Nodes with their dependencies, which come before them."""

LINE = "true;"
"""The semicolon makes `make` start a shell, which it does not do for a simple command."""


def plan_file(folder: Path, graph: Graph) -> Path:
    """For our own program; nothing is to be checked."""
    nodes = [shell_node(name, LINE, deps=deps) for name, deps in graph.items()]
    return write_plan(folder / "plan.json", nodes, check=None)


def makefile(folder: Path, graph: Graph) -> Path:
    """For `make`."""
    names = " ".join(graph)
    rules = "".join(f"{name}: {' '.join(deps)}\n\t@{LINE}\n" for name, deps in graph.items())
    return _write(folder / "Makefile", f".PHONY: all {names}\nall: {names}\n{rules}")


def dodo(folder: Path, graph: Graph) -> Path:
    """For `doit`."""
    tasks = [
        {"basename": name, "actions": [LINE], "task_dep": list(deps), "verbosity": 0}
        for name, deps in graph.items()
    ]
    return _write(
        folder / "dodo.py", f"TASKS = {json.dumps(tasks)}\n\n\ndef task_all():\n    yield from TASKS\n"
    )


def taskfile(folder: Path, graph: Graph) -> Path:
    """For `task`, whose own shell would start no process."""
    command = f"sh -c '{LINE}'"
    tasks = {
        name: {"run": "once", "silent": True, "deps": list(deps), "cmds": [command]}
        for name, deps in graph.items()
    }
    tasks["all"] = {"deps": list(graph)}
    return _write(folder / "Taskfile.yml", json.dumps({"version": "3", "tasks": tasks}))


def snakefile(folder: Path, graph: Graph) -> Path:
    """For `snakemake`: a node is done when its file is there."""
    rules = [f"rule all:\n    input: {[*graph]!r}\n"]
    rules += [
        f"rule {name}:\n    input: {[*deps]!r}\n    output: touch({name!r})\n    shell: {LINE!r}\n"
        for name, deps in graph.items()
    ]
    return _write(folder / "Snakefile", "\n".join(rules))


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
