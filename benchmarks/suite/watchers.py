"""Viewers of one run: `python -m benchmarks.suite.watchers HOME RUN COUNT`, told from the log as `events -f`
is.

Each has a thread, a connection and a subscription of its own. At the end of the run the milliseconds from
each event's time to its arrival are written as JSON.
"""

import json
import sys
import time
from pathlib import Path
from threading import Thread

from cli_multi_rapid.cli.follow import following
from cli_multi_rapid.core.ids import RunId
from cli_multi_rapid.engine.home import Home
from cli_multi_rapid.wiring import open_records


def main(home: str, run: str, count: str) -> None:
    """Watch until the run is finished."""
    delays_ms: list[float] = []
    viewers = [Thread(target=_watch, args=(Path(home), RunId(run), delays_ms)) for _ in range(int(count))]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    sys.stdout.write(json.dumps(delays_ms))


def _watch(home: Path, run: RunId, delays_ms: list[float]) -> None:
    with open_records(Home(root=home)) as records, following(records, run) as follower:
        for batch in follower.batches():
            now = time.time()
            delays_ms.extend(1000 * (now - event.time.timestamp()) for event in batch)


if __name__ == "__main__":
    main(*sys.argv[1:])
