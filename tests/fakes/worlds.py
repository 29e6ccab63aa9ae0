"""A person's repository with an orchestrator at work in it: real git, real processes, a real database."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cli_multi_rapid import wiring
from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, NodeId, RunId, queue_stream
from cli_multi_rapid.core.merge_events import CheckFinished, MergeLanded
from cli_multi_rapid.core.node_state import NodeState
from cli_multi_rapid.core.plan import Plan
from cli_multi_rapid.core.run_events import CommandGiven, RunFinished
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.engine.session import Session, accept_plan, run_journal
from cli_multi_rapid.engine.workshop import Policies, Workshop
from cli_multi_rapid.process_tree import find_marked
from cli_multi_rapid.schema.document import read_document
from cli_multi_rapid.schema.plan import parse_plan
from cli_multi_rapid.schema.problems import Problems
from cli_multi_rapid.worktrees import SlotState
from tests.fakes.repositories import Content, RepositoryBuilder, make_repository


class Story(Struct, frozen=True, kw_only=True):
    """A run that came to rest, as its events tell it."""

    run_id: RunId
    finished: RunFinished
    state: RunState
    events: list[Event]

    def node(self, name: str) -> NodeState:
        """What is known of a node."""
        return self.state.nodes[NodeId(name)]

    def order_of(self, kind: type[Payload]) -> list[str]:
        """The nodes of all events of one type, in order."""
        return [getattr(e.data, "node_id") for e in self.events if isinstance(e.data, kind)]  # noqa: B009

    def all_of(self, kind: type[Payload]) -> list[Payload]:
        """The facts of one type, in order."""
        return [event.data for event in self.events if isinstance(event.data, kind)]


class World(Struct, frozen=True, kw_only=True):
    """One repository and what runs in it."""

    repository: RepositoryBuilder

    @contextmanager
    def workshop(self, **policies: object) -> Iterator[Workshop]:
        """The composition root on this repository, with some policies set."""

        def refine(found: Policies) -> Policies:
            return replace(found, **policies)

        with wiring.open_workshop(self.repository.path, refine=refine) as shop:
            yield shop

    def parse(self, text: str) -> Plan:
        """The plan of a YAML text that has no problems."""
        problems = Problems()
        document = read_document(text, "plan.yaml", problems)
        plan = parse_plan(document, problems) if document else None
        assert plan is not None, problems.to_text()
        return plan

    def accept(self, text: str) -> RunId:
        """Begin a run of a plan without driving it."""
        with self.workshop() as shop:
            return accept_plan(shop, self.parse(text), "plan.yaml")

    def execute(self, text: str, **policies: object) -> Story:
        """Run a plan until it rests."""
        return self.drive(self.accept(text), **policies)

    def drive(self, run_id: RunId, **policies: object) -> Story:
        """Drive a run, for the first time or again, until it rests."""
        with self.workshop(**policies) as shop:
            finished = Session(shop, run_id).run()
            return self._story(shop, run_id, finished)

    def tell(self, run_id: RunId, command: CommandGiven) -> None:
        """Give a run a person's command."""
        with self.workshop() as shop:
            run_journal(shop, run_id).submit(command)

    def _story(self, shop: Workshop, run_id: RunId, finished: RunFinished) -> Story:
        journal = run_journal(shop, run_id)
        events = journal.catch_up()
        return Story(run_id=run_id, finished=finished, state=journal.state, events=events)

    # --- what must always hold ------------------------------------------------------------------------------

    def events_of(self, run_id: RunId) -> list[Event]:
        """The stream of a run."""
        with self.workshop() as shop:
            return shop.log.read(run_id)

    def queue_events(self, target: str = "main") -> list[Event]:
        """The stream of the merge queue."""
        with self.workshop() as shop:
            return shop.log.read(queue_stream(Branch(target)))

    def assert_only_verified_trees(self, start: str, checks: Sequence[str]) -> None:
        """Every first-parent commit since `start` has a passing verdict of each check for its very tree."""
        events = self.queue_events()
        passed = {
            (event.data.tree, event.data.check)
            for event in events
            if isinstance(event.data, CheckFinished) and event.data.verdict is Verdict.PASSED
        }
        landed = [event.data.commit for event in events if isinstance(event.data, MergeLanded)]
        commits = self.repository.git("rev-list", "--first-parent", f"{start}..main").split()
        assert sorted(commits) == sorted(landed)
        for commit in commits:
            tree = self.repository.tree_of(commit)
            assert {(tree, check) for check in checks} <= passed, f"{commit} was not verified"

    def assert_nothing_left(self, run_id: RunId, *, kept: Sequence[str] = ()) -> None:
        """No process, slot or ref of a run is left but landing markers and the branches that are named."""
        assert find_marked(run_id) == ()
        refs = self.repository.git("for-each-ref", "--format=%(refname)").split()
        ours = [ref for ref in refs if not ref.startswith("refs/cli-orchestrator/landed/")]
        assert sorted(ours) == sorted(["refs/heads/main", *(f"refs/heads/{branch}" for branch in kept)])
        with self.workshop() as shop:
            states = {info.state for info in shop.worktrees.list()}
        assert states <= {SlotState.POOLED}
        assert not list((self.repository.path / "state" / "bus").glob("*.sock"))


def make_world(path: Path, files: dict[str, Content] | None = None) -> World:
    """A new repository on `main`, and an orchestrator's eye on it."""
    world = World(repository=make_repository(path, files))
    assert "CLI_ORCHESTRATOR_HOME" not in os.environ
    return world
