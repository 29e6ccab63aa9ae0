"""`logs`: what the tools and checks of a run wrote, and what the tools were told."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid.cli.context import Place
from cli_multi_rapid.cli.follow import following
from cli_multi_rapid.cli.loaded_run import LoadedRun, find_run_and_node, fold, load_run
from cli_multi_rapid.cli.options import examples, format_option, place_options
from cli_multi_rapid.cli.output import Format, print_json, print_text, write
from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.ids import PLANNER, NodeId
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted
from cli_multi_rapid.core.node_events import NodeStarted
from cli_multi_rapid.core.node_state import Attempt, NodeState
from cli_multi_rapid.core.run_events import PlanDrafted
from cli_multi_rapid.redaction import printable
from cli_multi_rapid.reports.document import SCHEMA_VERSION

if TYPE_CHECKING:
    from cli_multi_rapid.engine.home import Home
    from cli_multi_rapid.wiring import Records


class LogFile(Struct, frozen=True, kw_only=True):
    """A text of a run: a log, or the prompt of an attempt."""

    kind: str
    """`attempt`, `check` or `prompt`."""
    node: str | None
    attempt: int | None
    name: str
    """The tool, or the check."""
    path: Path | None
    text: str | None = None
    """For what lies in no file."""

    @property
    def title(self) -> str:
        """A line that says what follows."""
        about = f"{self.node} try {self.attempt}" if self.attempt else self.node or ""
        where = f": {self.path}" if self.path else ""
        return f"==> {self.kind} {self.name}{f' of {about}' if about else ''}{where} <=="

    def read(self) -> str:
        """What is in it now; a line in its place when there is no such file."""
        if self.text is not None or self.path is None:
            return self.text or ""
        try:
            return self.path.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return "(there is no such file any more)\n"


def within(home: "Home", log: LogFile) -> LogFile:
    """The log as it may be read: an imported run can name any file as its log, and only ours are shown."""
    if log.path is None or _lies_below(home.artifacts, log.path):
        return log
    return replace(log, text=f"(it is not below {home.artifacts}, so it is not shown)\n")


def _lies_below(folder: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # a name that no file can have
        return False


class LogDocument(TypedDict):
    """What one attempt or check wrote, or was told. `kind`: `attempt`, `check` or `prompt`."""

    kind: str
    node_id: str | None
    attempt: int | None
    name: str
    path: str | None
    text: str


class LogList(TypedDict):
    """The document of `logs --format json`."""

    schema_version: int
    run_id: str
    logs: list[LogDocument]


@click.command(
    epilog=examples(
        "logs",
        "logs n2  # a node of the latest run",
        "logs 20261120-094612-k3f9 n2 --attempt 1",
        "logs n2 -f  # go on until the run rests",
        "logs n2 --prompt  # what its tool was told",
        "logs n2 --checks  # what the checks of its work wrote",
    )
)
@click.argument("words", nargs=-1, metavar="[RUN] [NODE]")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run rests")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Only this try")
@click.option("--prompt", is_flag=True, help="What the tool was told instead of what it wrote")
@click.option("--checks", is_flag=True, help="What the checks wrote instead of the tools")
@format_option
@place_options
def logs(
    place: Place,
    format_: Format,
    words: tuple[str, ...],
    follow: bool,
    attempt: int | None,
    prompt: bool,
    checks: bool,
) -> None:
    """Show what the tools of a run wrote: of all its nodes, or of one.

    RUN defaults to the latest run. Logs hold no secrets: they are removed before anything is written.
    """
    _check_usage(words, follow=follow, prompt=prompt, checks=checks, format_=format_)
    with place.open_records() as records:
        run, node = find_run_and_node(records, words)
        if follow:
            _follow(records, run, node, attempt)
            return
        if checks:
            found = list(_check_logs(run, node))
        else:
            found = [] if node or prompt else _planning_logs(run, attempt)
            found += [
                _prompt_of(run, each, tried) if prompt else _log_of(each, tried)
                for each, tried in _attempts(run, node, attempt)
            ]
        found = [within(records.home, log) for log in found]
    if format_ is Format.JSON:
        documents = [_document(log) for log in found]
        print_json(LogList(schema_version=SCHEMA_VERSION, run_id=run.run_id, logs=documents))
    else:
        _print_all(found, run)


def _check_usage(
    words: tuple[str, ...], *, follow: bool, prompt: bool, checks: bool, format_: Format
) -> None:
    if len(words) > 2:
        raise click.UsageError("name one run and one node at most: logs [RUN] [NODE]")
    if prompt + checks + follow > 1:
        raise click.UsageError("--follow, --prompt and --checks do not go together")
    if follow and format_ is Format.JSON:
        raise click.UsageError("--follow writes text; leave out --format json")


def _attempts(
    run: LoadedRun, node: NodeState | None, number: int | None
) -> Iterator[tuple[NodeState, Attempt]]:
    """The attempts asked for. Raises `UserError` when one node was named that has not got that far."""
    for each in [node] if node else run.state.nodes.values():
        tried = [attempt for attempt in each.attempts if number is None or attempt.number == number]
        if node is not None and not tried:
            what = "has not been started" if number is None else f"has no try {number}"
            raise UserError(
                f"{each.node.id} of run {run.run_id} {what}",
                hint=f"see how it stands: cli-orchestrator status {run.run_id}",
            )
        yield from ((each, attempt) for attempt in tried)


def _log_of(node: NodeState, attempt: Attempt) -> LogFile:
    return LogFile(
        kind="attempt",
        node=node.node.id,
        attempt=attempt.number,
        name=attempt.tool,
        path=Path(attempt.log) if attempt.log else None,
    )


def _planning_logs(run: LoadedRun, number: int | None) -> list[LogFile]:
    """What the model wrote that planned the run, draft by draft."""
    return [
        LogFile(kind="attempt", node=PLANNER, attempt=draft.attempt, name=draft.tool, path=Path(draft.log))
        for event in run.events
        if isinstance(draft := event.data, PlanDrafted) and number in (None, draft.attempt)
    ]


def _prompt_of(run: LoadedRun, node: NodeState, attempt: Attempt) -> LogFile:
    """The prompt follows from what had happened before the attempt, so it need not be stored."""
    from cli_multi_rapid.engine.orders import prompt_of

    start = next(event for event in run.events if _starts(event.data, node.node.id, attempt.number))
    before = fold(run.run_id, run.events[: start.seq - 1])
    return LogFile(
        kind="prompt",
        node=node.node.id,
        attempt=attempt.number,
        name=attempt.tool,
        path=None,
        text=prompt_of(before, before.nodes[node.node.id]),
    )


def _starts(data: object, node_id: NodeId, attempt: int) -> bool:
    return isinstance(data, NodeStarted) and (data.node_id, data.attempt) == (node_id, attempt)


def _check_logs(run: LoadedRun, node: NodeState | None) -> Iterator[LogFile]:
    """The logs of the checks on candidates with this node's work, or with any work of the run."""
    seen: set[str] = set()
    for event in run.events:
        data = event.data
        if not isinstance(data, CheckStarted | CheckFinished) or not data.log or data.log in seen:
            continue
        nodes = [run.state.entries[entry] for entry in data.entries if entry in run.state.entries]
        if node is None or node.node.id in nodes:
            seen.add(data.log)
            yield LogFile(
                kind="check",
                node=", ".join(nodes) or None,
                attempt=None,
                name=data.check,
                path=Path(data.log),
            )


