"""How a program is asked to end before it is killed. Our own small programs need to know it too."""

from signal import Signals
from typing import Final

from msgspec import Struct


class StopStep(Struct, frozen=True, kw_only=True):
    """A signal to a program that has to end, and how long it may take over it."""

    signal: Signals
    wait_s: float


STOP_STEPS: Final = (
    StopStep(signal=Signals.SIGINT, wait_s=2.0),
    StopStep(signal=Signals.SIGTERM, wait_s=3.0),
)
"""After SIGINT agents write their last record. What is there after the last step is killed with its tree."""
