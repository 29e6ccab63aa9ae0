"""How fast the machine is at this moment, so that goals in seconds mean the same on all of them."""

import sys
from pathlib import Path
from statistics import median

from benchmarks.suite.price import environment, price_of

REFERENCE = "python -c 'import click'"
REFERENCE_S = 0.037
"""CPU of the reference where the goals were set: an idle machine."""

_ROUNDS = 5


def measure_pace() -> float:
    """The reference's CPU time here and now over what it was there: 2.0 is half as fast."""
    here = Path.cwd()
    argv = [sys.executable, "-c", "import click"]
    return median(price_of(argv, cwd=here, env=environment(here)).cpu_s for _ in range(_ROUNDS)) / REFERENCE_S
