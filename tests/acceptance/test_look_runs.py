"""Looking at runs: lists, status, events, replay, reports, costs, and runs as files."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.schema.published import schema_violations
from tests.fakes.command_line import type_in
from tests.fakes.real_runs import execute, latest_run, leave_behind, node, plan_of, writes
from tests.fakes.repositories import RepositoryBuilder, make_repository

MIXED = plan_of(
    writes("a"),
    node("b", "echo oops >&2; exit 3", retries=0),
    writes("c", deps=["b"]),
    head="correlation_id: release-42\n",
)
PRICED = """\
plan_id: priced
nodes:
  - {id: survey, tool: scripted, goal: g, est_cost: 0.10, path_claims: [survey.txt],
     script: [{cost: 0.25, tokens: 1200}, {write: survey.txt, text: s}]}
merge_policy: {checklist: []}
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> RepositoryBuilder:
    """A repository after a run in which one node landed, one failed and one was blocked. Only looked at."""
    repository = make_repository(tmp_path_factory.mktemp("mixed") / "repo")
    assert execute(repository, MIXED).status == 1
    return repository


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


# --- runs and status ----------------------------------------------------------------------------------------


def test_a_repository_without_runs_has_an_empty_list(repository: RepositoryBuilder) -> None:
    assert type_in(repository.path, "runs").out == "no runs yet\n"
    assert type_in(repository.path, "runs", "--format", "json").document["runs"] == []
    assert type_in(repository.path, "cost").out == "nothing was spent yet\n"
    assert not (repository.path / "state").exists()


def test_status_without_any_run_says_where_to_go(repository: RepositoryBuilder) -> None:
    ended = type_in(repository.path, "status")
    assert ended.status == 2
    assert "cli-orchestrator execute" in ended.err


def test_runs_are_listed_the_newest_first_and_by_status(repository: RepositoryBuilder) -> None:
    execute(repository, plan_of(writes("a")))
    first = latest_run(repository)
    execute(repository, plan_of(node("b", "exit 1", retries=0)))
    second = latest_run(repository)

    document = type_in(repository.path, "runs", "--format", "json").document
    assert schema_violations(document, "runs") == []
    assert {run["run_id"] for run in document["runs"]} == {first, second}
    assert [run["status"] for run in document["runs"]] == ["FAILED", "SUCCESS"]
    text = type_in(repository.path, "runs", "--status", "success").out
    assert first in text
    assert second not in text
    assert len(type_in(repository.path, "runs", "--limit", "1").out.splitlines()) == 2


def test_a_run_that_its_process_left_is_listed_with_what_to_type(repository: RepositoryBuilder) -> None:
    run_id = leave_behind(repository, plan_of(writes("a")))
    assert f"cli-orchestrator resume {run_id}" in type_in(repository.path, "runs").out
    status = type_in(repository.path, "status")
    assert "no process has it in hand" in status.out
    assert f"cli-orchestrator resume {run_id}" in status.out


def test_status_tells_every_node_its_reason_and_what_to_type_in_80_columns(mixed: RepositoryBuilder) -> None:
    ended = type_in(mixed.path, "status")
    run_id = latest_run(mixed)
    assert ended.status == 0
    assert "PARTIAL" in ended.out
    assert "exit code 3: oops" in ended.out
    assert f"cli-orchestrator retry {run_id} b" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_status_as_json_keeps_its_published_schema(mixed: RepositoryBuilder) -> None:
    document = type_in(mixed.path, "status", "--format", "json").document
    assert schema_violations(document, "status") == []
    assert document["counts"] == {"completed": 1, "failed": 1, "blocked": 1, "done": 1, "landed": 1}


def test_the_beginning_of_an_id_is_enough_and_a_wrong_one_is_refused(mixed: RepositoryBuilder) -> None:
    run_id = latest_run(mixed)
    assert run_id in type_in(mixed.path, "status", run_id[:-2]).out
    ended = type_in(mixed.path, "status", "nonsense", "--format", "json")
    assert ended.status == 2
    assert ended.document["error"]["message"] == "there is no run nonsense"
    assert "cli-orchestrator runs" in ended.document["error"]["hint"]


def test_an_id_that_may_mean_two_runs_is_refused_with_both(repository: RepositoryBuilder) -> None:
    runs = [leave_behind(repository, plan_of(writes("a"))) for _ in range(2)]
    ended = type_in(repository.path, "status", "2")
    assert ended.status == 2
    assert all(run in ended.err for run in runs)


# --- events and replay --------------------------------------------------------------------------------------


def test_events_are_told_in_order_and_can_be_narrowed(mixed: RepositoryBuilder) -> None:
    document = type_in(mixed.path, "events", "--format", "json").document
    assert schema_violations(document, "events") == []
    assert [event["seq"] for event in document["events"]] == list(range(1, len(document["events"]) + 1))

    narrowed = type_in(mixed.path, "events", "--type", "node.*", "--node", "b", "--format", "json").document
    assert {event["type"] for event in narrowed["events"]} >= {"node.started", "node.failed"}
    assert {event["data"]["node_id"] for event in narrowed["events"]} == {"b"}
    late = type_in(mixed.path, "events", "--since", "5", "--format", "json").document["events"]
    assert late[0]["seq"] == 6


