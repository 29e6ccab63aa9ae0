"""Unusual repositories, names and trees: a whole run either copes with them or says clearly why not."""

import os
from pathlib import Path

import pytest

from cli_multi_rapid import wiring
from cli_multi_rapid.core.errors import EnvironmentFault, UserError
from cli_multi_rapid.core.facts import FailureClass
from cli_multi_rapid.core.node_events import NodeSucceeded
from cli_multi_rapid.core.node_state import MergeStatus
from tests.fakes.repositories import make_empty_repository, make_repository
from tests.fakes.worlds import Story, World, make_world

HEAD = """
merge_policy: {checklist: [ok]}
checks: {ok: {run: "! grep -rq BAD ."}}
rollback_policy: {max_retry_attempts: 0}
nodes:
"""


def one_node(run: str, claims: str = "", **more: str) -> str:
    """A plan of one shell node."""
    extra = "".join(f"    {key}: {value}\n" for key, value in more.items())
    claimed = f"    path_claims: [{claims}]\n" if claims else ""
    return f"{HEAD}  - id: n1\n    tool: shell\n    run: |\n      {run}\n{claimed}{extra}"


def assert_landed(world: World, story: Story, *paths: str) -> None:
    """The run succeeded, these files are on the target, and nothing is left."""
    assert story.finished.exit_code == 0, story.finished.reason
    assert set(paths) <= set(world.repository.files("main"))
    assert world.repository.status() == ""
    world.assert_nothing_left(story.run_id)


def changes_of(story: Story) -> dict[str, str]:
    """Path -> kind of every change of the node that succeeded."""
    (done,) = story.all_of(NodeSucceeded)
    assert isinstance(done, NodeSucceeded)
    return {change.path: change.status for change in done.files}


# --- repositories -----------------------------------------------------------------------------------------


def test_an_empty_repository_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    make_empty_repository(tmp_path / "repo")
    with pytest.raises(UserError) as refused, wiring.open_workshop(tmp_path / "repo"):
        pass
    assert "has no commit yet" in refused.value.message
    assert refused.value.hint == "make a first one: git commit --allow-empty -m start"


def test_a_target_that_does_not_exist_is_refused_with_the_command_that_helps(world: World) -> None:
    plan = one_node("echo 1 > b.txt", "b.txt").replace("checklist: [ok]", "checklist: [ok], target: release")
    with pytest.raises(UserError) as refused:
        world.execute(plan)
    assert refused.value.message == "there is no branch release to land on"
    assert "git branch release" in refused.value.hint


def test_a_branch_named_lane_is_named_before_anything_is_paid_for_and_resume_works_without_it(
    world: World,
) -> None:
    world.repository.branch("lane")
    run_id = world.accept(one_node("echo 1 > b.txt", "b.txt"))
    with pytest.raises(EnvironmentFault) as refused:
        world.drive(run_id)
    assert refused.value.message == (
        "the branch lane is in the way of the lanes, which are called lane/{run}/{node}"
    )
    assert refused.value.hint.startswith("rename it (git branch -m lane NEW_NAME)")
    world.repository.git("branch", "-m", "lane", "fast-lane")
    story = world.drive(run_id)
    assert story.finished.exit_code == 0
    world.assert_nothing_left(run_id, kept=["fast-lane"])


def test_with_another_lane_template_a_branch_named_lane_harms_nobody(world: World) -> None:
    world.repository.branch("lane")
    story = world.execute(one_node("echo 1 > b.txt", "b.txt"), lane="agents/{run}/{node}")
    assert story.finished.exit_code == 0
    world.assert_nothing_left(story.run_id, kept=["lane"])


def test_a_repository_below_a_path_with_spaces_quotes_and_umlauts_works(tmp_path: Path) -> None:
    world = make_world(tmp_path / "my 'own' \"repö\" $HOME;")
    assert_landed(world, world.execute(one_node("echo 1 > b.txt", "b.txt")), "b.txt")


