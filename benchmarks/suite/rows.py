"""What a table consists of, as it is kept in `artifacts/bench/*.json`."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from benchmarks.suite.pairs import Absent, Median
from benchmarks.suite.peers import Peers


class Row(Struct, frozen=True, kw_only=True):
    """One thing that was measured, beside others in the same table."""

    what: str
    cpu_s: float | None = None
    wall_s: float | None = None
    memory_mb: float | None = None
    figure: str = ""
    """What is neither: `40 of 40`, `p95 12 ms`."""
    goal: str = ""
    reached: bool | None = None
    note: str = ""
    """Why it could not be measured, or what to know about it."""
    floor: bool = False
    """A small program that does only the unavoidable work."""
    rounds: int = 0
    spread: float = 0.0
    curve: str = ""
    """Rows of one curve show how cost grows with `at`."""
    at: float | None = None
    value: float | None = None
    """What the picture shows in place of the CPU time; its unit is `Table.unit`."""


class Scale(Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int
    quick: bool
    pace: float = 1.0
    """See `pace.measure_pace`."""

    def meets(self, found: Median | Absent, goal_s: float) -> bool:
        """Whether the CPU time is within a goal that was set on another machine."""
        return isinstance(found, Median) and found.cpu_s <= goal_s * self.pace

    def pick(self, full: Sequence[int], quick: Sequence[int]) -> Sequence[int]:
        """The sizes to measure."""
        return quick if self.quick else full


class Table(Struct, frozen=True, kw_only=True):
    """One table: what it is about and how to measure it."""

    name: str
    """Also of its JSON, its picture and `--only`."""
    title: str
    about: str
    """What is compared and how, for the reader of the page."""
    growth: str = ""
    """The complexity of the part, and where it bends."""
    across: str = ""
    """The axis of growth: what `Row.at` counts."""
    unit: str = "CPU seconds"
    """What the picture shows."""
    measure: Callable[[Scale, Peers], list[Row]]


class Measured(Struct, frozen=True, kw_only=True):
    """A table with its figures, and the surroundings in which they came about."""

    name: str
    title: str
    about: str
    growth: str
    across: str
    unit: str
    rows: tuple[Row, ...]
    quick: bool
    load: tuple[float, float]
    """The machine's load average of one minute before and after: others' work slows ours."""
    pace: float
    """How many times slower the machine was than the one on which goals in seconds of CPU were set."""
    took_s: float
    machine: str
    commit: str
    schema_version: int = 1


def row_of(  # noqa: PLR0913  # the fields of a row that are not measured
    what: str,
    found: Median | Absent,
    *,
    figure: str = "",
    goal: str = "",
    reached: bool | None = None,
    note: str = "",
    floor: bool = False,
    curve: str = "",
    at: float | None = None,
) -> Row:
    """The row of a contender, measured or not; what is absent has reached nothing."""
    if isinstance(found, Absent):
        reason = f"not measured: {found.reason}"
        return Row(what=what, note=reason, goal=goal, floor=floor, curve=curve, at=at)
    return Row(
        what=what,
        cpu_s=found.cpu_s,
        wall_s=found.wall_s,
        memory_mb=found.peak_mb,
        figure=figure,
        goal=goal,
        reached=reached,
        note=note,
        floor=floor,
        rounds=found.rounds,
        spread=found.spread,
        curve=curve,
        at=at,
    )
