"""A person's checkout while a whole run works: large files kept elsewhere, their own commits, no branch."""

from pathlib import Path

import pytest

from cli_multi_rapid.core.merge_events import MergeLanded, MergeMissed
from cli_multi_rapid.engine.session import Session
from tests.fakes.moments import AFTER_THE_REFS_MOVED, BEFORE_THE_REFS_MOVE, Moment, interrupted_shop
from tests.fakes.worlds import World

PLAN = """
merge_policy: {checklist: [ok]}
checks: {ok: {run: "! grep -rq BAD src"}}
rollback_policy: {max_retry_attempts: 0}
nodes: [{id: n1, tool: shell, run: "echo new > src/new.txt", path_claims: [src/new.txt]}]
"""

LARGE_FILES = """#!/bin/sh
# A stand-in for git-lfs: the content goes to a store, the commit gets a pointer to it.
set -e
case $1 in
clean)
    cat > "{store}/incoming.$$"
    oid=$(sha256sum < "{store}/incoming.$$" | cut -d' ' -f1)
    mv "{store}/incoming.$$" "{store}/$oid"
    printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\n' "$oid" ;;
smudge)
    cat "{store}/$(sed -n 's/^oid sha256://p')" ;;
esac
"""


@pytest.fixture
def with_large_files(world: World, tmp_path: Path) -> World:
    """A repository whose `*.bin` are kept by a stand-in for LFS, with one such file."""
    store, program = tmp_path / "store", tmp_path / "large-files"
    store.mkdir()
    program.write_text(LARGE_FILES.format(store=store))
    program.chmod(0o755)
    for step in ("clean", "smudge"):
        world.repository.git("config", f"filter.lfs.{step}", f"{program} {step}")
    world.repository.git("config", "filter.lfs.required", "true")
    world.repository.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    world.repository.commit({"src/old.bin": b"content\0old\n"})
    return world


def test_large_files_are_whole_for_node_check_and_person_and_pointers_in_the_commits(
    with_large_files: World,
) -> None:
    world = with_large_files
    story = world.execute(
        """
merge_policy: {checklist: [whole]}
checks: {whole: {run: "grep -q content src/old.bin && grep -q content src/new.bin"}}
rollback_policy: {max_retry_attempts: 0}
nodes: [{id: n1, tool: shell, run: "cat src/old.bin src/old.bin > src/new.bin", path_claims: [src/new.bin]}]
"""
    )
    assert story.finished.exit_code == 0, story.finished.reason
    assert (world.repository.path / "src/new.bin").read_bytes() == b"content\0old\n" * 2
    assert world.repository.show("main", "src/new.bin").startswith(
        "version https://git-lfs.github.com/spec/v1"
    )
    assert world.repository.status() == ""
    world.assert_nothing_left(story.run_id)


@pytest.mark.parametrize(
    "moment", [BEFORE_THE_REFS_MOVE, AFTER_THE_REFS_MOVED], ids=["refs not moved", "refs moved"]
)
def test_what_a_person_commits_while_a_landing_runs_is_kept_and_so_is_the_work(
    world: World, moment: Moment
) -> None:
    start = world.repository.head
    run_id = world.accept(PLAN)
    theirs: list[str] = []

    def commit() -> None:
        theirs.append(world.repository.commit({"src/person.txt": "person\n"}, "by the person"))

    with world.workshop() as shop:
        assert Session(interrupted_shop(shop, moment, commit), run_id).run().exit_code == 0
    assert world.repository.files("main") == ["README.md", "src/a.txt", "src/new.txt", "src/person.txt"]
    assert theirs[0] in world.repository.git("rev-list", "--first-parent", f"{start}..main").split()
    facts = [event.data for event in world.queue_events()]
    assert sum(isinstance(fact, MergeLanded) for fact in facts) == 1
    assert sum(isinstance(fact, MergeMissed) for fact in facts) == (moment is BEFORE_THE_REFS_MOVE)
    assert world.repository.status() == ""
    world.assert_nothing_left(run_id)


def test_on_a_detached_head_the_work_lands_on_the_target_that_the_plan_names(
    world: World,
) -> None:
    world.repository.git("checkout", "-q", "--detach")
    world.repository.git("branch", "-m", "main", "trunk")
    story = world.execute(PLAN.replace("checklist: [ok]", "checklist: [ok], target: trunk"))
    assert story.finished.exit_code == 0
    assert "src/new.txt" in world.repository.files("trunk")
    assert world.repository.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
