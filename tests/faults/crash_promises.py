"""What must hold after a crash and a resume, each told by git, processes, the log's rows or files.

Nothing here asks the product: it reads the database as rows, the ledger as lines and the refs with git.
"""

import fcntl
import json
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from tests.fakes.remotes import markers_of
from tests.faults.crash_world import (
    CHECKS,
    ENDS,
    EXIT_CODE,
    LANDS,
    RIVALS,
    CrashWorld,
    persons_files,
)

_OURS = "refs/cli-orchestrator/"
_USUAL = (
    "orchestrator.db",
    "cost_ledger.",
    "merge_queue.json",
    ".gitignore",
    "repository",
    "locks/",
    "git/landing.lock",
    "git/pool.lock",
    "git/pool/",
    "worktrees/.pool/",
)
"""What lies in `state/` when all is at rest."""
_FINAL = {
    "node.failed": "failed",
    "node.skipped": "skipped",
    "merge.landed": "landed",
    "merge.failed": "refused",
    "merge.conflicted": "in conflict",
}
"""Types of facts that end a node, or its work's way into the target."""


class Row(Struct, frozen=True):
    """An event as the database has it."""

    stream: str
    seq: int
    type: str
    data: dict[str, Any]


class Aftermath(Struct, kw_only=True):
    """What one crash and its resumes left."""

    world: CrashWorld
    run_id: str
    status: int
    """The exit code of the last resume."""
    doctor: str
    """What `doctor` says now, as JSON."""
    rows: list[Row] = field(default_factory=list)
    had_ended: bool = False
    """Whether the run had come to its end before the crash: then nobody works on it any more."""
    explained: list[str] = field(default_factory=list)
    """What is left and doctor explains."""

    def broken(self) -> list[str]:
        """Every promise that does not hold, in words."""
        self.rows = _rows(self.world)
        found: list[str] = []
        for look in PROMISES:
            try:
                found += [f"{look.__name__}: {what}" for what in look(self)]
            except (OSError, KeyError, ValueError, AssertionError) as error:  # not even there to be looked at
                found.append(f"{look.__name__}: {type(error).__name__}: {error}")
        return found

    def facts(self, type_: str, *, queue: bool = False) -> list[dict[str, Any]]:
        """The facts of a type, of the run or of the queue."""
        stream = "queue:main" if queue else self.run_id
        return [row.data for row in self.rows if row.type == type_ and row.stream == stream]

    def report(self) -> dict[str, Any]:
        """The report that the run wrote at its end."""
        path = self.world.repository.path / "artifacts" / "reports" / f"{self.run_id}_report.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found


def _rows(world: CrashWorld) -> list[Row]:
    database = world.repository.path / "state" / "orchestrator.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT run_id, seq, type, data FROM events ORDER BY run_id, seq")
        return [Row(stream, seq, type_, json.loads(data)) for stream, seq, type_, data in found]


def the_log_is_whole(after: Aftermath) -> Iterator[str]:
    """No place of a stream is empty or taken twice, and there is one run."""
    streams = defaultdict(list)
    for row in after.rows:
        streams[row.stream].append(row.seq)
    for name, places in streams.items():
        if places != list(range(1, len(places) + 1)):
            yield f"{name} has the places {places}"
    if set(streams) != {after.run_id, "queue:main"}:
        yield f"there are the streams {sorted(streams)}"


def every_node_has_one_end(after: Aftermath) -> Iterator[str]:
    """One fact of the log ends it, however often it was begun."""
    if after.status != EXIT_CODE:
        yield f"resume ended with {after.status}"
    ends = defaultdict(list)
    for type_, end in _FINAL.items():
        for fact in after.facts(type_):
            ids = fact.get("entries") or [fact.get("entry_id") or fact["node_id"]]
            for name in ids:
                ends[name.rpartition("/")[2]].append(end)
    yield from (f"{name} ended as {told}" for name, told in ends.items() if len(told) != 1)
    if not any(ends[name] == ["landed"] for name in RIVALS):
        yield "of the two that write one file none landed"


def what_had_succeeded_did_not_run_again(after: Aftermath) -> Iterator[str]:
    """No attempt begins after one that succeeded."""
    done = set()
    for row in after.rows:
        if row.type == "node.succeeded":
            done.add(row.data["node_id"])
        elif row.type == "node.started" and row.data["node_id"] in done:
            yield f"{row.data['node_id']} ran again as attempt {row.data['attempt']}"


