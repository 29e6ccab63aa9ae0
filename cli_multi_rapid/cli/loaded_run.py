"""One run as its events tell it, and what the words RUN and NODE on a command line mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from cli_multi_rapid.core.errors import UserError
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.ids import NodeId, RunId
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.state import RunState

if TYPE_CHECKING:
    from cli_multi_rapid.wiring import Records


class LoadedRun(Struct, frozen=True, kw_only=True):
    """A run at the moment of a look."""

    state: RunState
    events: list[Event]
    driver: str | None
    """The living process that has it in hand, like `pid 123 on host since …`; None when there is none."""

    @property
    def run_id(self) -> RunId:
        """The run's id."""
        return self.state.run_id

    @property
    def alive(self) -> bool:
        """Whether a process has it in hand."""
        return self.driver is not None

    def node(self, name: str) -> NodeState:
        """A node by its id. Raises `UserError` with a suggestion."""
        found = self.state.nodes.get(NodeId(name))
        if found is None:
            raise UserError(f"run {self.run_id} has no node {name}", hint=node_hint(self.state, name))
        return found


def load_run(records: "Records", run_id: RunId) -> LoadedRun:
    """Read and fold the whole stream of a run."""
    events = records.log.read(run_id)
    return LoadedRun(state=fold(run_id, events), events=events, driver=records.leases.holder(run_id))


def fold(run_id: RunId, events: Sequence[Event]) -> RunState:
    """What the events of a run add up to."""
    state = RunState(run_id)
    for event in events:
        state.apply(event)
    return state


def node_hint(state: RunState, name: str) -> str:
    """What a mistyped node may have meant, else which nodes there are."""
    from cli_multi_rapid.schema.names import did_you_mean

    names = [str(node_id) for node_id in state.nodes]
    return did_you_mean(name, names) or f"its nodes are: {', '.join(names[:20])}"


def find_run_and_node(records: "Records", words: Sequence[str]) -> tuple[LoadedRun, NodeState | None]:
    """What `[RUN] [NODE]` mean: nothing is the latest run, one word a run or a node of the latest run.

    Raises `UserError` when a word is neither.
    """
    if not words:
        return load_run(records, records.latest_run()), None
    if len(words) > 1:
        run = load_run(records, records.find_run(words[0]))
        return run, run.node(words[1])
    return _one_word(records, words[0])


def find_node(records: "Records", words: Sequence[str]) -> tuple[LoadedRun, NodeState]:
    """What `[RUN] NODE` mean: one word is a node of the latest run. Raises `UserError`."""
    name = records.find_run(words[0] if len(words) > 1 else None)
    run = load_run(records, name)
    return run, run.node(words[-1])


def _one_word(records: "Records", word: str) -> tuple[LoadedRun, NodeState | None]:
    runs = records.runs()
    if any(run == word for run in runs):
        return load_run(records, RunId(word)), None
    latest = load_run(records, records.latest_run())
    node = latest.state.nodes.get(NodeId(word))
    if node is not None:
        return latest, node
    if any(run.startswith(word) for run in runs):
        return load_run(records, records.find_run(word)), None
    raise UserError(
        f"there is no run {word}, and the latest run, {latest.run_id}, has no node of that name",
        hint=node_hint(latest.state, word),
    )
