"""Progress as one HTML page that needs no network: three curves over the weeks, and two tables."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from markupsafe import Markup, escape

from modelwright.journal.database import disk_failure
from modelwright.practice.progress import Progress, Week
from modelwright.practice.progress_text import minutes_text

__all__ = ["render_progress", "write_page"]

_WIDTH, _HEIGHT, _LEFT, _BELOW = 640, 150, 46, 24


def write_page(progress: Progress, target: Path) -> Path:
    """Write the page and return its file; it appears whole or not at all.

    Raises:
        StoreFailed: where the disk refuses it.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(render_progress(progress), "utf-8")
        temporary.replace(target)
    except OSError as error:
        raise disk_failure(error, target, "write the page") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return target


def render_progress(progress: Progress) -> str:
    """Return the page as HTML."""
    solved = sum(row["solved"] for row in progress.drills)
    headline = f"{solved} solved, {len(progress.drills) - solved} given up, {len(progress.open)} open"
    curves = Markup("").join(
        _curve(progress.weeks, title, pick)
        for title, pick in (
            ("Drills solved in a week", lambda week: float(week.solved)),
            ("Minutes to solve, median of the week", lambda week: week.minutes),
            ("Hints a drill", lambda week: week.hints),
        )
    )
    lines = _table(
        ("family", "difficulty", "solved", "given up", "time to solve", "hints a drill", "checks a drill"),
        [
            (
                line.family,
                line.difficulty,
                line.solved,
                line.given_up,
                minutes_text(line.minutes),
                f"{line.hints:.1f}",
                f"{line.checks:.1f}",
            )
            for line in progress.lines
        ],
    )
    rows = _table(
        ("ended", "program", "fault", "outcome", "time", "hints", "checks"),
        [
            (
                str(row["ended"])[:16].replace("T", " "),
                row["program"],
                row["fault"] or "not in the bank any more",
                "solved" if row["solved"] else "given up",
                minutes_text(row["minutes"]),
                row["hints"],
                row["checks"],
            )
            for row in reversed(progress.drills)
        ],
    )
    return _PAGE.format(headline=headline, curves=curves, lines=lines, rows=rows, style=Markup(_STYLE))


def _curve(weeks: Sequence[Week], title: str, pick: Callable[[Week], float | None]) -> Markup:
    values = [pick(week) for week in weeks]
    known = [value for value in values if value is not None]
    if not known:
        return Markup('<figure><figcaption>{}</figcaption><p class="soft">Nothing yet.</p></figure>').format(
            title
        )
    top = max(known) or 1.0
    wide = max(1, len(weeks) - 1)

    def x(at: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 12) * (at / wide if len(weeks) > 1 else 0.5)

    def y(value: float) -> float:
        return 10 + (_HEIGHT - 10 - _BELOW) * (1 - value / top)

    grid = Markup("").join(
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}" />'
            '<text class="right" x="{}" y="{}">{}</text>'
        ).format(_LEFT, _WIDTH, _LEFT - 6, f"{y(value) + 4:.1f}", f"{value:.3g}", y=f"{y(value):.1f}")
        for value in (0.0, top / 2, top)
    )
    points = [(x(at), y(value), weeks[at], value) for at, value in enumerate(values) if value is not None]
    line = " ".join(f"{across:.1f},{up:.1f}" for across, up, _, _ in points)
    dots = Markup("").join(
        Markup('<circle cx="{}" cy="{}" r="4"><title>week of {}: {}</title></circle>').format(
            f"{across:.1f}", f"{up:.1f}", week.monday.isoformat(), f"{value:.3g}"
        )
        for across, up, week, value in points
    )
    ends = Markup("").join(
        Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
            side, f"{x(at):.1f}", _HEIGHT - 6, weeks[at].monday
        )
        for side, at in ([("left", 0), ("right", len(weeks) - 1)] if len(weeks) > 1 else [("middle", 0)])
    )
    return Markup(
        '<figure><figcaption>{0}</figcaption><svg viewBox="0 0 {1} {2}" role="img" aria-label="{0}">'
        '{3}<polyline points="{4}" />{5}{6}</svg></figure>'
    ).format(title, _WIDTH, _HEIGHT, grid, line, dots, ends)


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in names)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(escape(cell)) for cell in row)
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)


_STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --card: #ffffff; --ink: #1b1f24; --soft: #57606a;
  --line: #d5d9de; --faint: #eceef0; --hue: #0a62c9; }
@media (prefers-color-scheme: dark) { :root { --page: #101317; --card: #171b21; --ink: #e8ebee;
  --soft: #a3adb8; --line: #363d46; --faint: #242a32; --hue: #6fb1ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.25rem; }
h1 { font-size: 1.45rem; margin: .2rem 0 .75rem; } h2 { font-size: 1.2rem; margin: 0 0 .75rem; }
.soft, .eyebrow { color: var(--soft); } .eyebrow { margin: 0; font-size: .9rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.25rem;
  margin: 1.25rem 0; }
figure { margin: 0 0 1.25rem; } figcaption { font-size: .93rem; }
svg { display: block; width: 100%; max-width: 46rem; }
svg text { font-size: 11px; fill: var(--soft); } .right { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: var(--faint); } circle { fill: var(--hue); }
polyline { fill: none; stroke: var(--hue); stroke-width: 2.2; stroke-linejoin: round; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--faint); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
"""
_PAGE = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    "<title>Practice</title><style>{style}</style></head><body><main>"
    '<p class="eyebrow">Modelwright practice</p><h1>{headline}</h1>'
    "<section><h2>Over the weeks</h2>{curves}</section>"
    "<section><h2>By family and difficulty</h2>{lines}</section>"
    "<section><h2>Every drill that is over</h2>{rows}</section>"
    "</main></body></html>\n"
)
