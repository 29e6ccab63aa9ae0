"""An entry whose exact tree was verified before: how long until it has landed, with no check run."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fold.figures import Cost, Row, cost_of, median_of
from benchmarks.fold.many import WrongResult
from benchmarks.generated_repository import MAIN, GeneratedRepository, make_repository
from benchmarks.own_command import time_command
from cli_multi_rapid.core.ids import queue_stream
from cli_multi_rapid.core.merge_events import CheckStarted, MergeLanded
from cli_multi_rapid.engine.queue_processor import process_queue
from cli_multi_rapid.wiring import find_home, open_records, open_workshop

GOAL_S = 0.3
_CONFIG = {
    "version": 1,
    "checks": {"slow": {"run": "sleep 0.5"}},
    "merge_policy": {"target": MAIN, "checklist": ["slow"]},
}


def land_verified(rounds: int) -> list[Row]:
    """By the engine inside a process that runs already, and by the whole command `queue process`.

    Its tree is known because it landed before and was taken back since.
    """
    inside = median_of([_round(as_command=False) for _ in range(rounds)])
    command = median_of([_round(as_command=True) for _ in range(rounds)])
    goal = f"wall < {1000 * GOAL_S:g} ms"
    return [
        Row(
            what="verified tree landed, inside a process",
            cost=inside,
            goal=goal,
            reached=inside.wall_s < GOAL_S,
        ),
        Row(
            what="verified tree landed, whole command",
            cost=command,
            goal=goal,
            reached=command.wall_s < GOAL_S,
        ),
    ]


def _round(*, as_command: bool) -> Cost:
    base = {"README.md": "Base.\n", "config/orchestrator.yaml": json.dumps(_CONFIG)}
    with TemporaryDirectory(prefix="merge-verified-") as folder:
        made = make_repository(Path(folder) / "repository", base, [("first", _FILES), ("second", _FILES)])
        _command(made, "queue", "add", "first")
        _command(made, "queue", "process")
        made.git("reset", "-q", "--hard", "HEAD~1")  # the first parent: the target without it
        _command(made, "queue", "add", "second")
        before = _facts(made)
        cost = _command(made, "queue", "process") if as_command else _inside(made)
        checks, landings = (after - known for after, known in zip(_facts(made), before, strict=True))
        if checks or landings != 1:
            raise WrongResult(f"{checks} checks were run, {landings} entries landed")
    return cost


_FILES = {"src/new.txt": "the same content\n"}


def _inside(made: GeneratedRepository) -> Cost:
    with open_workshop(made.path) as shop:
        return cost_of(lambda: process_queue(shop, MAIN, lambda _event: None))


def _command(made: GeneratedRepository, *args: str) -> Cost:
    timed = time_command(made.path, *args)
    if not timed.done.ok:
        raise WrongResult(f"{' '.join(args)}: {timed.done.error_text}")
    return Cost(wall_s=timed.wall_s, cpu_s=timed.cpu_s)


def _facts(made: GeneratedRepository) -> tuple[int, int]:
    """How many checks were started and how many landings there were, ever."""
    with open_records(find_home(made.path)) as records:
        facts = [event.data for event in records.log.read(queue_stream(MAIN), 0)]
    return sum(isinstance(fact, CheckStarted) for fact in facts), sum(
        isinstance(fact, MergeLanded) for fact in facts
    )