def every_node_is_told_with_its_end(after: Aftermath) -> Iterator[str]:
    """The report has the end that the plan must come to, and a reason for each that did not land."""
    for node in after.report()["nodes"]:
        name, end = node["node_id"], (node["status"], node["merge_status"])
        allowed = [ENDS[name]] if name in ENDS else [ENDS["first"], ("completed", "CONFLICTED")]
        if end not in allowed:
            yield f"{name} is {end}: {node['reason'] or node['merge_reason']}"
        if not (node["landed_commit"] or node["reason"] or node["merge_reason"] or node["blocked_by"]):
            yield f"{name} has no reason"


def what_landed_landed_once_and_verified(after: Aftermath) -> Iterator[str]:
    """The target's own history holds exactly the landings, each with passing verdicts for its tree."""
    git = after.world.repository.git
    passed = {
        (fact["tree"], fact["check"])
        for fact in after.facts("check.finished", queue=True)
        if fact["verdict"] == "passed"
    }
    landings = after.facts("merge.landed", queue=True)
    entries = Counter(entry for fact in landings for entry in fact["entries"])
    yield from (f"{entry} landed {times} times" for entry, times in entries.items() if times > 1)
    commits = git("rev-list", "--first-parent", f"{after.world.start}..main").split()
    if sorted(commits) != sorted(fact["commit"] for fact in landings):
        yield f"main has {commits}, the log {[fact['commit'] for fact in landings]}"
    for commit in commits:
        tree = git("rev-parse", f"{commit}^{{tree}}")
        yield from (f"{commit} landed without {check}" for check in CHECKS if (tree, check) not in passed)
    marked = {name.rpartition("/")[2] for name in markers_of(after.world.repository)}
    if marked != {entry.rpartition("/")[2] for entry in entries}:
        yield f"there are the markers of {sorted(marked)}"


def no_work_is_lost(after: Aftermath) -> Iterator[str]:
    """The target has the work of all that landed, once, and of nobody else; the rest is on its branch."""
    repository = after.world.repository
    landed = {node["node_id"] for node in after.report()["nodes"] if node["landed_commit"]}
    wanted = {f"src/{name}.txt" for name in landed if name not in RIVALS and not name.startswith("turn")}
    wanted |= {"src/start.txt", "src/turns.txt", "src/clash.txt"}
    found = {name for name in repository.files("main") if name.startswith("src/")}
    if found != wanted:
        yield f"main has {sorted(found)}"
    if LANDS - landed:
        yield f"{sorted(LANDS - landed)} did not land"
    if (turns := repository.show("main", "src/turns.txt")) != "a\nb\n":
        yield f"two that take turns wrote {turns!r}"
    for node in after.report()["nodes"]:
        if node["node_id"] in ("red", "lost", *(RIVALS - landed)):
            held = repository.try_git("show", f"{node['branch']}:src/{node['node_id'].split('-')[0]}.txt")
            if held.returncode:
                yield f"the work of {node['node_id']} is not on {node['branch']}"


def the_remote_has_the_same(after: Aftermath) -> Iterator[str]:
    """Target and markers are at the same commits on the remote."""
    if after.world.pushes:
        here, there = after.world.repository, after.world.remote
        if here.commit_of("main") != there.commit_of("main") or markers_of(here) != markers_of(there):
            yield f"{markers_of(here)} here, {markers_of(there)} there"


def the_ledger_has_what_the_tools_charged(after: Aftermath) -> Iterator[str]:
    """Each attempt once: at the tool's price, or, cut off before anybody read it, at what was set aside."""
    charged = _receipts(after.world, after.run_id)
    reserved = {_attempt(fact): fact["amount"] for fact in after.facts("budget.reserved")}
    settled = defaultdict(list)
    for fact in after.facts("budget.settled"):
        settled[_attempt(fact)].append(fact["usage"].get("cost", 0))
    cut = {_attempt(fact) for fact in after.facts("node.attempt_failed") if fact["failure"] == "interrupted"}
    for attempt in charged.keys() | reserved.keys() | settled.keys():
        told, price = settled[attempt], charged.get(attempt, 0)
        allowed = {price} | ({reserved[attempt]} if attempt in cut else set())
        if len(told) != 1 or told[0] not in allowed:
            yield f"{attempt} is in the ledger with {told}, its tool charged {price}"
    lines = (after.world.repository.path / "state" / "cost_ledger.jsonl").read_text().splitlines()
    total = round(sum(json.loads(line)["amount"] for line in lines) * 1_000_000)
    if total != (spent := sum(map(sum, settled.values()))):
        yield f"cost_ledger.jsonl has {total}, the events {spent}"
    if (told := round(after.report()["cost_summary"]["total_used_usd"] * 1_000_000)) != spent:
        yield f"the report has {told}, the events {spent}"


