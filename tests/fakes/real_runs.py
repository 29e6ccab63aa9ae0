"""Real runs of small plans in real repositories: at rest, at work in another process, or left behind."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from cli_multi_rapid import wiring
from cli_multi_rapid.cli.follow import following
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.engine.session import accept_plan
from cli_multi_rapid.planner.load import load_plan
from tests.fakes.command_line import Ended, type_in
from tests.fakes.forks import Fork
from tests.fakes.repositories import RepositoryBuilder


def node(node_id: str, run: str, **more: object) -> str:
    """A shell node as YAML flow text; it claims `<id>.txt` unless told otherwise."""
    keys = {"id": node_id, "tool": "shell", "run": run, "path_claims": [f"{node_id}.txt"], **more}
    return "  - {" + ", ".join(f"{key}: {_flow(value)}" for key, value in keys.items()) + "}\n"


def writes(node_id: str, **more: object) -> str:
    """A node that writes its own file."""
    return node(node_id, f"echo {node_id} > {node_id}.txt", **more)


def plan_of(*nodes: str, head: str = "") -> str:
    """A plan of these nodes; without checks unless `head` has a merge policy."""
    policy = "" if "merge_policy" in head else "merge_policy: {checklist: []}\n"
    return f"version: 1\nplan_id: small\nname: A small plan\n{head}{policy}nodes:\n{''.join(nodes)}"


def _flow(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def saved(repository: RepositoryBuilder, plan: str) -> Path:
    """The plan as a file beside the repository."""
    path = repository.path.parent / "plan.yaml"
    path.write_text(plan, encoding="utf-8")
    return path


def execute(repository: RepositoryBuilder, plan: str) -> Ended:
    """Drive a run of a plan text until it rests."""
    return type_in(repository.path, "execute", saved(repository, plan))


def leave_behind(repository: RepositoryBuilder, plan: str) -> RunId:
    """A run that was accepted and whose process then died."""
    with wiring.open_workshop(repository.path) as shop:
        return accept_plan(shop, load_plan(saved(repository, plan)).plan, "plan.yaml")


def latest_run(repository: RepositoryBuilder) -> RunId:
    """The run that commands mean when none is named."""
    with wiring.open_records(wiring.find_home(repository.path)) as records:
        return records.latest_run()


class Gate(Struct, frozen=True, kw_only=True):
    """Where a program waits until a test lets it go on: a named pipe, so that nobody looks at a clock."""

    path: Path

    @property
    def wait(self) -> str:
        """The shell words that wait."""
        return f"cat '{self.path}' > /dev/null"

    @property
    def announce(self) -> str:
        """The shell words that say that the program is here."""
        return f"echo here > '{self.path}'"

    def open(self) -> None:
        """Let the one that waits go on; waits for it to come."""
        with self.path.open("wb"):
            pass

    def await_arrival(self) -> None:
        """Until a program announces itself."""
        self.path.read_bytes()


def make_gate(folder: Path, name: str = "gate") -> Gate:
    """A gate that is shut."""
    path = folder / name
    os.mkfifo(path)
    return Gate(path=path)


def start(
    repository: RepositoryBuilder, *words: str | Path, environment: Mapping[str, str] | None = None
) -> Fork:
    """The command line as a program of its own that goes on by itself."""
    return Fork("cli-orchestrator", words, repository.path, environment)


def ended(program: Fork) -> Ended:
    """Wait for the end of a program."""
    out, err = program.communicate(timeout=60)
    return Ended(status=program.wait(), out=out, err=err)


@contextmanager
def living_run(repository: RepositoryBuilder, plan: str, *words: str) -> Iterator[Fork]:
    """A run at work in another process, from the moment that its first node has started."""
    wiring.find_home(repository.path).prepare()
    before = set(_streams(repository))
    program = start(repository, "execute", saved(repository, plan), *words)
    try:
        wait_for_event(repository, "node.started", unlike=before)
        yield program
    finally:
        program.kill()
        program.close()
        program.wait()


def wait_for_event(
    repository: RepositoryBuilder, type_: str, *, stream: str | None = None, unlike: set[RunId] | None = None
) -> None:
    """Until a stream (by default the newest) has an event of a type: woken by the bus, not by a clock."""
    with wiring.open_records(wiring.find_home(repository.path), create=True) as records:
        name = RunId(stream) if stream else _new_stream(repository, unlike or set())
        with following(records, name) as follower:
            for batch in follower.batches():
                if any(event.type == type_ for event in batch):
                    return
    raise AssertionError(f"{name} came to rest without {type_}")


def _new_stream(repository: RepositoryBuilder, known: set[RunId]) -> RunId:
    from queue import SimpleQueue

    wakes: SimpleQueue[RunId] = SimpleQueue()
    with wiring.open_records(wiring.find_home(repository.path), create=True) as records:
        unsubscribe = records.bus.subscribe(wakes.put)
        try:
            while not (new := [run for run in records.runs() if run not in known]):
                wakes.get(timeout=60)
            return new[0]
        finally:
            unsubscribe()


def _streams(repository: RepositoryBuilder) -> list[RunId]:
    with wiring.open_records(wiring.find_home(repository.path), create=True) as records:
        return records.runs()
