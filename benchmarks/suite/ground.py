"""Small repositories and plans to measure on, in temporary folders, in memory where that is possible."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generated_repository import GeneratedRepository, make_repository

_SHM = Path("/dev/shm")  # noqa: S108  # a file system in memory: a disk would be measured otherwise
_FILES_PER_FOLDER = 100


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """An empty folder, gone afterwards."""
    place = _SHM if not os.environ.get("TMPDIR") and os.access(_SHM, os.W_OK) else None
    with TemporaryDirectory(prefix="bench-", dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def fresh_repository(
    files: int = 1, config: dict[str, object] | None = None
) -> Iterator[GeneratedRepository]:
    """A repository with that many small files on `main`, in a folder of its own."""
    base = {
        f"src/part{number // _FILES_PER_FOLDER}/file{number}.txt": _text(number) for number in range(files)
    }
    if config is not None:
        base["config/orchestrator.yaml"] = json.dumps(config)
    with fresh_folder() as folder:
        yield make_repository(folder / "repository", base, [])


def shell_node(
    name: str, line: str, *, deps: Sequence[str] = (), writes: str | None = None
) -> dict[str, object]:
    """A node of a plan."""
    node: dict[str, object] = {"id": name, "tool": "shell", "run": line, "deps": list(deps)}
    return node | {"path_claims": [writes] if writes else []}


def writing_nodes(count: int) -> list[dict[str, object]]:
    """Nodes that depend on nothing and write a small file each."""
    return [
        shell_node(f"n{number}", f"echo {number} > n{number}.txt", writes=f"n{number}.txt")
        for number in range(count)
    ]


def layers(count: int, width: int) -> dict[str, tuple[str, ...]]:
    """A DAG in layers: each node depends on two of the layer before. Names with their dependencies."""
    names = [[f"n{row}x{place}" for place in range(width)] for row in range(-(-count // width))]
    found: dict[str, tuple[str, ...]] = {}
    for row, layer in enumerate(names):
        for place, name in enumerate(layer):
            before = names[row - 1] if row else []
            found[name] = tuple(dict.fromkeys((before[place], before[(place + 1) % width]))) if before else ()
    return dict(list(found.items())[:count])


def write_plan(path: Path, nodes: Sequence[dict[str, object]], *, check: str | None = "true") -> Path:
    """A plan with one check, or with none."""
    document: dict[str, object] = {"plan_id": path.stem, "nodes": list(nodes)}
    document["checks"] = {"check": {"run": check}} if check else {}
    document["merge_policy"] = {"checklist": ["check"] if check else []}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _text(number: int) -> str:
    return "".join(f"line {line} of file {number}\n" for line in range(5))
