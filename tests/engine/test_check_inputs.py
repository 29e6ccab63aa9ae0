"""Checks with `inputs`: one verdict for all trees in which they are the same, and a checkout of only them."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli_multi_rapid.core.events import Event
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Commit, EntryId, EventId, RunId, Tree
from cli_multi_rapid.core.merge_events import CheckFinished, CheckStarted, MergeChecking, MergeFailed
from cli_multi_rapid.core.node_state import MergeStatus
from cli_multi_rapid.core.plan import CheckSpec
from cli_multi_rapid.core.verdicts import InputsDigest
from cli_multi_rapid.engine.check_inputs import CheckInputs
from cli_multi_rapid.git import Repository, open_repository
from tests.fakes.queues import Outcome, QueueBench, check, open_bench
from tests.fakes.repositories import Content
from tests.fakes.worlds import make_world

FILES: dict[str, Content] = {
    "src/a.txt": "a\n",
    "tests/t.txt": "t\n",
    "docs/guide.txt": "guide\n",
    "other/x.txt": "x\n",
    "ruff.toml": "line-length = 100\n",
}
GLOBS = ("src/**", "tests/**")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[QueueBench]:
    """A queue on a repository in which the check of `src` and `tests` has passed once."""
    with open_bench(make_world(tmp_path / "repo", FILES)) as bench:
        yield bench


@pytest.fixture
def counted(tmp_path: Path) -> "Counted":
    """A check with inputs that writes down every time it runs, and what it sees."""
    return Counted(tmp_path / "runs")


class Counted:
    """A check that leaves a line for each of its runs: the files of its checkout."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def check(self, *inputs: str, name: str = "tests") -> CheckSpec:
        line = f"find . -name .git -prune -o ! -type d -print | sort | tr '\\n' ' ' >> {self._log}"
        return check(f"{line}; echo >> {self._log}", name=name, inputs=inputs or GLOBS)

    @property
    def runs(self) -> list[list[str]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [[name.removeprefix("./") for name in line.split()] for line in lines]


def reused(outcome: Outcome) -> list[CheckFinished]:
    facts = outcome.all_of(CheckFinished)
    return [fact for fact in facts if isinstance(fact, CheckFinished) and fact.reused]


def verified(bench: QueueBench, spec: CheckSpec) -> None:
    """Land something, so that the inputs are verified as they are on main now."""
    bench.add("first", {"src/first.txt": "first\n"}, checks=[spec])
    assert bench.process().merged == ["first"]


# --- what is run and what is not ----------------------------------------------------------------------------


def test_a_change_of_docs_lands_without_any_run_of_a_check_that_does_not_read_them(
    bench: QueueBench, counted: Counted
) -> None:
    verified(bench, counted.check())
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[counted.check()])
    outcome = bench.process()
    assert outcome.status("docs") is MergeStatus.MERGED
    assert outcome.checks_run == 0
    assert len(counted.runs) == 1
    (verdict,) = reused(outcome)
    (log,) = Path(verdict.log).parent.glob("tests.*.log")
    assert (verdict.check, verdict.entries, verdict.log) == ("tests", ("docs",), str(log))
    assert verdict.tree == bench.repository.tree_of("main")
    bench.assert_sound(outcome)


