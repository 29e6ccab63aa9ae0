"""The run on a time axis: every attempt and check as a bar, every landing as a line."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from cli_multi_rapid.reports.document import RunReport
from cli_multi_rapid.reports.safe_text import markup, one_line
from cli_multi_rapid.reports.time_scale import TimeScale, scale_of
from cli_multi_rapid.reports.times import from_iso, span
from cli_multi_rapid.reports.tone import PAINTS, Tone, paint_rules, tone_of_verdict

_WIDTH: Final = 1000
_NAMES: Final = 150
_ROW: Final = 24
_TOP: Final = 40
_LEAST: Final = 2.0
"""Pixels: a bar that is shorter could not be seen."""

_STYLE: Final = (
    ".tl{font-family:system-ui,sans-serif;--text:#1f2328;--grid:#d0d7de;--faint:#57606a}"
    ".tl text{fill:var(--text);font-size:12px}"
    ".tl .faint{fill:var(--faint);font-size:11px}"
    ".tl .grid{stroke:var(--grid);stroke-width:1}"
    ".tl .bar{fill:var(--ground);stroke:var(--line);stroke-width:1.2}"
    ".tl .thin{fill:var(--line);opacity:.45}"
    ".tl .landing{stroke:var(--line);stroke-width:1.5}"
    ".tl .sign{fill:var(--line);font-weight:700}"
    "@media (prefers-color-scheme:dark){.tl{--text:#e6edf3;--grid:#30363d;--faint:#9ea7b3}}"
)


class Bar(Struct, frozen=True, kw_only=True):
    """Something that took its time. A thin bar is a wait."""

    start: datetime
    end: datetime
    tone: Tone
    hint: str
    thin: bool = False


class Row(Struct, frozen=True, kw_only=True):
    """The bars of one node or of one check."""

    name: str
    hint: str
    bars: tuple[Bar, ...]


def timeline_svg(report: RunReport) -> str:
    """The drawing as a document of its own, which also stands inside an HTML page."""
    rows = [*_node_rows(report), *_check_rows(report)]
    scale = scale_of([(bar.start, bar.end) for row in rows for bar in row.bars], _NAMES, _WIDTH - 20)
    height = _TOP + _ROW * len(rows) + 12
    title = f"Timeline of {report['run_id']}"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tl" role="img" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}"><title>{markup(title)}</title>'
        f"<style>{_STYLE}{paint_rules('u-')}</style>"
    )
    if scale is None:
        return f'{opening}<text x="10" y="24">Nothing ran yet</text></svg>'
    drawn = "".join(_row(row, place, scale) for place, row in enumerate(rows))
    return f"{opening}{_axis(scale, height)}{drawn}{_landings(report, scale, height)}</svg>"


# --- what is drawn ------------------------------------------------------------------------------------------


def _node_rows(report: RunReport) -> Iterator[Row]:
    now = report["reported_at"]
    for node in report["nodes"]:
        bars = [
            _wait_bar(wait["start_time"], wait["end_time"] or now)
            for wait in node["waits"]
            if wait["kind"] == "queue"
        ]
        for attempt in node["attempts"]:
            tone = {"succeeded": Tone.GOOD, "failed": Tone.BAD}.get(attempt["outcome"], Tone.BUSY)
            what = f"{node['node_id']}, try {attempt['number']} with {attempt['tool']}: {attempt['outcome']}"
            start, end = from_iso(attempt["start_time"]), from_iso(attempt["end_time"] or now)
            bars.append(_bar(start, end, tone, f"{what} {attempt['reason']}"))
        if bars:
            yield Row(name=node["node_id"], hint=node["label"], bars=tuple(bars))


def _check_rows(report: RunReport) -> Iterator[Row]:
    found: dict[str, list[Bar]] = {}
    for check in report["checks"]:
        if check["start_time"] is None:
            continue
        what = f"{check['check']} on {', '.join(check['nodes'])}: {check['verdict'] or 'not finished'}"
        began = from_iso(check["start_time"])
        end = (
            from_iso(check["end_time"])
            if check["end_time"]
            else began + timedelta(seconds=check["duration_s"])
        )
        bar = _bar(began, end, tone_of_verdict(check["verdict"]), what)
        found.setdefault(check["check"], []).append(bar)
    for name, bars in found.items():
        yield Row(name=f"check {name}", hint=f"check {name}", bars=tuple(bars))


def _bar(start: datetime, end: datetime, tone: Tone, what: str) -> Bar:
    hint = f"{one_line(what, 200)} ({span((end - start).total_seconds())})"
    return Bar(start=start, end=end, tone=tone, hint=hint)


def _wait_bar(start: str, end: str) -> Bar:
    began, ended = from_iso(start), from_iso(end)
    hint = f"in the merge queue for {span((ended - began).total_seconds())}"
    return Bar(start=began, end=ended, tone=Tone.DONE, hint=hint, thin=True)


# --- the drawing --------------------------------------------------------------------------------------------


def _axis(scale: TimeScale, height: int) -> str:
    ticks = "".join(
        f'<path class="grid" d="M{x:.1f} {_TOP - 8}V{height - 8}"/>'
        f'<text class="faint" x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle">{_elapsed(seconds)}</text>'
        for x, seconds in scale.ticks()
    )
    cuts = "".join(
        f'<text class="faint" x="{(cut.left + cut.right) / 2:.1f}" y="12" text-anchor="middle">'
        f"{span(cut.end_s - cut.start_s)} later</text>"
        f'<path class="grid" stroke-dasharray="2 3" '
        f'd="M{cut.left:.1f} 18V{height - 8}M{cut.right:.1f} 18V{height - 8}"/>'
        for cut in scale.cuts()
    )
    return ticks + cuts


def _elapsed(seconds: float) -> str:
    """A tick's label: `0`, `30 s`, `5 min`, `1:30 min`, `2:15 h`."""
    if seconds < 60:
        return f"{seconds:g} s" if seconds else "0"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _row(row: Row, place: int, scale: TimeScale) -> str:
    top = _TOP + _ROW * place
    name = (
        f'<text x="{_NAMES - 10}" y="{top + 16}" text-anchor="end">{markup(one_line(row.name, 20))}'
        f"<title>{markup(one_line(row.hint))}</title></text>"
    )
    return name + "".join(_drawn_bars(row.bars, top, scale))