def test_the_events_of_one_node_include_its_way_through_the_queue(mixed: RepositoryBuilder) -> None:
    text = type_in(mixed.path, "events", "--node", "a").out
    assert "merge.enqueued" in text
    assert "merge.landed" in text
    assert "merge.landed" in type_in(mixed.path, "events", "queue:main").out


def test_following_a_run_at_rest_ends_and_writes_json_lines(mixed: RepositoryBuilder) -> None:
    lines = type_in(mixed.path, "events", "-f", "--format", "json").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert all(schema_violations(event, "event") == [] for event in events)
    assert events[-1]["type"] == "run.finished"


def test_wrong_names_of_types_and_queues_are_refused_with_what_there_is(mixed: RepositoryBuilder) -> None:
    wrong_type = type_in(mixed.path, "events", "--type", "node.startet")
    assert (wrong_type.status, "did you mean `node.started`?" in wrong_type.err) == (2, True)
    wrong_queue = type_in(mixed.path, "events", "queue:develop")
    assert (wrong_queue.status, "queue:main" in wrong_queue.err) == (2, True)


def test_replay_shows_the_run_as_it_stood_after_any_event(mixed: RepositoryBuilder) -> None:
    events = type_in(mixed.path, "events", "--format", "json").document["events"]
    landed = next(event["seq"] for event in events if event["type"] == "merge.landed")
    for seq, merge_status in ((landed - 1, "MERGING"), (landed, "MERGED")):
        document = type_in(mixed.path, "replay", "--to-seq", str(seq), "--format", "json").document
        assert schema_violations(document, "status") == []
        assert document["last_seq"] == seq
        assert document["nodes"][0]["merge_status"] == merge_status
    moment = next(event["time"] for event in events if event["seq"] == 2)
    text = type_in(mixed.path, "replay", "--at", moment).out
    assert "as it stood after event" in text
    assert "RUNNING" in text


def test_replay_tells_what_changed_between_two_events(mixed: RepositoryBuilder) -> None:
    last = type_in(mixed.path, "status", "--format", "json").document["last_seq"]
    ended = type_in(mixed.path, "replay", "--to-seq", str(last), "--diff", "2", "--format", "json")
    assert schema_violations(ended.document, "diff") == []
    changes = {(change["subject"], change["what"]): change["after"] for change in ended.document["changes"]}
    assert changes["a", "status"] == "completed"
    assert changes["b", "status"] == "failed"
    assert (
        "b: status pending -> failed"
        in type_in(mixed.path, "replay", "--to-seq", str(last), "--diff", "2").out
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "either --to-seq N or --at TIME"),
        (("--to-seq", "3", "--at", "2026-01-01"), "either --to-seq N or --at TIME"),
        (("--to-seq", "9999"), "events, not 9999"),
        (("--at", "yesterday"), "is not a time"),
        (("--at", "2001-01-01T00:00:00Z"), "began later"),
        (("--to-seq", "3", "--diff", "5"), "later than event 3"),
    ],
)
def test_a_moment_that_makes_no_sense_is_refused(
    mixed: RepositoryBuilder, words: tuple[str, ...], said: str
) -> None:
    ended = type_in(mixed.path, "replay", *words)
    assert ended.status == 2
    assert said in ended.err


# --- reports and costs --------------------------------------------------------------------------------------


def test_a_report_is_written_in_every_format(mixed: RepositoryBuilder, tmp_path: Path) -> None:
    document = type_in(mixed.path, "report", "--format", "json").document
    assert schema_violations(document, "report") == []
    assert document["artifacts_generated"]
    beginnings = {"md": "# A small plan", "html": "<!doctype html>", "junit": "<?xml", "csv": "run_id,"}
    for format_, beginning in beginnings.items():
        path = tmp_path / f"report.{format_}"
        ended = type_in(mixed.path, "report", "--format", format_, "-o", path)
        assert (ended.status, ended.out) == (0, "")
        assert path.read_text().lower().startswith(beginning.lower())


def test_a_report_that_cannot_be_written_names_the_file(mixed: RepositoryBuilder, tmp_path: Path) -> None:
    ended = type_in(mixed.path, "report", "-o", tmp_path / "none" / "report.md")
    assert ended.status == 5
    assert "none/report.md cannot be written" in ended.err


def test_costs_are_summed_by_what_was_asked_for(repository: RepositoryBuilder) -> None:
    assert execute(repository, PRICED).status == 0
    run_id = latest_run(repository)
    for by, key in (("tool", "scripted"), ("node", "survey"), ("run", run_id)):
        document = type_in(repository.path, "cost", "--by", by, "--format", "json").document
        assert schema_violations(document, "cost") == []
        assert [(group["key"], group["amount_usd"]) for group in document["groups"]] == [(key, 0.25)]
    assert "$0.25" in type_in(repository.path, "cost", run_id).out
    (row,) = csv.DictReader(io.StringIO(type_in(repository.path, "cost", "--format", "csv").out))
    assert (row["node"], row["amount_usd"]) == ("survey", "0.25")


