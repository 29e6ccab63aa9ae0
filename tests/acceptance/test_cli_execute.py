"""`execute` in real repositories: what lands, what is told, and what the exit status says."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import start_in, type_in
from tests.fakes.repositories import RepositoryBuilder, make_repository
from tests.fakes.short_runs import ONE, PRICED, execute, the_report


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def test_a_node_lands_and_the_summary_says_what_and_where(repository: RepositoryBuilder) -> None:
    ended = execute(repository, ONE)

    assert ended.status == 0, ended.err
    assert repository.show("main", "hello.txt") == "hello\n"
    assert (repository.path / "hello.txt").read_text() == "hello\n"
    assert repository.status() == ""
    landed = repository.head[:8]
    assert re.search(rf"\+ n1  landed in {landed} \(1 file\)  Say hello", ended.out)
    assert "SUCCESS" in ended.out
    assert "cost: $0.00, no budget" in ended.out
    assert re.search(r"^\d\d:\d\d:\d\d n1 started \(shell\)$", ended.err, re.MULTILINE)
    assert re.search(rf"^\d\d:\d\d:\d\d n1 landed in {landed}$", ended.err, re.MULTILINE)


def test_json_on_stdout_is_one_document_of_the_published_schema(repository: RepositoryBuilder) -> None:
    ended = execute(repository, ONE, "--format", "json")

    assert ended.status == 0
    assert schema_violations(ended.document, "report") == []
    assert ended.document == the_report(repository)
    assert ended.document["nodes"][0]["merge_status"] == "MERGED"
    assert "n1 landed" in ended.err


def test_scripts_find_plan_report_ledger_and_queue_in_their_files(repository: RepositoryBuilder) -> None:
    execute(repository, PRICED, "--budget", "20")

    saved = json.loads((repository.path / "artifacts/plans/priced.json").read_text())
    assert (saved["plan_id"], saved["global_budget_usd"]) == ("priced", 20)
    assert schema_violations(saved, "plan") == []
    lines = (repository.path / "state/cost_ledger.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["amount"] for line in lines) == [0.1, 5]
    queue = json.loads((repository.path / "state/merge_queue.json").read_text())
    assert schema_violations(queue, "merge_queue") == []
    assert {entry["status"] for entry in queue["processing_history"]} == {"MERGED"}
    artifacts = the_report(repository)["artifacts_generated"]
    assert isinstance(artifacts, list)
    assert "artifacts/plans/priced.json" in artifacts
    assert all((repository.path / name).exists() for name in artifacts)


def test_edits_of_the_user_stay_byte_for_byte(repository: RepositoryBuilder) -> None:
    repository.commit({"staged.txt": "old\n", "edited.txt": "old\n"})
    repository.write({"staged.txt": "new\n"})
    repository.git("add", "staged.txt")
    repository.write({"edited.txt": b"half \xff done", "untracked.txt": "mine\n"})
    before = repository.status()
    index = repository.git("diff", "--cached")

    ended = execute(repository, ONE)

    assert ended.status == 0, ended.out + ended.err
    assert repository.status() == before
    assert repository.git("diff", "--cached") == index
    assert (repository.path / "edited.txt").read_bytes() == b"half \xff done"
    assert (repository.path / "untracked.txt").read_text() == "mine\n"
    assert repository.show("main", "hello.txt") == "hello\n"


def test_a_failing_check_keeps_the_work_and_says_why(repository: RepositoryBuilder) -> None:
    plan = ONE.replace(
        "merge_policy: {checklist: []}",
        "checks: {tests: {run: 'test ! -e hello.txt || { echo 3 failed; exit 1; }'}}\n"
        "merge_policy: {checklist: [tests]}",
    )
    ended = execute(repository, plan)

    assert ended.status == 1
    (lane,) = repository.git("for-each-ref", "--format=%(refname:short)", "refs/heads/lane").split()
    assert repository.show(lane, "hello.txt") == "hello\n"
    assert "hello.txt" not in repository.files("main")
    assert f"kept on {lane}" in ended.out
    assert "tests" in ended.out
    assert re.search(r"^        cli-orchestrator retry \S+ n1$", ended.out, re.MULTILINE)
    assert the_report(repository)["exit_code"] == 1


def test_a_node_that_changes_what_it_did_not_claim_fails(repository: RepositoryBuilder) -> None:
    plan = ONE.replace("echo hello > hello.txt", "echo hello > hello.txt; echo no > README.md")

    ended = execute(repository, plan, "--format", "json")

    assert ended.status == 1
    node = ended.document["nodes"][0]
    assert (node["status"], node["failure"]) == ("failed", "outside_claims")
    assert "README.md" in node["reason"] + node["attempts"][0]["evidence"]
    assert repository.files("main") == ["README.md"]


UNSAFE = """
plan_id: unsafe
merge_policy: {checklist: []}
nodes:
  - {id: n1, tool: shell, run: "echo 1 > a.txt; ln -s /etc/passwd out", path_claims: ["**"]}
