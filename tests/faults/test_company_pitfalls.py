"""The pitfalls of git. Each is an ordinary test already, which is called here and told as a row."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest

from tests.engine import test_company as company
from tests.engine import test_pitfalls as pitfalls
from tests.engine import test_pitfalls_of_checkouts as checkouts
from tests.fakes.worlds import World, make_world
from tests.faults.conftest import Tell
from tests.faults.rows import Part

with_large_files = checkouts.with_large_files

_SYMLINK = "a symlink to "
PITFALLS: dict[str, tuple[Callable[..., object], str]] = {
    "an empty repository": (
        pitfalls.test_an_empty_repository_is_refused_with_the_command_that_helps,
        "refused with the command that helps",
    ),
    "a detached HEAD": (
        checkouts.test_on_a_detached_head_the_work_lands_on_the_target_that_the_plan_names,
        "landed on the target, HEAD untouched",
    ),
    "a branch named lane": (
        pitfalls.test_a_branch_named_lane_is_named_before_anything_is_paid_for_and_resume_works_without_it,
        "exit 5 before anything is paid for, with the rename to type; resume works without it",
    ),
    "a submodule": (pitfalls.test_a_submodule_in_the_repository_stays_as_it_is, "stays as it is"),
    "a submodule in disguise": (
        pitfalls.test_a_repository_that_a_node_makes_in_its_slot_is_refused_as_a_submodule_in_disguise,
        "refused by name",
    ),
    "LFS attributes": (
        checkouts.test_large_files_are_whole_for_node_check_and_person_and_pointers_in_the_commits,
        "pointers in the commits, whole files for node, check and person (a stand-in for LFS)",
    ),
    "a shallow clone": (pitfalls.test_work_lands_in_a_shallow_clone, "landed"),
    "a partial clone": (
        pitfalls.test_work_lands_in_a_partial_clone_whose_files_are_fetched_when_needed,
        "landed, files fetched when needed",
    ),
    "names that are no UTF-8": (
        pitfalls.test_names_that_are_no_utf_8_land_as_they_are,
        "landed to the byte",
    ),
    "very long paths": (pitfalls.test_very_long_paths_land, "landed"),
    "names that differ only in case": (
        pitfalls.test_names_that_differ_only_in_case_are_two_files_here,
        "two files, where the file system tells them apart",
    ),
    **{
        _SYMLINK + target: (
            pitfalls.test_a_symlink_that_leads_out_of_the_repository_is_refused,
            "refused by name",
        )
        for target in ("/", ".git/config", "../../outside")
    },
    "ignored outputs": (
        pitfalls.test_a_declared_output_lands_though_it_is_ignored_and_other_ignored_files_do_not,
        "declared ones landed, others did not",
    ),
    "a target in the middle of a rebase": (
        company.test_a_target_in_the_middle_of_a_rebase_is_left_alone_until_it_is_over,
        "held with the reason; landed on resume when it was over",
    ),
    "an index.lock left behind": (
        company.test_a_left_behind_index_lock_keeps_the_work_ready_and_resume_lands_it_when_the_lock_is_gone,
        "held with the command to type; landed on resume when it was gone",
    ),
    "no user.name": (
        pitfalls.test_a_repository_without_a_configured_name_gets_commits_by_a_stand_in,
        "commits by a stand-in",
    ),
    "a path with spaces, quotes and umlauts": (
        pitfalls.test_a_repository_below_a_path_with_spaces_quotes_and_umlauts_works,
        "landed",
    ),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A small repository with an orchestrator's eye on it."""
    return make_world(tmp_path / "own" / "repo", {"README.md": "# Example\n", "src/a.txt": "a\n"})


@pytest.mark.parametrize("name", PITFALLS)
def test_a_pitfall_of_git_is_known(request: pytest.FixtureRequest, tell: Tell, name: str) -> None:
    shown, seen = PITFALLS[name]
    given = {"target": name.removeprefix(_SYMLINK)} if name.startswith(_SYMLINK) else {}
    wanted = {
        each: request.getfixturevalue(each) for each in signature(shown).parameters if each not in given
    }
    shown(**wanted, **given)
    tell(Part.COMPANY, name, seen)
