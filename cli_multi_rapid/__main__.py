"""`python -m cli_multi_rapid`: the same as `cli-orchestrator`."""

import sys

from cli_multi_rapid.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
