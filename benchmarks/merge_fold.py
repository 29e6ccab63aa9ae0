"""Time merging in memory: `python benchmarks/merge_fold.py --help`."""

import sys
from pathlib import Path

# As a script, only its own folder is on the path; and this tree's package comes before an installed one.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fold.command import main

if __name__ == "__main__":
    raise SystemExit(main())
