"""The building blocks of the HTML report. Every text goes through `markup`."""

from collections.abc import Iterable, Sequence
from typing import Final

from cli_multi_rapid.reports.document import NextStep
from cli_multi_rapid.reports.safe_text import markup
from cli_multi_rapid.reports.tone import PAINTS, Tone, paint_rules

STYLE: Final = (
    ":root{color-scheme:light dark;--text:#1f2328;--soft:#57606a;--page:#fff;--card:#f6f8fa;--rule:#d0d7de;"
    "--link:#0550ae}"
    "@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--soft:#9ea7b3;--page:#0d1117;--card:#161b22;"
    "--rule:#30363d;--link:#79c0ff}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:1100px;padding:16px;background:var(--page);color:var(--text);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.15rem;margin:2em 0 .6em}p{margin:.4em 0}"
    "code,pre{font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}"
    "pre{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:10px;overflow:auto;"
    "max-height:26em;white-space:pre-wrap;margin:.5em 0}"
    ".soft{color:var(--soft)}"
    ".pill{display:inline-block;border:1px solid var(--line);background:var(--ground);color:var(--line);"
    "border-radius:1em;padding:0 .6em;font-size:.85em;font-weight:600;white-space:nowrap}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:14px 0}"
    ".tile{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 12px}"
    ".tile b{display:block;font-size:1.25rem}.tile span{color:var(--soft);font-size:.85em}"
    ".next{border-left:4px solid var(--line);background:var(--ground);padding:8px 14px;border-radius:4px}"
    ".next ol{margin:.3em 0;padding-left:1.3em}.next code{user-select:all}"
    ".scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:8px}.scroll svg{display:block}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:6px 10px;vertical-align:top;"
    "border-bottom:1px solid var(--rule)}tr:last-child td{border-bottom:0}"
    "th{font-size:.85em;color:var(--soft);font-weight:600}"
    "td,th{overflow-wrap:normal;min-width:3em}.wide{min-width:16em;overflow-wrap:anywhere}"
    ".num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "details{border:1px solid var(--rule);border-radius:8px;padding:6px 12px;margin:8px 0}"
    "summary{cursor:pointer;padding:4px 0}summary b{margin-right:.4em}"
    "meter{width:100%;height:12px}"
    "a{color:var(--link)}:focus-visible{outline:2px solid var(--link);outline-offset:2px}"
    "@media (max-width:600px){body{padding:10px}h2{margin-top:1.5em}}"
    "@media print{details>*{display:block}.scroll{overflow:visible}}" + paint_rules("p-")
)
"""One style sheet for small and large screens, light and dark, and paper."""


def pill(text: str, tone: Tone) -> str:
    """A status as a word on its colour."""
    return f'<span class="pill p-{tone}">{PAINTS[tone].sign} {markup(text)}</span>'


def tile(value: str, name: str, more: str = "") -> str:
    """One figure with its name; `more` is markup."""
    return f'<div class="tile"><b>{markup(value)}</b><span>{markup(name)}</span>{more}</div>'


def section(title: str, body: str) -> str:
    """A part of the page with a heading; nothing when it would be empty."""
    return f"<section><h2>{markup(title)}</h2>{body}</section>" if body else ""


def scroll(body: str, name: str) -> str:
    """What may be wider than the screen: it scrolls on its own, also by keyboard."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{markup(name)}">{body}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], name: str, *, numbers: Sequence[int] = ()
) -> str:
    """A table of cells that are markup already; the columns in `numbers` are aligned to the right."""
    kinds = [' class="num"' if at in numbers else "" for at in range(len(head))]
    top = "".join(
        f'<th scope="col"{kind}>{markup(text)}</th>' for text, kind in zip(head, kinds, strict=True)
    )
    lines = [
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    ]
    if not lines:
        return ""
    return scroll(f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>", name)


def next_steps(steps: Sequence[NextStep], tone: Tone) -> str:
    """What happens next or what to type."""
    items = "".join(f"<li>{_next(step)}</li>" for step in steps)
    return f'<div class="next p-{tone}"><b>Next</b><ol>{items}</ol></div>' if items else ""


def _next(step: NextStep) -> str:
    command = f"<br><code>{markup(step['command'])}</code>" if step["command"] else ""
    return f"{markup(step['text'])}{command}"