def test_runs_with_one_correlation_id_are_reported_together(mixed: RepositoryBuilder) -> None:
    document = type_in(mixed.path, "coordination", "report", "release-42", "--format", "json").document
    assert schema_violations(document, "coordination") == []
    assert (document["coordination_id"], document["status"]) == ("release-42", "PARTIAL")
    assert [stream["node_id"] for stream in document["workstreams"]] == ["a", "b", "c"]
    by_run = type_in(mixed.path, "coordination", "report", latest_run(mixed)[:-1])
    assert by_run.out.startswith("release-42  PARTIAL  1 runs, 1 of 3 nodes completed, 1 landed")
    wrong = type_in(mixed.path, "coordination", "report", "release-43")
    assert (wrong.status, "did you mean `release-42`?" in wrong.err) == (2, True)


# --- runs as files ------------------------------------------------------------------------------------------


@pytest.fixture
def exported(mixed: RepositoryBuilder, tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    assert type_in(mixed.path, "export", "-o", path).status == 0
    return path


def test_a_run_moves_to_another_repository_by_file(
    mixed: RepositoryBuilder, repository: RepositoryBuilder, exported: Path
) -> None:
    ended = type_in(repository.path, "import", exported, "--format", "json")
    assert schema_violations(ended.document, "imported") == []
    there, here = (
        type_in(place.path, "status", "--format", "json").document for place in (mixed, repository)
    )
    assert here == there
    assert type_in(mixed.path, "export").out == exported.read_text()


def test_a_run_that_is_here_already_is_not_imported_again(mixed: RepositoryBuilder, exported: Path) -> None:
    ended = type_in(mixed.path, "import", exported)
    assert ended.status == 2
    assert "is here already" in ended.err


def test_a_file_that_is_no_whole_run_adds_nothing(repository: RepositoryBuilder, exported: Path) -> None:
    header, *lines = exported.read_text().splitlines(keepends=True)
    head = json.loads(header)
    broken = {
        "a piece is missing": [header, *lines[:-1]],
        "no header": lines,
        "not JSON": [header, "nonsense\n"],
        "events that do not add up": [
            json.dumps({**head, "events": 2}) + "\n",
            lines[0],
            json.dumps({**json.loads(lines[5]), "seq": 2}) + "\n",
        ],
        "empty": [],
    }
    for what, text in broken.items():
        exported.write_text("".join(text))
        ended = type_in(repository.path, "import", exported)
        assert ended.status == 2, what
        assert ended.err.startswith("error: "), what
    assert type_in(repository.path, "runs", "--format", "json").document["runs"] == []


def test_an_imported_run_id_is_looked_at_like_any_other(
    repository: RepositoryBuilder, exported: Path
) -> None:
    type_in(repository.path, "import", exported)
    run_id = RunId(json.loads(exported.read_text().splitlines()[0])["run_id"])
    assert run_id in type_in(repository.path, "runs").out
    assert type_in(repository.path, "report", run_id).status == 0


def test_an_imported_run_cannot_show_a_file_of_yours_as_its_log(
    repository: RepositoryBuilder, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a private key")
    text = re.sub(r'"log":"[^"]+"', f'"log":"{tmp_path}/secret"', exported.read_text())
    exported.write_text(re.sub(r'"log":"[^"]+"', f'"log":"{"x" * 5000}"', text, count=1))
    type_in(repository.path, "import", exported)
    for words in (("logs",), ("logs", "-f"), ("logs", "--format", "json"), ("report",)):
        ended = type_in(repository.path, *words)
        assert ended.status == 0, ended.err
        assert "a private key" not in ended.out
    assert "so it is not shown" in type_in(repository.path, "logs").out


def test_an_imported_run_is_never_driven_and_exported_as_it_came(
    repository: RepositoryBuilder, tmp_path: Path
) -> None:
    there = make_repository(tmp_path / "there")
    run_id = leave_behind(there, plan_of(node("a", "touch ../pwned", approval="before")))
    path = tmp_path / "left.jsonl"
    type_in(there.path, "export", "-o", path)
    type_in(repository.path, "import", path)

    for words in (
        ("resume",),
        ("resume", "--budget", "5"),
        ("retry", "a"),
        ("inject", "a", "b"),
        ("cancel",),
    ):
        refused = type_in(repository.path, *words)
        assert refused.status == 2, words
    assert "was imported" in type_in(repository.path, "resume", run_id).err
    assert not (repository.path.parent / "pwned").exists()
    assert "resume" not in type_in(repository.path, "runs").out
    assert type_in(repository.path, "export").out == path.read_text()
    assert type_in(there.path, "import", path).status == 2
    assert type_in(there.path, "resume", run_id).status == 4
