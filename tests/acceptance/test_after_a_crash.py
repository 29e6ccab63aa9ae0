"""What a process that was killed did not come to is done, or explained, by whoever looks next."""

from pathlib import Path

import pytest

from tests.fakes.command_line import type_in
from tests.fakes.real_runs import execute, latest_run, plan_of, writes
from tests.fakes.repositories import RepositoryBuilder, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "repo")


def test_resume_writes_what_a_run_that_had_just_ended_did_not_come_to(repository: RepositoryBuilder) -> None:
    assert execute(repository, plan_of(writes("a"))).status == 0
    report = repository.path / "artifacts" / "reports" / f"{latest_run(repository)}_report.json"
    queue = repository.path / "state" / "merge_queue.json"
    told = report.read_text(encoding="utf-8")
    report.unlink()
    queue.unlink()
    assert type_in(repository.path, "resume").status == 0
    assert report.read_text(encoding="utf-8").count("\n") == told.count("\n")
    assert queue.exists()


def test_doctor_explains_the_remains_of_the_dead(repository: RepositoryBuilder) -> None:
    assert execute(repository, plan_of(writes("a"))).status == 0
    state = repository.path / "state"
    dead = 2**22 + 1  # no process has such an id
    (state / "bus").mkdir(exist_ok=True)
    (state / "bus" / f"{dead}-0.sock").touch()
    (state / "git" / "owners" / f"{dead}-abc").touch()
    (state / "trash" / "grave").mkdir(parents=True)
    told = " ".join(type_in(repository.path, "doctor").out.split())
    assert f"state/bus/{dead}-0.sock is of a dead process" in told
    assert f"state/git/owners/{dead}-abc is of a dead process" in told
    assert "state/trash has 1 on the way out" in told
    assert execute(repository, plan_of(writes("b"))).status == 0
    assert not (state / "git" / "owners" / f"{dead}-abc").exists()
    assert not (state / "bus" / f"{dead}-0.sock").exists()