def test_what_was_verified_on_the_target_itself_need_not_be_run_again(
    bench: QueueBench, counted: Counted
) -> None:
    passes_on_main = check("test ! -e src/bad.txt", name="tests", inputs=GLOBS)
    bench.add("bad", {"src/bad.txt": "bad\n"}, checks=[passes_on_main])
    assert bench.process(retry_flaky=0).status("bad") is MergeStatus.FAILED
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[passes_on_main])
    outcome = bench.process()
    assert outcome.status("docs") is MergeStatus.MERGED
    assert outcome.checks_run == 0
    assert len(reused(outcome)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"src/a.txt": "changed\n"},
        {"tests/deep/new.txt": "new\n"},
        {"src/first.txt": None},
        {"uv.lock": "locked = 1\n"},
        {"other/package-lock.json": "{}\n"},
        {"pyproject.toml": "[project]\n"},
        {"Makefile": "all:\n"},
        {"ruff.toml": "line-length = 80\n"},
        {"other/conftest.py": "\n"},
        {"requirements-dev.txt": "pytest\n"},
        {"config/orchestrator.yaml": "version: 1\n"},
        {"docs/.gitattributes": "*.txt eol=crlf\n"},
    ],
    ids=" ".join,
)
def test_a_change_of_an_input_a_lock_file_a_build_file_or_configuration_is_checked(
    bench: QueueBench, counted: Counted, change: dict[str, Content]
) -> None:
    verified(bench, counted.check())
    bench.add("change", change, checks=[counted.check()])
    outcome = bench.process()
    assert outcome.status("change") is MergeStatus.MERGED
    assert len(counted.runs) == 2
    assert not reused(outcome)


def test_a_renamed_input_is_another_input(bench: QueueBench, counted: Counted) -> None:
    verified(bench, counted.check())
    bench.add("moved", {"src/a.txt": None, "src/b.txt": "a\n"}, checks=[counted.check()])
    bench.process()
    assert [sorted(run) for run in counted.runs] == [
        ["ruff.toml", "src/a.txt", "src/first.txt", "tests/t.txt"],
        ["ruff.toml", "src/b.txt", "src/first.txt", "tests/t.txt"],
    ]


def test_a_file_that_moves_out_of_the_inputs_is_gone_for_the_check(
    bench: QueueBench, counted: Counted
) -> None:
    verified(bench, counted.check())
    bench.add("moved", {"src/a.txt": None, "docs/a.txt": "a\n"}, checks=[counted.check()])
    assert bench.process().status("moved") is MergeStatus.MERGED
    assert "src/a.txt" not in counted.runs[1]
    assert "docs/a.txt" not in counted.runs[1]


def test_an_input_that_becomes_executable_is_another_input(bench: QueueBench) -> None:
    spec = check("test ! -x src/a.txt", name="tests", inputs=GLOBS)
    verified(bench, spec)
    repository = bench.repository
    repository.git("checkout", "-q", "-b", "work/mode")
    repository.git("update-index", "--chmod=+x", "src/a.txt")
    repository.git("commit", "-q", "-m", "mode")
    bench.heads["mode"] = repository.head
    repository.git("checkout", "-q", "-f", "main")
    bench.add("mode", checks=[spec])
    assert bench.process().status("mode") is MergeStatus.FAILED


def test_an_input_that_becomes_a_symlink_is_another_input_and_stays_one_in_the_checkout(
    bench: QueueBench,
) -> None:
    spec = check("test ! -L src/a.txt", name="tests", inputs=GLOBS)
    verified(bench, spec)
    repository = bench.repository
    repository.git("checkout", "-q", "-b", "work/link")
    (repository.path / "src/a.txt").unlink()
    (repository.path / "src/a.txt").symlink_to("first.txt")
    bench.heads["link"] = repository.commit(message="link")
    repository.git("checkout", "-q", "main")
    bench.add("link", checks=[spec])
    assert bench.process().status("link") is MergeStatus.FAILED


def test_when_the_target_gets_another_configuration_of_the_check_what_waits_is_checked_with_it(
    bench: QueueBench, counted: Counted
) -> None:
    verified(bench, counted.check())
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[counted.check()])
    bench.repository.commit({"ruff.toml": "line-length = 79\n"}, "stricter")
    outcome = bench.process()
    assert outcome.status("docs") is MergeStatus.MERGED
    assert len(counted.runs) == 2


def test_a_check_without_inputs_is_run_for_every_tree(bench: QueueBench) -> None:
    whole = check("test -e docs/guide.txt && test -e src/a.txt", name="tests")
    verified(bench, whole)
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[whole])
    assert bench.process().checks_run == 1


