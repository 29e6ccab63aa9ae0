"""A merge queue with entries that a test makes, processed as `queue process` does it: no run, no agents."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct, field
from msgspec.structs import replace

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Payload, Verdict
from cli_multi_rapid.core.ids import Branch, CheckId, Commit, EntryId
from cli_multi_rapid.core.merge_events import (
    CheckFinished,
    CheckStarted,
    MergeChecking,
    MergeEnqueued,
    MergeEntry,
    MergeLanded,
)
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.queue_records import EntryState
from cli_multi_rapid.core.run_events import CommandGiven
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.engine.queue_processor import Processed, process_queue
from cli_multi_rapid.engine.workshop import Workshop
from tests.fakes.repositories import Content, RepositoryBuilder
from tests.fakes.worlds import World

MAIN = Branch("main")


def check(run: str, name: str = "ok", **terms: object) -> CheckSpec:
    """A check that is a line for the shell."""
    return CheckSpec(id=CheckId(name), run=run, **terms)  # type: ignore[arg-type]  # a test names real fields


NO_BAD = check("! grep -rq BAD src")
"""Fails on every tree with the word BAD below `src`."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What one processing of the queue did."""

    processed: Processed
    events: list[Event]
    entries: Mapping[str, EntryState]

    @property
    def merged(self) -> list[str]:
        """The entries that landed so far, in order of arrival."""
        return [name for name, entry in self.entries.items() if entry.status is MergeStatus.MERGED]

    def status(self, name: str) -> MergeStatus:
        """Where an entry ended."""
        return self.entries[name].status

    def all_of(self, kind: type[Payload]) -> list[Payload]:
        """The facts of one type, in order."""
        return [event.data for event in self.events if isinstance(event.data, kind)]

    @property
    def candidates(self) -> list[list[str]]:
        """The members of every candidate that was built."""
        return [list(fact.entries) for fact in self.all_of(MergeChecking) if isinstance(fact, MergeChecking)]

    @property
    def trains(self) -> list[list[str]]:
        """The members of every landing."""
        return [list(fact.entries) for fact in self.all_of(MergeLanded) if isinstance(fact, MergeLanded)]

    @property
    def checks_run(self) -> int:
        """How often a checker was started."""
        return len(self.all_of(CheckStarted))

    @property
    def verdicts(self) -> list[Verdict]:
        """What the checkers found, without what was known before."""
        found = [fact for fact in self.all_of(CheckFinished) if isinstance(fact, CheckFinished)]
        return [fact.verdict for fact in found if not fact.reused]


class QueueBench(Struct, kw_only=True):
    """Makes branches, queues them and lets the queue work."""

    world: World
    shop: Workshop
    heads: dict[str, Commit] = field(default_factory=dict)

    @property
    def repository(self) -> RepositoryBuilder:
        """The person's repository."""
        return self.world.repository

    def branch(self, name: str, files: Mapping[str, Content], *, start: str = "main") -> Commit:
        """A branch with one commit."""
        self.heads[name] = self.repository.commit_on(f"work/{name}", files, name, start=start)
        return self.heads[name]

    def add(
        self,
        name: str,
        files: Mapping[str, Content] | None = None,
        *,
        checks: Sequence[CheckSpec] = (NO_BAD,),
        deps: Sequence[str] = (),
        after: Sequence[str] = (),
        start: str = "main",
        **terms: object,
    ) -> None:
        """Queue a branch, made first unless it is there. By default it adds `src/<name>.txt`."""
        base = self.repository.commit_of(start)
        if name not in self.heads:
            self.branch(name, files if files is not None else {f"src/{name}.txt": f"{name}\n"}, start=start)
        entry = MergeEntry(
            id=EntryId(name),
            branch=Branch(f"work/{name}"),
            head=self.heads[name],
            base=base,
            target=MAIN,
            deps=tuple(EntryId(dep) for dep in deps),
            after=tuple(EntryId(other) for other in after),
            checks=tuple(checks),
            marker=f"refs/cli-orchestrator/landed/queue/{name}",
            **terms,  # type: ignore[arg-type]  # a test names real fields
        )
        self.submit_entry(entry)

    def submit_entry(self, entry: MergeEntry) -> None:
        """Queue an entry."""
        self.submit(MergeEnqueued(entry=entry))

    def submit(self, fact: Payload) -> None:
        """Append a fact as another process would, without the queue's lease."""
        queue_journal(self.shop, MAIN).submit(fact)

    def ask(self, command: str, name: str = "", text: str = "") -> None:
        """Give the queue a person's command."""
        entry_id = EntryId(name) if name else None
        self.submit(CommandGiven(command=command, by="ada", entry_id=entry_id, text=text))

    def process(self, **limits: object) -> Outcome:
        """Let the queue work until nothing is left to do."""
        queue = replace(self.shop.policies.queue, **limits)
        shop = replace(self.shop, policies=replace(self.shop.policies, queue=queue))
        before = shop.log.last_seq(queue_journal(shop, MAIN).stream)
        processed = process_queue(shop, MAIN, lambda _event: None)
        journal = queue_journal(shop, MAIN)
        events = journal.catch_up()
        entries = {str(name): entry for name, entry in journal.state.entries.items()}
        return Outcome(processed=processed, events=events[before:], entries=entries)

    # --- what must always hold ----------------------------------------------------------------------------

    def assert_sound(self, outcome: Outcome) -> None:
        """Only verified trees landed, each entry once and whole; nothing of ours is left but the markers."""
        history = self.repository.git("rev-list", "--first-parent", "main").split()
        stream = queue_journal(self.shop, MAIN).catch_up()
        facts = [event.data for event in stream]
        passed = {
            (fact.tree, fact.check)
            for fact in facts
            if isinstance(fact, CheckFinished) and fact.verdict is Verdict.PASSED
        }
        landings = [fact for fact in facts if isinstance(fact, MergeLanded)]
        names = [name for fact in landings for name in fact.entries]
        assert sorted(names) == sorted(set(names)), "an entry landed twice"
        for fact in landings:
            assert fact.commit in history
            assert self.repository.tree_of(fact.commit) == fact.tree
            for name in fact.entries:
                entry = outcome.entries[name].entry
                assert {(fact.tree, spec.id) for spec in entry.checks} <= passed, f"{name} was not verified"
                assert self._contains(fact.commit, entry.head), f"the work of {name} is not in its train"
        refs = self.repository.git("for-each-ref", "--format=%(refname)", "refs/cli-orchestrator").split()
        assert sorted(refs) == sorted(outcome.entries[name].entry.marker for name in names)

    def _contains(self, commit: Commit, head: Commit) -> bool:
        """Merging it once more changes nothing."""
        done = self.repository.try_git("merge-tree", "--write-tree", commit, head)
        return done.returncode == 0 and done.stdout.decode().strip() == self.repository.tree_of(commit)


@contextmanager
def open_bench(world: World) -> Iterator[QueueBench]:
    """A bench in an open workshop."""
    with world.workshop() as shop:
        yield QueueBench(world=world, shop=shop)
