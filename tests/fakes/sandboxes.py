"""What the tests of confinement share: whether this machine can confine, and a tool that tries everything."""

import shutil
import subprocess

import pytest


def _why_not() -> str:
    """What keeps bwrap from running on this machine, found without the code under test."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    apart = ["--unshare-user", "--unshare-pid", "--unshare-net"]
    plain = ["bwrap", *apart, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    done = subprocess.run(plain, capture_output=True, text=True, check=False, timeout=20)
    return "" if done.returncode == 0 else done.stderr.strip() or "bwrap fails here"


_REASON = _why_not()
needs_bwrap = pytest.mark.skipif(bool(_REASON), reason=_REASON)

INTRUDER = '''\
"""Tries what no tool should be able to do, and writes down what became of each attempt."""

import json, os, socket, subprocess, sys

who, home, repository, port, orchestrator, out = sys.argv[1:]
told = {}

def attempt(name, act):
    try:
        act()
        told[name] = "done"
    except Exception as error:
        told[name] = type(error).__name__

def write(path):
    with open(path, "a") as file:
        file.write(who + "\\n")

def git(*words):
    subprocess.run(["git", *words], check=True, capture_output=True)

attempt("read a key", lambda: open(home + "/.ssh/id_test").read())
attempt("plant a hook", lambda: write(repository + "/.git/hooks/" + who))
attempt("change the git config", lambda: write(repository + "/.git/config." + who))
attempt("make a branch", lambda: git("--git-dir", repository + "/.git", "branch", who, "main"))
attempt("write to main", lambda: open(repository + "/.git/refs/heads/main", "r+").close())
attempt("change the checkout", lambda: write(repository + "/untracked." + who))
attempt("change the configuration", lambda: write(repository + "/config/" + who))
attempt("write to another slot", lambda: write(repository + "/state/worktrees/another/" + who))
attempt("read the event log", lambda: open(repository + "/state/orchestrator.db", "rb").close())
attempt("write to the state", lambda: write(repository + "/state/" + who))
attempt("signal the orchestrator", lambda: os.kill(int(orchestrator), 0))
attempt("reach the network", lambda: socket.create_connection(("127.0.0.1", int(port)), 5).close())
forbidden = dict(told)

told.clear()
attempt("write to the slot", lambda: write("work.txt"))
attempt("write to TMPDIR", lambda: write(os.environ["TMPDIR"] + "/x"))
attempt("write to a home", lambda: write(home + "/.profile"))
attempt("write to /tmp", lambda: write("/tmp/" + who + port))
attempt("git status", lambda: git("status"))
attempt("git diff", lambda: git("diff", "HEAD~1"))
attempt("git log", lambda: git("log"))

with open(out, "w") as file:
    json.dump({"forbidden": forbidden, "needed": told}, file)
'''
