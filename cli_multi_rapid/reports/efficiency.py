"""How parallel a run was: the time of all attempts beside the time it took."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cli_multi_rapid.core.ids import NodeId
from cli_multi_rapid.core.state import RunState
from cli_multi_rapid.reports.chronicle import Chronicle, Span
from cli_multi_rapid.reports.document import ParallelEfficiency
from cli_multi_rapid.reports.node_report import attempt_span
from cli_multi_rapid.reports.times import minutes


def efficiency_of(run: RunState, chronicle: Chronicle, now: datetime) -> ParallelEfficiency:
    """The figures of the report. `actual` counts the time in which a process had the run in hand."""
    spans = {
        name: [attempt_span(attempt, chronicle) for attempt in node.attempts]
        for name, node in run.nodes.items()
    }
    work = {name: sum(span.seconds(now) for span in of_node) for name, of_node in spans.items()}
    sequential = sum(work.values())
    actual = chronicle.active_seconds(now)
    longest = critical_path(run, work)
    at_once = most_at_once([span for of_node in spans.values() for span in of_node], now)
    return ParallelEfficiency(
        sequential_time_estimate_min=minutes(sequential),
        actual_parallel_time_min=minutes(actual),
        critical_path_min=minutes(longest),
        efficiency_pct=round(sequential / actual * 100, 1) if actual else None,
        most_at_once=at_once,
        note=_note(run, at_once, longest, actual),
    )


def speed_up(speed: ParallelEfficiency) -> str:
    """`2.5 times`: what is called efficiency in the document is no share, and goes beyond 100 %."""
    percent = speed["efficiency_pct"]
    return "" if percent is None else f"{percent / 100:.1f} times"


def critical_path(run: RunState, seconds: Mapping[NodeId, float]) -> float:
    """Seconds of the longest chain of nodes that had to come one after the other."""
    done_after: dict[NodeId, float] = {}
    for name in run.order:
        before = (*run.nodes[name].node.deps, *run.frontier.earlier(name))
        done_after[name] = seconds[name] + max((done_after.get(dep, 0.0) for dep in before), default=0.0)
    return max(done_after.values(), default=0.0)


def most_at_once(spans: Iterable[Span], now: datetime) -> int:
    """The largest number of spans that hold one moment."""
    steps: list[tuple[datetime, int]] = []
    for span in spans:
        steps += [(span.start, 1), (span.end or now, -1)]
    return _peak(sorted(steps))


def _peak(steps: Sequence[tuple[datetime, int]]) -> int:
    level = peak = 0
    for _, step in steps:
        level += step
        peak = max(peak, level)
    return peak


def _note(run: RunState, at_once: int, longest: float, actual: float) -> str:
    workers = run.started.workers if run.started else 0
    if at_once == 0:
        return "Nothing ran"
    if len(run.nodes) == 1:
        return "One node: nothing to run beside it"
    if longest >= 0.8 * actual and at_once < min(workers, len(run.nodes)):
        return f"Limited parallelization due to dependencies: at most {at_once} at once on {workers} workers"
    if at_once >= workers:
        return f"All {workers} workers were busy at times: more workers may be faster"
    return f"At most {at_once} at once on {workers} workers"
