"""kill -9 around any git command of a landing, and a person who works at the same time: nothing is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
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

LANDINGS = """\
import json, os, sys
from pathlib import Path
from cli_multi_rapid.git import LandingRequest, open_repository
# A child for each landing that is asked for: it may be killed, and needs no new interpreter.
for line in sys.stdin:
    path, state, expected, new, *markers = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 99
        try:
            request = LandingRequest(
                target="main", expected=expected, new=new, markers=markers, update_checkout=True
            )
            open_repository(Path(path), Path(state)).land(request)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture
def builder(tmp_path: Path) -> RepositoryBuilder:
    return make_repository(tmp_path / "r", START)


class Lander:
    """Lands in processes of their own that are killed around a git call."""

    def __init__(self, builder: RepositoryBuilder, folder: Path) -> None:
        self._repository, self._state = str(builder.path), str(folder / "state")
        self._programs, self._calls = folder / "bin", folder / "calls"
        self._programs.mkdir()
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        self._server = subprocess.Popen(
            [sys.executable, "-c", LANDINGS],
            env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def land_until_killed(self, request: LandingRequest, at: int, when: str) -> int:
        """Land, killed around the git call number `at`; the return code."""
        self._calls.write_text("")
        deadly = DEADLY_GIT.format(calls=self._calls, at=at, when=when, real=shutil.which("git"))
        (self._programs / "git").write_text(deadly)
        (self._programs / "git").chmod(0o755)
        errand = [self._repository, self._state, request.expected, request.new, *request.markers]
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(errand) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        assert code in {0, -signal.SIGKILL}
        return code

    def close(self) -> None:
        self._server.communicate()


@pytest.fixture
def lander(builder: RepositoryBuilder, tmp_path: Path) -> Iterator[Lander]:
    lander = Lander(builder, tmp_path)
    yield lander
    lander.close()


@pytest.mark.parametrize("checked_out", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_landing_is_finished_by_landing_again(
    builder: RepositoryBuilder, lander: Lander, tmp_path: Path, when: str, checked_out: bool
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
        code = lander.land_until_killed(request, at, when)
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