def _drawn_bars(bars: Iterable[Bar], top: int, scale: TimeScale) -> Iterator[str]:
    for bar in bars:
        left = scale.x(bar.start)
        width = max(_LEAST, scale.x(bar.end) - left)
        y, height, kind = (top + 10, 4, "thin") if bar.thin else (top + 3, _ROW - 7, "bar")
        sign = PAINTS[bar.tone].sign
        mark = f'<text class="sign" x="{left + 5:.1f}" y="{top + 16}">{sign}</text>'
        yield (
            f'<g class="u-{bar.tone}"><title>{markup(bar.hint)}</title>'
            f'<rect class="{kind}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="{height}" rx="2"/>'
            f"{mark if width >= 18 and not bar.thin else ''}</g>"
        )


def _landings(report: RunReport, scale: TimeScale, height: int) -> str:
    lines = []
    for landing in report["landings"]:
        x = scale.x(from_iso(landing["time"]))
        hint = f"landed {', '.join(landing['nodes'])} as {landing['commit'][:10]}"
        lines.append(
            f'<g class="u-{Tone.GOOD}"><title>{markup(one_line(hint))}</title>'
            f'<path class="landing" d="M{x:.1f} {_TOP - 6}V{height - 8}"/>'
            f'<path class="landing" fill="none" d="M{x - 4:.1f} {_TOP - 6}h8"/></g>'
        )
    return "".join(lines)
