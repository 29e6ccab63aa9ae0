"""Landing on a remote as people use it: exit codes, several clones, and kill -9 around every step."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from cli_multi_rapid import wiring
from cli_multi_rapid.core.facts import Verdict
from cli_multi_rapid.core.ids import Branch, queue_stream
from cli_multi_rapid.core.merge_events import CheckFinished, MergeLanded
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import ended, execute, make_gate, plan_of, start, writes
from tests.fakes.remotes import assert_same_landings, clone, markers_of, push_foreign, set_hook
from tests.fakes.repositories import RepositoryBuilder, make_bare_remote, make_repository

CONFIG = """\
version: 1
checks:
  good: {run: "! grep -rq bad --include=*.txt ."}
"""
PUSHED = CONFIG + "landing: {push: origin}\n"

DEADLY_GIT = """\
#!/bin/sh
# The first call with these words kills its caller, before or after it does its work.
case "$*" in
*"{words}"*)
  if [ ! -e "{flag}" ]; then
    : > "{flag}"
    if [ {when} = after ]; then "{real}" "$@"; fi
    kill -9 "$PPID"
    exit 1
  fi ;;
esac
exec "{real}" "$@"
"""


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    files = {"README.md": "# Example\n", "config/orchestrator.yaml": CONFIG}
    return make_repository(tmp_path / "repo", files)


@pytest.fixture
def remote(repository: RepositoryBuilder, tmp_path: Path) -> RepositoryBuilder:
    return make_bare_remote(tmp_path / "remote.git", repository)


def queued(repository: RepositoryBuilder, *names: str) -> None:
    for name in names:
        repository.commit_on(name, {f"{name}.txt": "fine\n"})
    added = type_in(repository.path, "queue", "add", *names)
    assert added.status == 0, added.err


def landings(repository: RepositoryBuilder) -> list[MergeLanded]:
    with wiring.open_records(wiring.find_home(repository.path)) as records:
        events = records.log.read(queue_stream(Branch("main")))
        return [event.data for event in events if isinstance(event.data, MergeLanded)]


def verified_trees(repository: RepositoryBuilder) -> set[str]:
    with wiring.open_records(wiring.find_home(repository.path)) as records:
        facts = [event.data for event in records.log.read(queue_stream(Branch("main")))]
    return {fact.tree for fact in facts if isinstance(fact, CheckFinished) and fact.verdict is Verdict.PASSED}


def first_parents(remote: RepositoryBuilder, start: str) -> list[str]:
    return remote.git("rev-list", "--first-parent", f"{start}..main").split()


# --- what people type ---------------------------------------------------------------------------------------


def test_the_option_and_the_configuration_land_on_both_sides(
    repository: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    queued(repository, "one")
    processed = type_in(repository.path, "queue", "process", "--push", "origin")
    assert processed.status == 0, processed.err
    assert "landed in" in processed.err
    assert "on origin too" in processed.err
    assert_same_landings(repository, remote)
    repository.commit({"config/orchestrator.yaml": PUSHED}, "configure")
    repository.git("push", "-q", "origin", "main")
    queued(repository, "two")
    assert type_in(repository.path, "queue", "process").status == 0
    assert remote.show("main", "two.txt") == "fine\n"
    assert_same_landings(repository, remote)


def test_a_run_lands_on_the_configured_remote(
    repository: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    repository.commit({"config/orchestrator.yaml": PUSHED}, "configure")
    repository.git("push", "-q", "origin", "main")
    done = execute(repository, plan_of(writes("a"), writes("b", deps=["a"])))
    assert done.status == 0, done.err
    assert remote.show("main", "b.txt") == "b\n"
    assert_same_landings(repository, remote)


def test_a_run_whose_remote_refuses_says_so_and_the_named_command_lands_its_work(
    repository: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    repository.commit({"config/orchestrator.yaml": PUSHED}, "configure")
    repository.git("push", "-q", "origin", "main")
    hook = set_hook(remote, "pre-receive", "echo frozen >&2; exit 1")
    done = execute(repository, plan_of(writes("a")))
    assert done.status == 1
    assert "origin refuses: frozen" in done.out + done.err
    assert "cli-orchestrator queue process --push origin --target main" in done.out + done.err
    hook.unlink()
    assert type_in(repository.path, "queue", "process", "--push", "origin", "--target", "main").status == 0
    assert remote.show("main", "a.txt") == "a\n"
    assert_same_landings(repository, remote)
    resumed = type_in(repository.path, "resume")
    assert resumed.status == 0, resumed.err


@pytest.mark.parametrize("word", ["upstream", "--mirror", "", "https://example.invalid/x.git"])
def test_a_name_that_is_no_remote_is_wrong_input(
    repository: RepositoryBuilder, remote: RepositoryBuilder, word: str
) -> None:
    queued(repository, "one")
    start = remote.commit_of("main")
    processed = type_in(repository.path, "queue", "process", f"--push={word}")
    assert processed.status == 2
    assert word in processed.err
    assert repository.commit_of("main") == remote.commit_of("main") == start


def test_an_unknown_remote_is_answered_with_those_that_there_are(
    repository: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    repository.git("remote", "add", "backup", "../backup.git")
    processed = type_in(repository.path, "queue", "process", "--push", "upstream")
    assert processed.status == 2
    assert "there is no remote upstream to push to" in processed.err
    assert "this repository knows backup, origin" in processed.err
    repository.commit({"config/orchestrator.yaml": CONFIG + "landing: {push: upstream}\n"}, "configure")
    assert execute(repository, plan_of(writes("a"))).status == 2


def test_a_remote_with_two_push_addresses_is_wrong_input(
    repository: RepositoryBuilder, remote: RepositoryBuilder
) -> None:
    for url in (remote.path, "../second.git"):
        repository.git("remote", "set-url", "--add", "--push", "origin", str(url))
    processed = type_in(repository.path, "queue", "process", "--push", "origin")
    assert processed.status == 2
    assert "the remote origin pushes to 2 addresses" in processed.err


def test_a_remote_that_says_no_gives_1_and_one_that_is_not_there_5(
    repository: RepositoryBuilder, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    queued(repository, "one")
    hook = set_hook(remote, "pre-receive", "echo frozen >&2; exit 1")
    refused = type_in(repository.path, "queue", "process", "--push", "origin")
    assert refused.status == 1
    assert "one -> main  BLOCKED: origin refuses: frozen" in refused.out
    assert "type:  cli-orchestrator queue process --push origin --target main" in refused.out
    hook.unlink()
    away = remote.path.rename(tmp_path / "away")
    unreachable = type_in(repository.path, "queue", "process", "--push", "origin", "--format", "json")
    assert unreachable.status == unreachable.document["exit_code"] == 5
    away.rename(remote.path)
    assert type_in(repository.path, "queue", "process", "--push", "origin").status == 0
    assert_same_landings(repository, remote)


def test_a_relative_address_and_a_bare_repository_are_fine(
    repository: RepositoryBuilder, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    repository.git("remote", "set-url", "origin", "../remote.git")
    queued(repository, "one")
    assert type_in(repository.path, "queue", "process", "--push", "origin").status == 0
    assert_same_landings(repository, remote)


# --- several clones of one remote ---------------------------------------------------------------------------


def test_a_push_whose_answer_was_lost_is_looked_up_also_after_a_retry_that_nobody_works_on(
    repository: RepositoryBuilder, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    queued(repository, "one")
    hook = set_hook(remote, "post-receive", 'kill -9 "$PPID"  # the refs have moved, nobody was told yet')
    assert type_in(repository.path, "queue", "process", "--push", "origin").status == 5
    landed = remote.commit_of("main")
    hook.unlink()
    assert type_in(repository.path, "queue", "retry", "one").status == 0
    away = remote.path.rename(tmp_path / "away")
    unsure = type_in(repository.path, "queue", "process")  # lands here only, and cannot ask the remote
    assert "one -> main  BLOCKED" in unsure.out
    away.rename(remote.path)
    assert type_in(repository.path, "queue", "process").status == 0
    assert remote.commit_of("main") == repository.commit_of("main") == landed


@pytest.fixture
def clones(
    repository: RepositoryBuilder, remote: RepositoryBuilder, tmp_path: Path
) -> tuple[RepositoryBuilder, RepositoryBuilder]:
    return repository, clone(remote, tmp_path / "other")


def process_both(clones: tuple[RepositoryBuilder, RepositoryBuilder], remote: RepositoryBuilder) -> None:
    """Let both processors push as close together as it goes, until both have come to their end."""
    programs = [start(each, "queue", "process", "--push", "origin") for each in clones]
    for program in programs:
        done = ended(program)
        assert done.status == 0, done.err
    for each in clones:  # the one that was first has not seen what came after
        each.git("fetch", "-q", "origin")
        assert each.try_git("merge", "-q", "--ff-only", "origin/main").returncode == 0
        assert each.commit_of("main") == remote.commit_of("main")


def test_two_clones_that_push_different_work_lose_nothing_and_push_only_what_they_verified(
    clones: tuple[RepositoryBuilder, RepositoryBuilder], remote: RepositoryBuilder
) -> None:
    start_commit = remote.commit_of("main")
    for each, names in zip(clones, (("a1", "a2", "a3"), ("b1", "b2", "b3")), strict=True):
        queued(each, *names)
    process_both(clones, remote)
    assert {f"{side}{n}.txt" for side in "ab" for n in (1, 2, 3)} <= set(remote.files("main"))
    landed = {str(fact.commit) for each in clones for fact in landings(each)}
    assert sorted(first_parents(remote, start_commit)) == sorted(landed)
    verified = verified_trees(clones[0]) | verified_trees(clones[1])
    assert {remote.tree_of(commit) for commit in landed} <= verified
    assert len(markers_of(remote)) == 6


def test_two_clones_that_push_the_same_work_land_it_once_and_both_say_so(
    clones: tuple[RepositoryBuilder, RepositoryBuilder], remote: RepositoryBuilder
) -> None:
    start_commit = remote.commit_of("main")
    for name in ("one", "two"):
        clones[0].commit_on(name, {f"{name}.txt": "fine\n"})
        clones[1].git("fetch", "-q", str(clones[0].path), f"{name}:{name}")
    for each in clones:
        assert type_in(each.path, "queue", "add", "one", "two").status == 0
    process_both(clones, remote)
    known = [{name: fact.commit for fact in landings(each) for name in fact.entries} for each in clones]
    assert known[0] == known[1]
    assert set(first_parents(remote, start_commit)) == set(known[0].values())
    assert len(markers_of(remote)) == 2


# --- kill -9 ------------------------------------------------------------------------------------------------

PUSH, REFS, STEP = "push --atomic", "update-ref -m cli-orchestrator: land", "merge --quiet"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("branch", "words"), [("main", PUSH), ("main", STEP), ("elsewhere", PUSH), ("elsewhere", REFS)]
)
def test_a_processor_that_is_killed_around_a_step_of_the_landing_lands_everything_once(
    repository: RepositoryBuilder,
    remote: RepositoryBuilder,
    tmp_path: Path,
    branch: str,
    words: str,
    when: str,
) -> None:
    queued(repository, "one", "two")
    begin = remote.commit_of("main")
    repository.git("checkout", "-q", "-B", branch)
    programs = tmp_path / "bin"
    programs.mkdir()
    deadly = programs / "git"
    real, flag = shutil.which("git"), tmp_path / "killed"
    deadly.write_text(DEADLY_GIT.format(words=words, when=when, flag=flag, real=real))
    deadly.chmod(0o755)
    path = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    killed = ended(start(repository, "queue", "process", "--push", "origin", environment=path))
    assert killed.status == -signal.SIGKILL, killed.err
    pushed = (words, when) != (PUSH, "before")
    assert (remote.commit_of("main") != begin) is pushed
    assert landings(repository) == []

    # What the dead one had begun is finished even when nobody asks for a push any more.
    again = type_in(repository.path, "queue", "process")
    assert again.status == 0, again.err
    assert sorted(name for fact in landings(repository) for name in fact.entries) == sorted(
        f"{name}@{repository.commit_of(name)[:10]}" for name in ("one", "two")
    )
    assert len(first_parents(remote, begin)) == 1
    assert_same_landings(repository, remote)
    assert repository.status() == ""
    assert type_in(repository.path, "queue", "process", "--push", "origin").out == "nothing waits for main\n"


def test_after_a_kill_behind_the_push_somebody_else_may_have_pushed_on_top(
    repository: RepositoryBuilder, remote: RepositoryBuilder, tmp_path: Path
) -> None:
    queued(repository, "one")
    arrived, let_go = make_gate(tmp_path, "arrived"), make_gate(tmp_path, "let_go")
    set_hook(remote, "post-receive", f"{arrived.announce}; {let_go.wait}")
    program = start(repository, "queue", "process", "--push", "origin")
    arrived.await_arrival()
    program.kill()
    ended(program)
    let_go.open()
    (remote.path / "hooks" / "post-receive").unlink()
    landed = remote.commit_of("main")
    foreign = push_foreign(remote, tmp_path / "other", {"foreign.txt": "theirs\n"})
    assert type_in(repository.path, "queue", "process", "--push", "origin").status == 0
    (fact,) = landings(repository)
    assert (fact.commit, fact.recovered) == (landed, True)
    assert remote.commit_of("main") == foreign
    queued(repository, "two")
    assert type_in(repository.path, "queue", "process", "--push", "origin").status == 0
    assert_same_landings(repository, remote)