def _receipts(world: CrashWorld, run_id: str) -> Mapping[tuple[str, int], int]:
    found = {}
    for line in world.receipts.read_text(encoding="utf-8").splitlines():
        marker, cost = line.split()
        run, node, attempt = marker.split("/")
        assert run == run_id
        assert (node, int(attempt)) not in found
        found[node, int(attempt)] = round(float(cost) * 1_000_000)
    return found


def _attempt(fact: dict[str, Any]) -> tuple[str, int]:
    return fact["node_id"], fact["attempt"]


def no_process_lives_on(after: Aftermath) -> Iterator[str]:
    """Neither one with the run's marker, nor one that dropped it and works in a folder of ours."""
    place = str(after.world.folder).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = ((process / name).read_bytes() for name in ("environ", "cmdline"))
            where = os.fsencode((process / "cwd").readlink())
        except OSError:
            continue
        if int(process.name) != os.getpid() and (place in environment or where.startswith(place + b"/")):
            yield f"{process.name} lives: {command!r}"


def nothing_is_left_unexplained(after: Aftermath) -> Iterator[str]:
    """No worktree, lock, ref or file of ours, but what doctor names after a run that had ended by itself.

    Who takes a run up puts all of it away; only the trash may take longer than the process that fills it. An
    object that was half written has the name that git gives such, and goes with git's next `gc`.
    """
    for what in _left(after):
        is_for_git = "/objects/" in what and "/tmp_obj_" in what
        if is_for_git or (_is_named(what, after) and (after.had_ended or "/state/trash/" in what)):
            after.explained.append(what)
        else:
            yield what
    problems = [found for found in json.loads(after.doctor)["findings"] if found["standing"] == "problem"]
    yield from (f"doctor: {found['detail']}" for found in problems)


def _is_named(what: str, after: Aftermath) -> bool:
    """Whether doctor speaks of it, or of the folder that it lies in, by its path in the repository."""
    place = Path(what.removeprefix(f"{after.world.repository.path}/"))
    return any(f"{named} " in after.doctor for named in (place, *place.parents[:-1]))


def _left(after: Aftermath) -> Iterator[str]:
    repository, state = after.world.repository, after.world.repository.path / "state"
    kept = {f"refs/heads/{attempt['branch']}" for attempt in _unlanded_attempts(after)}
    usual = {"refs/heads/main", "refs/heads/mine", "refs/remotes/origin/main", *kept}
    for ref in repository.git("for-each-ref", "--format=%(refname)").split():
        if ref not in usual and not ref.startswith(f"{_OURS}landed/"):
            yield ref
    for git_dir in (repository.path / ".git", after.world.remote.path):
        yield from (str(path) for path in git_dir.rglob("*.lock"))
        yield from (str(path) for path in git_dir.rglob("tmp_*"))
    for path in state.rglob("*"):
        place = str(path.relative_to(state))
        if not path.is_dir() and not place.startswith(_USUAL):
            yield str(path)
    pools = [{path.name for path in (state / name).glob("*")} for name in ("worktrees/.pool", "git/pool")]
    yield from (f"half of the pooled worktree {name}" for name in pools[0] ^ pools[1])
    yield from (str(path) for path in after.world.temp.iterdir())
    yield from (str(path) for path in (state / "locks").glob("*.lock") if _is_held(path))
    if repository.git("worktree", "list").count("\n"):
        yield repository.git("worktree", "list")
    if damage := repository.git("fsck", "--connectivity-only", "--no-dangling"):
        yield damage


def _unlanded_attempts(after: Aftermath) -> list[dict[str, Any]]:
    """The attempts whose branches the report names."""
    nodes = after.report()["nodes"]
    attempts = [
        attempt
        for node in nodes
        for attempt in node["attempts"]
        if not (node["landed_commit"] and attempt is node["attempts"][-1])
    ]
    return [attempt for attempt in attempts if attempt["branch"]]


def _is_held(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def the_checkout_is_as_it_was(after: Aftermath) -> Iterator[str]:
    """The person's files, index and HEAD; where landings step the checkout forward, all else shows `main`."""
    now = persons_files(after.world)
    for name, content in after.world.seen.items():
        if now.get(name) != content:
            yield f"{name} was {content!r} and is {now.get(name)!r}"


PROMISES: tuple[Callable[[Aftermath], Iterator[str]], ...] = (
    the_log_is_whole,
    every_node_has_one_end,
    what_had_succeeded_did_not_run_again,
    every_node_is_told_with_its_end,
    what_landed_landed_once_and_verified,
    no_work_is_lost,
    the_remote_has_the_same,
    the_ledger_has_what_the_tools_charged,
    no_process_lives_on,
    nothing_is_left_unexplained,
    the_checkout_is_as_it_was,
)