"""


def test_work_that_no_branch_can_take_is_named_with_its_folder_and_what_to_type(
    repository: RepositoryBuilder,
) -> None:
    ended = execute(repository, UNSAFE)

    assert ended.status == 1
    (node,) = cast("list[dict[str, Any]]", the_report(repository)["nodes"])
    folder = node["slot"]
    assert (Path(folder) / "a.txt").read_text() == "1\n"
    why = "the slot holds what cannot be committed: a symlink that leads out of the work tree: out"
    assert f"n1 try 1 failed: {why}; its work is kept in {folder}\n" in ended.err
    assert f"! n1  failed: {why}; kept in {folder}\n" in ended.out
    assert f"n1 failed, its work is kept in {folder}: do it again\n" in ended.out
    assert re.search(r"^ +cli-orchestrator retry \S+ n1$", ended.out, re.MULTILINE)


def test_a_run_works_on_the_branch_that_is_checked_out(repository: RepositoryBuilder) -> None:
    repository.git("checkout", "-q", "-b", "topic")

    ended = execute(repository, ONE)

    assert ended.status == 0
    assert "hello.txt" in repository.files("topic")
    assert "hello.txt" not in repository.files("main")


def test_without_a_file_the_streams_of_the_repository_run(repository: RepositoryBuilder) -> None:
    missing = type_in(repository.path, "execute")
    assert missing.status == 2
    assert "workflows/multi_stream.yaml" in missing.err
    assert "hint: " in missing.err

    assert type_in(repository.path, "init").status == 0
    ended = type_in(repository.path, "execute")

    assert ended.status == 0, ended.out + ended.err
    assert {"docs/overview/README.md", "docs/overview/contents.txt"} <= set(repository.files("main"))


def test_a_request_is_planned_saved_and_run(repository: RepositoryBuilder) -> None:
    repository.commit(
        {
            "config/tools.yaml": """\
version: 1
tools:
  - name: note-agent
    capabilities: [code, docs]
    argv: [sh, -c, "echo done > guide.md", "{prompt}"]
    cost_class: free
"""
        }
    )
    ended = type_in(
        repository.path,
        "execute",
        "--request",
        "Write the guide",
        "--files",
        "guide.md",
        "--yes",
        "--format",
        "json",
    )

    assert ended.status == 0, ended.err
    assert repository.show("main", "guide.md") == "done\n"
    assert (repository.path / "artifacts/plans" / f"{ended.document['plan_id']}.json").exists()


def test_fail_fast_starts_nothing_after_a_failure(repository: RepositoryBuilder) -> None:
    plan = """\
nodes:
  - {id: bad, tool: shell, run: exit 3, retries: 0, priority: 0, path_claims: [a]}
  - {id: next, tool: shell, run: echo 1 > b, path_claims: [b]}
merge_policy: {checklist: []}
"""
    ended = execute(repository, plan, "--workers", "1", "--fail-fast")
    assert ended.status == 1
    assert "next started" not in ended.err
    assert "! next  cancelled" in ended.out


def test_ci_gets_annotations_and_a_step_summary(
    repository: RepositoryBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = repository.path.parent / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    ended = execute(repository, ONE.replace("echo hello > hello.txt", "'echo 50%, sorry; exit 3'"), "--ci")

    assert ended.status == 1
    (line,) = (line for line in ended.out.splitlines() if line.startswith("::"))
    assert line.startswith("::error title=n1 failed::exit code 3: 50%25, sorry (3 attempts)%0A")
    assert "n1" in summary.read_text()


def test_the_installed_program_says_the_same_with_json_alone_on_stdout(repository: RepositoryBuilder) -> None:
    (repository.path.parent / "plan.yaml").write_text(ONE)
    ended = start_in(repository.path, "execute", "../plan.yaml", "--format=json", "--workers", "1")

    assert ended.status == 0, ended.err
    assert ended.document["workers"] == 1
    assert "\x1b" not in ended.out + ended.err


def test_records_go_where_home_says_and_the_repository_may_be_elsewhere(
    repository: RepositoryBuilder, tmp_path: Path
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    (here / "plan.yaml").write_text(ONE)

    ended = type_in(here, "execute", "plan.yaml", "--repo", repository.path, "--home", home)

    assert ended.status == 0, ended.err
    assert (home / "artifacts/plans/one.json").exists()
    assert not (repository.path / "state").exists()
    assert [path.name for path in here.iterdir()] == ["plan.yaml"]
    assert repository.show("main", "hello.txt") == "hello\n"


def test_who_wants_to_approve_every_landing_is_asked(repository: RepositoryBuilder) -> None:
    repository.commit({"config/orchestrator.yaml": "merge_policy: {approval: manual}\n"})

    ended = execute(repository, ONE)

    assert ended.status == 4
    assert "n1 waits for your approval to land" in ended.err
    assert re.search(r"^        cli-orchestrator approve \S+ n1$", ended.out, re.MULTILINE)
    assert "hello.txt" not in repository.files("main")


def test_the_configured_target_counts_where_the_plan_names_none(repository: RepositoryBuilder) -> None:
    repository.commit({"config/orchestrator.yaml": "merge_policy: {target: release}\n"})
    repository.branch("release")
    repository.branch("named")

    unnamed = execute(repository, ONE)
    named = execute(repository, ONE.replace("plan_id: one", "branch_base: named"))

    assert (unnamed.status, named.status) == (0, 0), unnamed.err + named.err
    assert "hello.txt" in repository.files("release")
    assert "hello.txt" in repository.files("named")
    assert "hello.txt" not in repository.files("main")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_after_a_full_disk_the_command_that_goes_on_is_named(repository: RepositoryBuilder) -> None:
    # A write there fails as on a full disk: /dev/full is what Linux has for it.
    repository.write({"state/.gitignore": "*\n"})
    full = repository.path / "state/.merge_queue.json.new"
    full.symlink_to("/dev/full")

    ended = execute(repository, ONE)

    assert ended.status == 5
    run_id = the_report(repository)["run_id"]
    assert f"hint: free space, then: cli-orchestrator resume {run_id}\n" in ended.err
    assert "No space left on device" in ended.err
    full.unlink()
    assert type_in(repository.path, "resume", str(run_id)).status == 0
