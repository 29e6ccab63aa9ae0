"""Queues of real branches whose processors are killed or lose their lease, until one is left in peace."""

import signal
from collections import Counter
from pathlib import Path
from random import Random

from msgspec import Struct, field

from cli_multi_rapid.core.ids import queue_stream
from cli_multi_rapid.core.merge_events import MergeLanded
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.engine.journal import queue_journal
from cli_multi_rapid.engine.queue_opening import check_runner
from cli_multi_rapid.process_tree import find_marked
from cli_multi_rapid.worktrees import SlotState
from tests.fakes.moments import GIT, STOLEN, Moment, start_work
from tests.fakes.queues import MAIN, NO_BAD, Outcome, QueueBench, check, open_bench
from tests.fakes.worlds import make_world

_SETTLED = (MergeStatus.MERGED, MergeStatus.FAILED, MergeStatus.CONFLICTED, MergeStatus.CANCELLED)


class Storm(Struct):
    """One queue and what was done to it."""

    bench: QueueBench
    random: Random
    faults: Counter[str] = field(default_factory=Counter)
    processors: int = 1
    kinds: dict[str, str] = field(default_factory=dict)
    """Entry -> `good`, `bad`, `clash` (with another one), `needs` (something good)."""
    foreign: list[str] = field(default_factory=list)
    start: str = ""

    def queue_up(self, dying: CheckSpec) -> None:
        """Queue four to eight branches; some checks of this queue die once."""
        self.start = self.bench.repository.commit_of("main")
        for number in range(self.random.randint(4, 8)):
            name = f"b{number}"
            good = [other for other, kind in self.kinds.items() if kind == "good"]
            kind = self.random.choice(["good", "good", "good", "bad", "clash", "needs" if good else "good"])
            self.kinds[name] = kind
            needed = self.random.choice(good) if kind == "needs" else ""
            files = {f"src/{name}.txt": f"{'BAD' if kind == 'bad' else name}\n"}
            if kind == "clash":
                files["src/start.txt"] = f"{name}\n"
            self.bench.branch(name, files, start=f"work/{needed}" if needed else "main")
            self.bench.add(
                name,
                checks=self.random.choice([(NO_BAD,), (NO_BAD, dying)]),
                deps=[needed] if needed else [],
                start=f"work/{needed}" if needed else "main",
                priority=self.random.randint(0, 2),
                solo=self.random.random() < 0.2,
            )

    def strike(self) -> None:
        """Let a process work on the queue until something happens to it; now and then the target moves."""
        if self.random.random() < 0.3:
            name = f"foreign{len(self.foreign)}"
            self.foreign.append(self.bench.repository.commit({f"{name}.txt": f"{name}\n"}, name))
            self.faults["somebody moves the target"] += 1
        kind = self.random.choice(["", "", GIT, "merge.landing", "merge.landed", "check.finished"])
        moment = Moment(
            type=kind,
            before=self.random.random() < 0.5,
            at=self.random.randint(1, 16) if kind in ("", GIT) else self.random.randint(1, 2),
        )
        # In a call of git it may hold a lock of the repository, and the thief would wait for it for ever.
        deed = "steal" if kind != GIT and self.random.random() < 0.3 else "kill"
        self.processors += 1
        ended = start_work(self.bench.repository.path, "queue", moment, deed)
        side = "before" if moment.before else "after"
        where = {"": "an event", GIT: "a call of git"}.get(kind, kind)
        if ended == -signal.SIGKILL:
            self.faults[f"killed {side} {where}"] += 1
        elif ended == STOLEN:
            self.faults["the lease is stolen"] += 1

    # --- what must hold afterwards ------------------------------------------------------------------------

    def check(self, outcome: Outcome) -> None:
        """Everything landed once, verified and whole, or left with a reason; nothing is lost or left over."""
        self.bench.assert_sound(outcome)
        for name, entry in outcome.entries.items():
            assert entry.status in _SETTLED, f"{name} is {entry.status}: {entry.reason}"
            assert entry.status is MergeStatus.MERGED or entry.reason
            if self.kinds[name] in ("good", "needs"):
                assert entry.status is MergeStatus.MERGED, f"{name} did not land: {entry.reason}"
            assert (self.kinds[name] == "bad") is (entry.status is MergeStatus.FAILED)
        clashing = [name for name, kind in self.kinds.items() if kind == "clash"]
        landed = [name for name in clashing if outcome.entries[name].status is MergeStatus.MERGED]
        assert len(landed) == min(1, len(clashing)), "of those that clash, one lands"
        self._check_history()
        self._check_leftovers()

    def _check_history(self) -> None:
        repository = self.bench.repository
        made = repository.git("rev-list", "--first-parent", f"{self.start}..main").split()
        ours = [commit for commit in made if commit not in self.foreign]
        assert {*self.foreign} <= {*made}, "somebody's commit was lost"
        facts = [event.data for event in queue_journal(self.bench.shop, MAIN).catch_up()]
        landed = [fact.commit for fact in facts if isinstance(fact, MergeLanded)]
        assert sorted(ours) == sorted(landed), "not only what was verified is on the target"
        for name, head in self.bench.heads.items():
            assert repository.commit_of(f"refs/heads/work/{name}") == head, f"the branch of {name} moved"

    def _check_leftovers(self) -> None:
        repository, shop = self.bench.repository, self.bench.shop
        assert repository.status() == ""
        assert find_marked(check_runner(shop, MAIN).marker) == ()
        assert {info.state for info in shop.worktrees.list()} <= {SlotState.POOLED}
        assert shop.leases.holder(queue_stream(MAIN)) is None
        assert not list((repository.path / ".git").rglob("*.lock"))
        assert repository.git("fsck", "--connectivity-only", "--no-dangling") == ""


def weather_a_storm(folder: Path, seed: int) -> tuple[Storm, Outcome]:
    """A queue that is struck two to four times and then processed to its end, and held to its promises."""
    world = make_world(folder / "repo", {"src/start.txt": "one\n"})
    dies_once = folder / "died"
    dying = check(f"[ -e {dies_once} ] || {{ : > {dies_once}; kill -9 $$; }}; ! grep -rq BAD src", "dying")
    with open_bench(world) as bench:
        storm = Storm(bench=bench, random=Random(seed))
        storm.queue_up(dying)
        for _ in range(storm.random.randint(2, 4)):
            storm.strike()
        outcome = bench.process()
        storm.faults["a check dies"] += dies_once.exists()
        storm.check(outcome)
    return storm, outcome
