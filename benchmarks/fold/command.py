"""The command line of the merge benchmarks."""

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.fold.figures import Row, document, table
from benchmarks.fold.many import fold_many
from benchmarks.fold.one import merge_one
from benchmarks.fold.verified import land_verified
from benchmarks.own_command import ROOT

_OUTPUT = ROOT / "artifacts" / "bench" / "merge_fold.json"

_ABOUT = """\
What candidates cost, on generated repositories in a temporary folder. Medians; CPU is user and system time of
this process and of all that it starts.

  many      disjoint branches folded into one candidate, in memory
  one       one merge and its commit in memory, in turn with `git merge` in a warm work tree
  verified  an entry whose exact tree passed its checks before, from `queue process` to landed"""

PARTS: Mapping[str, Callable[[Namespace], list[Row]]] = {
    "many": lambda options: fold_many(options.branches, options.rounds),
    "one": lambda options: merge_one(options.files, options.pairs),
    "verified": lambda options: land_verified(options.rounds),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print the table and write the JSON."""
    options = _parse(argv)
    if options.list:
        sys.stdout.write("".join(f"{name}\n" for name in PARTS))
        return 0
    rows = [row for name in options.only for row in PARTS[name](options)]
    sys.stdout.write(table(rows) + "\n")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document(rows), indent=1) + "\n")
    sys.stdout.write(f"{options.output}\n")
    return 0


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="merge_fold.py", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 1,000 files")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="only these parts"
    )
    parser.add_argument("--branches", type=int, default=512, help="how many are folded (default 512)")
    parser.add_argument("--files", type=int, help="files of the repository of `one` (default 5000)")
    parser.add_argument("--pairs", type=int, help="merges of each kind (default 15)")
    parser.add_argument("--rounds", type=int, help="of `many` and `verified` (default 5)")
    parser.add_argument(
        "--output", type=Path, default=_OUTPUT, help="where the JSON goes (default %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="list the parts and stop")
    options = parser.parse_args(argv)
    options.files = options.files or (1000 if options.quick else 5000)
    options.pairs = options.pairs or (5 if options.quick else 15)
    options.rounds = options.rounds or (3 if options.quick else 5)
    return options