def test_a_repository_without_a_configured_name_gets_commits_by_a_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    world = make_world(tmp_path / "repo")
    for key in ("user.name", "user.email"):
        world.repository.git("config", "--unset", key)
    story = world.execute(one_node("echo 1 > b.txt", "b.txt"))
    assert_landed(world, story, "b.txt")
    assert world.repository.git("log", "-1", "--format=%an%ae%cn%ce", "main").strip()


def test_a_submodule_in_the_repository_stays_as_it_is(world: World, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library", {"lib.txt": "lib\n"})
    allow = ("-c", "protocol.file.allow=always")
    world.repository.git(*allow, "submodule", "add", "-q", str(library.path), "vendor/library")
    world.repository.commit(message="with a submodule")
    story = world.execute(one_node("echo 1 > b.txt", "b.txt"))
    assert_landed(world, story, "b.txt", "vendor/library")
    assert world.repository.git("ls-tree", "main", "vendor/library").split()[:2] == ["160000", "commit"]
    assert world.repository.git("rev-parse", "main:vendor/library") == library.head


def test_a_repository_that_a_node_makes_in_its_slot_is_refused_as_a_submodule_in_disguise(
    world: World,
) -> None:
    story = world.execute(
        one_node("git init -q sub && cd sub && echo 1 > x && git add x && git commit -q -m x")
    )
    node = story.node("n1")
    assert node.failure is FailureClass.UNSAFE_TREE
    assert "sub" in node.reason + node.attempts[0].evidence
    assert world.repository.files("main") == ["README.md", "src/a.txt"]


def test_work_lands_in_a_shallow_clone(world: World, tmp_path: Path) -> None:
    world.repository.commit({"src/b.txt": "b\n"})
    clone = make_empty_repository(tmp_path / "clone")
    clone.git("fetch", "-q", "--depth=1", f"file://{world.repository.path}", "main")
    clone.git("checkout", "-q", "-B", "main", "FETCH_HEAD")
    shallow = World(repository=clone)
    assert_landed(shallow, shallow.execute(one_node("echo 1 > c.txt", "c.txt")), "c.txt", "src/b.txt")


def test_work_lands_in_a_partial_clone_whose_files_are_fetched_when_needed(
    world: World, tmp_path: Path
) -> None:
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        world.repository.git("config", key, "true")
    origin, place = f"file://{world.repository.path}", tmp_path / "clone"
    world.repository.git("clone", "-q", "--filter=blob:none", "--no-checkout", origin, str(place))
    clone = World(repository=type(world.repository)(path=place))
    clone.repository.git("checkout", "-q", "main")
    story = clone.execute(one_node("cat src/a.txt > b.txt", "b.txt"))
    assert story.finished.exit_code == 0, story.node("n1").reason
    assert clone.repository.show("main", "b.txt") == "a\n"
    assert clone.repository.status() == ""


def test_a_bare_repository_gets_the_work_too(world: World, tmp_path: Path) -> None:
    world.repository.git("clone", "-q", "--bare", str(world.repository.path), str(tmp_path / "bare"))
    bare = World(repository=type(world.repository)(path=tmp_path / "bare"))
    story = bare.execute(one_node("echo 1 > b.txt", "b.txt"))
    assert story.finished.exit_code == 0
    assert "b.txt" in bare.repository.files("main")


# --- names ------------------------------------------------------------------------------------------------


def test_names_that_are_no_utf_8_land_as_they_are(world: World) -> None:
    story = world.execute(one_node(r"""echo x > "$(printf 'src/caf\351.txt')" """, "src/**"))
    name = os.fsdecode(b"src/caf\xe9.txt")
    assert_landed(world, story, name)
    assert changes_of(story) == {name: "A"}
    assert (world.repository.path / name).read_text() == "x\n"


@pytest.mark.parametrize(
    "name", ["two words.txt", "tab\there.txt", "quo\"te's.txt", "-rf", "ünïcödé.txt", "star*[x]?.txt", "a\nb"]
)
def test_names_with_special_characters_land_as_they_are(world: World, name: str) -> None:
    plan = (
        f"{HEAD}  - id: n1\n    tool: shell\n    path_claims: ['src/**']\n"
        f"    argv: [sh, -c, 'echo x > \"src/$1\"', sh, {_yaml(name)}]\n"
    )
    story = world.execute(plan)
    assert_landed(world, story, f"src/{name}")
    assert changes_of(story) == {f"src/{name}": "A"}


def _yaml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def test_very_long_paths_land(world: World) -> None:
    path = "/".join(["src", *["d" * 100] * 12, "f" * 200 + ".txt"])
    folder = path.rpartition("/")[0]
    story = world.execute(one_node(f"mkdir -p {folder} && echo 1 > {path}", "src/**"))
    assert_landed(world, story, path)


# --- kinds of changes -------------------------------------------------------------------------------------


def test_an_executable_bit_lands_and_is_a_change_of_its_own(world: World) -> None:
    story = world.execute(one_node("chmod +x src/a.txt", "src/a.txt"))
    assert_landed(world, story)
    assert world.repository.git("ls-tree", "main", "src/a.txt").startswith("100755")
    assert os.access(world.repository.path / "src/a.txt", os.X_OK)


def test_a_renamed_file_needs_claims_on_both_of_its_names(world: World) -> None:
    only_new = world.execute(one_node("mv src/a.txt src/b.txt", "src/b.txt"))
    assert only_new.node("n1").failure is FailureClass.OUTSIDE_CLAIMS
    assert "src/a.txt" in only_new.node("n1").reason
    only_old = world.execute(one_node("mv src/a.txt src/b.txt", "src/a.txt"))
    assert only_old.node("n1").failure is FailureClass.OUTSIDE_CLAIMS
    assert "src/b.txt" in only_old.node("n1").reason
    both = world.execute(one_node("mv src/a.txt src/b.txt", "src/a.txt, src/b.txt"))
    assert both.finished.exit_code == 0
    assert world.repository.files("main") == ["README.md", "src/b.txt"]


def test_a_deleted_file_is_gone_from_the_target_and_the_checkout(world: World) -> None:
    story = world.execute(one_node("rm src/a.txt", "src/a.txt"))
    assert_landed(world, story)
    assert world.repository.files("main") == ["README.md"]
    assert not (world.repository.path / "src/a.txt").exists()
    assert changes_of(story) == {"src/a.txt": "D"}


def test_a_deletion_outside_the_claims_is_refused(world: World) -> None:
    story = world.execute(one_node("rm README.md; echo 1 > src/b.txt", "src/**"))
    assert story.node("n1").failure is FailureClass.OUTSIDE_CLAIMS
    assert "README.md" in world.repository.files("main")


def test_a_binary_file_lands_to_the_byte(world: World) -> None:
    content = bytes(range(256)) * 40
    octal = "".join(f"\\{byte:03o}" for byte in range(256))
    story = world.execute(
        one_node(f"i=0; while [ $i -lt 40 ]; do printf '{octal}'; i=$((i+1)); done > src/x.bin", "src/x.bin")
    )
    assert_landed(world, story, "src/x.bin")
    assert (world.repository.path / "src/x.bin").read_bytes() == content


def test_windows_line_endings_stay_as_they_were_written(world: World) -> None:
    story = world.execute(one_node(r"printf 'a\r\nb\r\n' > src/dos.txt", "src/dos.txt"))
    assert_landed(world, story, "src/dos.txt")
    assert (world.repository.path / "src/dos.txt").read_bytes() == b"a\r\nb\r\n"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", ".git/config", "/"])
def test_a_symlink_that_leads_out_of_the_repository_is_refused(world: World, target: str) -> None:
    story = world.execute(one_node(f"ln -s {target} src/link", "src/**"))
    node = story.node("n1")
    assert node.failure is FailureClass.UNSAFE_TREE
    assert "src/link" in node.reason + node.attempts[0].evidence
    assert world.repository.files("main") == ["README.md", "src/a.txt"]


def test_a_symlink_inside_the_repository_lands(world: World) -> None:
    story = world.execute(one_node("ln -s ../README.md src/link", "src/**"))
    assert_landed(world, story, "src/link")
    assert (world.repository.path / "src/link").read_text() == "# Example\n"


def test_a_declared_output_lands_though_it_is_ignored_and_other_ignored_files_do_not(world: World) -> None:
    world.repository.commit({".gitignore": "*.log\nbuild/\n"})
    story = world.execute(
        one_node(
            "mkdir build; echo 1 > build/out.txt; echo 2 > build/other.txt; echo 3 > x.log",
            "build/**",
            outputs="[build/out.txt]",
        )
    )
    assert story.finished.exit_code == 0, story.node("n1").reason
    assert [name for name in world.repository.files("main") if name.startswith("build")] == ["build/out.txt"]
    assert "x.log" not in world.repository.files("main")
    success = story.node("n1").success
    assert success is not None
    (warning,) = success.warnings
    assert warning.startswith(
        "git ignores build/other.txt: not part of the work; name each file under outputs"
    )


def test_ignored_files_outside_the_claims_and_caches_are_no_news(world: World) -> None:
    world.repository.commit({".gitignore": "*.log\n*.pyc\n"})
    run = "echo 1 > src/b.txt; echo 2 > x.log; mkdir src/__pycache__; echo 3 > src/__pycache__/b.pyc"
    story = world.execute(one_node(run, "src/**"))
    success = story.node("n1").success
    assert success is not None
    assert success.warnings == ()


def test_a_declared_output_with_wildcards_that_git_ignores_fails_the_node_and_says_so(world: World) -> None:
    world.repository.commit({".gitignore": "build/\n"})
    story = world.execute(one_node("mkdir build; echo 1 > build/a.js", "build/**", outputs="['build/*.js']"))
    assert story.node("n1").failure is FailureClass.MISSING_OUTPUT
    assert "its output build/*.js is there, but git ignores build/a.js; name each" in story.node("n1").reason


def test_a_declared_output_that_is_not_there_fails_the_node_and_names_it(world: World) -> None:
    story = world.execute(one_node("echo 1 > src/b.txt", "src/**", outputs="[src/wanted.txt]"))
    assert story.node("n1").failure is FailureClass.MISSING_OUTPUT
    assert "src/wanted.txt" in story.node("n1").reason


def test_commits_that_a_node_makes_itself_land_as_its_work(world: World) -> None:
    story = world.execute(
        one_node("echo 1 > src/b.txt; git add -A; git commit -q -m 'by the agent'", "src/**")
    )
    assert_landed(world, story, "src/b.txt")


def test_hooks_filters_and_settings_that_a_node_plants_never_run(world: World, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    story = world.execute(
        one_node(
            f"echo 1 > src/b.txt; git config core.fsmonitor 'touch {ran}'; "
            f"git config filter.evil.clean 'touch {ran}; cat'; echo '* filter=evil' > .gitattributes; "
            f"mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {ran}\\n' > .git/hooks/pre-commit; "
            "chmod +x .git/hooks/pre-commit"
        )
    )
    assert story.finished.exit_code == 0
    assert not ran.exists()
    assert "evil" not in (world.repository.path / ".git/config").read_text()
    assert not (world.repository.path / ".git/hooks/pre-commit").exists()


def test_a_node_that_changes_nothing_is_done_and_lands_nothing(world: World) -> None:
    start = world.repository.head
    story = world.execute(one_node("true"))
    assert story.finished.exit_code == 0
    assert story.node("n1").merge_status is None
    assert world.repository.head == start
    world.assert_nothing_left(story.run_id)


def test_names_that_differ_only_in_case_are_two_files_here(world: World) -> None:
    story = world.execute(one_node("echo 1 > src/A.txt", "src/A.txt"))
    assert_landed(world, story, "src/A.txt", "src/a.txt")
    assert story.node("n1").merge_status is MergeStatus.MERGED