def test_two_checks_that_differ_only_in_their_inputs_do_not_share_a_verdict(
    bench: QueueBench, counted: Counted
) -> None:
    verified(bench, counted.check("src/**"))
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[counted.check("src/**", "docs/**")])
    assert bench.process().status("docs") is MergeStatus.MERGED
    assert len(counted.runs) == 2
    assert "docs/guide.txt" in counted.runs[1]


def test_one_run_serves_all_candidates_that_look_the_same_to_the_check_and_each_of_them_says_so(
    bench: QueueBench, counted: Counted
) -> None:
    bench.add("code", {"src/code.txt": "code\n"}, checks=[counted.check()])
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[counted.check()])
    outcome = bench.process(workers=4, min_gain=0.0)
    assert outcome.merged == ["code", "docs"]
    assert len(outcome.candidates) == 2
    assert len(counted.runs) == 1
    bench.assert_sound(outcome)


def test_a_tree_that_differs_beside_the_inputs_is_not_even_read_whole(
    bench: QueueBench, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified(bench, counted.check())
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[counted.check()])

    def refuse(_repository: Repository, tree: Tree) -> None:
        raise AssertionError(f"{tree} is read")

    monkeypatch.setattr(Repository, "tree_files", refuse)
    assert bench.process().status("docs") is MergeStatus.MERGED


def test_what_is_carried_over_from_tree_to_tree_is_what_each_tree_says_by_itself(bench: QueueBench) -> None:
    checks = [check("true", inputs=inputs) for inputs in (GLOBS, ("docs/**",), ("**",), ("*/a.txt",))]
    repository = open_repository(bench.repository.path, bench.world.repository.path / "state/scratch")
    steps: list[dict[str, Content]] = [
        {"docs/new.txt": "new\n"},
        {"src/a.txt": "b\n"},
        {"src/a.txt": "a\n"},
        {"other/x.txt": None},
        {"docs/new.txt": None, "docs/new.txt/deep": "a folder now\n"},
        {"uv.lock": "1\n"},
        {"src/a.txt": None, "docs/a.txt": "a\n"},
        {"src/b.txt": "a\n", "docs/a.txt": None},
    ]
    kept = CheckInputs(repository)
    seen = set()
    for step in [{}, *steps]:
        commit = bench.repository.commit(step)
        tree = bench.repository.tree_of(commit)
        found = kept.contents(tree, checks)
        assert found == CheckInputs(repository).contents(tree, checks)
        seen.add(found[0].digest)
    assert len(seen) == 5


def test_what_the_log_says_of_a_tree_that_is_gone_or_by_another_list_is_not_relied_on(
    bench: QueueBench,
) -> None:
    spec = check("true", inputs=GLOBS)
    repository = open_repository(bench.repository.path, bench.world.repository.path / "state/scratch")
    tree = bench.repository.tree_of("main")
    (true,) = CheckInputs(repository).contents(tree, [spec])
    for place, digest in (
        (tree, "0ld00000.1234"),
        (Tree("1" * 40), true.digest.replace(true.digest[-1], "x")),
    ):
        inputs = CheckInputs(repository)
        inputs.learn(announced(place, InputsDigest(inputs=GLOBS, digest=digest)))
        assert inputs.contents(tree, [spec]) == (true,)


def announced(tree: Tree, *contents: InputsDigest) -> Event:
    """The event that a candidate with this tree begins to be checked."""
    commit = Commit("2" * 40)
    data = MergeChecking(entries=(EntryId("e"),), tip=commit, commit=commit, tree=tree, contents=contents)
    stream = RunId("queue:main")
    return Event(id=EventId("1"), seq=1, run_id=stream, time=datetime.now(UTC), source="test", data=data)


# --- what a check sees --------------------------------------------------------------------------------------


def test_a_check_sees_its_inputs_and_what_counts_for_every_check_and_nothing_else(
    bench: QueueBench, counted: Counted
) -> None:
    bench.add("docs", {"docs/more.txt": "more\n", "tests/new.txt": "new\n"}, checks=[counted.check()])
    assert bench.process().merged == ["docs"]
    assert counted.runs == [["ruff.toml", "src/a.txt", "tests/new.txt", "tests/t.txt"]]


