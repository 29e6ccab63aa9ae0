"""All tables of docs/performance.md: `python benchmarks/bench.py --help`, or `make bench`."""

import sys
from pathlib import Path

# As a script, only its own folder is on the path; and this tree's package comes before an installed one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.suite.command import main

if __name__ == "__main__":
    raise SystemExit(main())