def _document(log: LogFile) -> LogDocument:
    return LogDocument(
        kind=log.kind,
        node_id=log.node,
        attempt=log.attempt,
        name=log.name,
        path=str(log.path) if log.path else None,
        text=log.read(),
    )


def _print_all(found: Iterable[LogFile], run: LoadedRun) -> None:
    texts = [f"{log.title}\n{_ended(log.read())}" for log in found]
    print_text("\n".join(texts) if texts else f"nothing was written in run {run.run_id} yet")


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


# --- following ----------------------------------------------------------------------------------------------


class _Tails:
    """What is new in a growing set of files; a title is written when another file than before has news."""

    def __init__(self) -> None:
        self._places: dict[Path, int] = {}
        self._last: Path | None = None

    def tell(self, logs: Iterable[LogFile]) -> bool:
        """Write what is new. Returns whether anybody still reads."""
        files = ((log, log.path) for log in logs if log.text is None)
        return all(self._tell(log, path) for log, path in files if path is not None)

    def _tell(self, log: LogFile, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                file.seek(self._places.get(path, 0))
                new = file.read()
        except FileNotFoundError:
            return True
        if not new:
            return True
        self._places[path] = self._places.get(path, 0) + len(new)
        title = "" if path == self._last else f"{log.title}\n"
        self._last = path
        return write(printable(title + new.decode("utf-8", "replace")))


def _follow(records: "Records", run: LoadedRun, node: NodeState | None, attempt: int | None) -> None:
    """Logs grow without events: they are looked at whenever something happens, and once a second."""
    tails = _Tails()
    with following(records, run.run_id) as follower:
        for _ in follower.batches():
            now = load_run(records, run.run_id)
            nodes = [now.state.nodes[node.node.id]] if node else list(now.state.nodes.values())
            logs = [] if node else _planning_logs(now, attempt)
            logs += [
                _log_of(each, tried)
                for each in nodes
                for tried in each.attempts
                if attempt in (None, tried.number)
            ]
            if not tails.tell(within(records.home, log) for log in logs):
                return