def test_a_read_of_something_undeclared_fails_the_check_and_the_evidence_names_it(bench: QueueBench) -> None:
    reads = check("cat other/x.txt src/a.txt", name="tests", inputs=GLOBS)
    bench.add("p", {"src/p.txt": "p\n"}, checks=[reads])
    outcome = bench.process()
    assert outcome.merged == []
    (found, *_) = [f for f in outcome.all_of(CheckFinished) if isinstance(f, CheckFinished)]
    assert found.verdict is Verdict.FAILED
    assert "other/x.txt: No such file or directory" in found.evidence
    assert "it sees only its inputs; if it reads more, name that in checks.tests.inputs" in found.reason


def test_a_check_that_changes_its_inputs_is_still_refused(bench: QueueBench) -> None:
    bench.add("p", {"src/p.txt": "p\n"}, checks=[check("echo x >> src/a.txt", name="fmt", inputs=GLOBS)])
    outcome = bench.process()
    assert outcome.merged == []
    assert outcome.processed.halted is not None
    assert "fmt changed the files that it checks: src/a.txt" in outcome.processed.halted


def test_inputs_that_match_no_file_fail_the_check_without_a_run(bench: QueueBench, counted: Counted) -> None:
    bench.add("p", {"src/p.txt": "p\n"}, checks=[counted.check("lib/**", "spec/**")])
    outcome = bench.process()
    assert outcome.merged == []
    assert counted.runs == []
    assert outcome.processed.halted is not None
    assert "its inputs lib/**, spec/** match no file" in outcome.processed.halted


def test_an_entry_that_takes_away_all_inputs_of_a_check_is_ejected(bench: QueueBench) -> None:
    reads = check("cat other/x.txt", name="tests", inputs=["other/**"])
    bench.add("gone", {"other/x.txt": None}, checks=[reads])
    outcome = bench.process()
    (failed,) = outcome.all_of(MergeFailed)
    assert isinstance(failed, MergeFailed)
    assert (failed.entry_id, failed.check) == ("gone", "tests")
    assert "match no file" in failed.reason


def test_names_that_are_no_utf8_and_folders_that_look_like_options_are_inputs_like_others(
    bench: QueueBench,
) -> None:
    repository = bench.repository
    repository.git("checkout", "-q", "-b", "work/odd")
    folder = repository.path / "src/--all"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff\n.txt")).write_text("odd\n")
    bench.heads["odd"] = repository.commit(message="odd")
    repository.git("checkout", "-q", "main")
    bench.add(
        "odd",
        checks=[check("test $(find src -type f -print0 | tr -cd '\\0' | wc -c) = 2", inputs=["src/**"])],
    )
    assert bench.process().merged == ["odd"]


# --- who is to blame ----------------------------------------------------------------------------------------


def test_when_the_target_fails_the_check_an_entry_beside_its_inputs_is_not_blamed(bench: QueueBench) -> None:
    red = check("test ! -e src/a.txt", name="tests", inputs=GLOBS)
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[red])
    outcome = bench.process()
    assert not outcome.all_of(MergeFailed)
    assert outcome.processed.halted is not None
    assert "main itself fails tests" in outcome.processed.halted
    assert len(outcome.all_of(CheckStarted)) == 2  # once, and once more because it may have been a flake


def test_behind_a_culprit_what_does_not_touch_its_check_lands(bench: QueueBench) -> None:
    spec = check("test ! -e src/bad.txt", name="tests", inputs=GLOBS)
    bench.add("bad", {"src/bad.txt": "bad\n"}, checks=[spec])
    bench.add("docs", {"docs/guide.txt": "better\n"}, checks=[spec])
    bench.add("good", {"src/good.txt": "good\n"}, checks=[spec])
    outcome = bench.process(workers=4)
    assert outcome.merged == ["docs", "good"]
    assert outcome.status("bad") is MergeStatus.FAILED
    bench.assert_sound(outcome)
