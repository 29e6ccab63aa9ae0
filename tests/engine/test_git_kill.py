"""kill -9 around any git command of a landing, and a person who works at the same time: nothing is lost."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli_multi_rapid.git import (
    Landed,
    LandingEvidence,
    LandingRefused,
    LandingRequest,
    Merged,
    TargetMoved,
    open_repository,
)
from tests.fakes.landings import (
    MAIN,
    MARKERS,
    NOW,
    START,
    a_train,
    assert_landed,
    away_from_main,
    fingerprint,
)
from tests.fakes.repositories import RepositoryBuilder, make_repository

ROOT = Path(__file__).resolve().parents[2]

DEADLY_GIT = """\
#!/bin/sh
# Counts its calls; at the chosen one it kills its parent, before or after it does its work.
echo x >> "{calls}"
number=$(wc -l < "{calls}")
if [ "$number" -eq {at} ] && [ {when} = before ]; then kill -9 "$PPID"; exit 1; fi
"{real}" "$@"
code=$?
if [ "$number" -eq {at} ]; then kill -9 "$PPID"; fi
exit "$code"
"""

LAND = """\
import sys
from pathlib import Path
from cli_multi_rapid.git import LandingRequest, open_repository
path, state, expected, new, *markers = sys.argv[1:]
repository = open_repository(Path(path), Path(state))
request = LandingRequest(target="main", expected=expected, new=new, markers=markers, update_checkout=True)
print(repository.land(request))
"""


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", START)


def land_until_killed(
    builder: RepositoryBuilder, tmp_path: Path, request: LandingRequest, at: int, when: str
) -> int:
    """Land in a process of its own that is killed around its git call number `at`; its return code."""
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir(exist_ok=True)
    calls.write_text("")
    deadly = DEADLY_GIT.format(calls=calls, at=at, when=when, real=shutil.which("git"))
    (programs / "git").write_text(deadly)
    (programs / "git").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    arguments = [str(builder.path), str(tmp_path / "state"), request.expected, request.new, *request.markers]
    done = subprocess.run(
        [sys.executable, "-c", LAND, *arguments], env=environment, capture_output=True, check=False
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


@pytest.mark.parametrize("checked_out", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_landing_is_finished_by_landing_again(
    builder: RepositoryBuilder, tmp_path: Path, when: str, checked_out: bool
) -> None:
    repository = open_repository(builder.path, tmp_path / "state")
    if not checked_out:
        away_from_main(builder)
    builder.write({"keep.txt": "mine\n", "untracked": "mine\n"})
    before = fingerprint(builder)
    killed = 0
    for at in range(1, 40):
        builder.git("stash", "-q", "-u")
        request = a_train(repository, builder, {"a.txt": f"lane {at}\n", f"new{at}.txt": "new\n"})
        builder.git("stash", "pop", "-q", "--index")
        request = LandingRequest(
            target=MAIN,
            expected=request.expected,
            new=request.new,
            markers=[f"{marker}.{at}" for marker in MARKERS],
            update_checkout=True,
        )
        code = land_until_killed(builder, tmp_path, request, at, when)
        outcome = repository.land(request)
        assert isinstance(outcome, Landed)
        assert_landed(builder, request)
        assert repository.landing_evidence(request) is LandingEvidence.LANDED
        builder.git("branch", "-q", "-D", "lane/run/n1")
        if code == 0:
            break

        killed += 1
    assert killed >= 3
    after = fingerprint(builder)
    assert after["status"] == before["status"]
    assert all(after[name] == before[name] for name in ("keep.txt", "untracked", "b.txt"))


def test_a_person_who_commits_all_the_time_loses_nothing(builder: RepositoryBuilder, tmp_path: Path) -> None:
    repository = open_repository(builder.path, tmp_path / "state")
    lane = builder.commit_on("lane/run/n1", {"lane.txt": "lane\n"})
    theirs: list[str] = []

    def commit_often() -> None:
        for number in range(8):
            (builder.path / f"mine{number}.txt").write_text("mine\n")
            while builder.try_git("add", f"mine{number}.txt").returncode != 0:
                pass  # a landing holds the index for a moment
            while builder.try_git("commit", "-q", "-m", f"mine {number}").returncode != 0:
                pass
            theirs.append(builder.head)

    landed = 0
    with ThreadPoolExecutor(1) as pool:
        person = pool.submit(commit_often)
        while landed < 4 or not person.done():
            tip = repository.branch_tip(MAIN)
            assert tip is not None
            merged = repository.merge(tip, lane)
            assert isinstance(merged, Merged)
            train = repository.commit(merged.tree, (tip, lane), f"train {landed}", when=NOW)
            markers = [f"refs/cli-orchestrator/landed/run/{landed}"]
            request = LandingRequest(
                target=MAIN, expected=tip, new=train, markers=markers, update_checkout=True
            )
            outcome = repository.land(request)
            assert isinstance(outcome, Landed | TargetMoved | LandingRefused), outcome
            landed += isinstance(outcome, Landed)
        person.result()
    for commit in theirs:
        assert builder.try_git("merge-base", "--is-ancestor", commit, "main").returncode == 0
    assert builder.status() == ""
    markers_there = builder.git("for-each-ref", "--format=%(refname)", "refs/cli-orchestrator").split("\n")
    assert len(markers_there) == landed
