"""What running a DAG of shell nodes cannot do without: `dag_floor.py PLAN WORKERS DATABASE`.

One pass over the plan, a shell for each node as soon as its dependencies have ended, and two rows in an
SQLite file for each: that it was started, and that it ended. Nothing of this project is imported.
"""

import json
import os
import sqlite3
import sys
from collections import Counter, defaultdict, deque
from pathlib import Path


def main(plan: str, workers: str, database: str) -> None:
    """Run it."""
    nodes = json.loads(Path(plan).read_text(encoding="utf-8"))["nodes"]
    waits, followers = Counter[str](), defaultdict[str, list[str]](list)
    for node in nodes:
        waits[node["id"]] = len(node["deps"])
        for dep in node["deps"]:
            followers[dep].append(node["id"])
    lines = {node["id"]: node["run"] for node in nodes}
    ready = deque(name for name in lines if not waits[name])
    log = sqlite3.connect(database, isolation_level=None)
    log.execute("PRAGMA journal_mode = WAL")
    log.execute("PRAGMA synchronous = NORMAL")
    log.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, data TEXT)")
    running: dict[int, str] = {}
    while ready or running:
        while ready and len(running) < int(workers):
            name = ready.popleft()
            log.execute("INSERT INTO events (data) VALUES (?)", (json.dumps({"started": name}),))
            running[os.posix_spawn("/bin/sh", ["sh", "-c", lines[name]], os.environ)] = name
        pid, status = os.wait()
        name = running.pop(pid)
        if status:
            raise SystemExit(f"{name} ended with {status}")
        log.execute("INSERT INTO events (data) VALUES (?)", (json.dumps({"ended": name}),))
        for follower in followers[name]:
            waits[follower] -= 1
            if not waits[follower]:
                ready.append(follower)


if __name__ == "__main__":
    main(*sys.argv[1:])
