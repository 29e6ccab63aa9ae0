"""`python -m tests.fakes.model_server SCRIPTS.yaml [PORT]`: serve until Ctrl-C, a line for each exchange."""

import sys
from pathlib import Path

from tests.fakes.model_server.script_file import read_scripts
from tests.fakes.model_server.server import KEY, ModelServer


def main(scripts: str, port: str = "8765") -> None:
    """Serve, and say what was asked."""
    with ModelServer(read_scripts(Path(scripts)), port=int(port)) as server:
        print(f"{server.url}, key {KEY}", flush=True)  # noqa: T201  # a program talks to its terminal
        for exchange in server.stage.follow():
            print(exchange, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
