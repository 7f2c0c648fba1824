"""Progress as text for a terminal, with its curves as bars."""

from collections.abc import Iterator, Sequence

from modelwright.practice.progress import Progress

__all__ = ["minutes_text", "progress_text"]

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_WEEKS = 52


def progress_text(progress: Progress) -> str:
    """Return the page."""
    return "\n".join(_lines(progress))


def minutes_text(minutes: float | None) -> str:
    """Return a time to solve as a reader wants it."""
    if minutes is None:
        return "-"
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} d"


def _lines(progress: Progress) -> Iterator[str]:
    solved = sum(row["solved"] for row in progress.drills)
    if not progress.drills:
        yield "No drill is over yet. modelwright practice start begins one."
    else:
        yield f"{solved} solved, {len(progress.drills) - solved} given up, {len(progress.open)} open"
        yield ""
        yield from _curves(progress)
        yield ""
        yield "family           level  solved  given up  time to solve  hints  checks"
        for line in progress.lines:
            yield (
                f"{line.family:16} {line.difficulty:5d} {line.solved:7d} {line.given_up:9d} "
                f"{minutes_text(line.minutes):>14} {line.hints:6.1f} {line.checks:7.1f}"
            )
    if progress.open:
        yield ""
        yield "open: " + ", ".join(progress.open)
    if progress.doubtful:
        yield ""
        yield "Their seal stands for another fault than was entered: " + ", ".join(progress.doubtful)


def _curves(progress: Progress) -> Iterator[str]:
    weeks = progress.weeks[-_SHOWN_WEEKS:]
    yield f"by week, {weeks[0].monday} to {weeks[-1].monday}"
    curves: list[tuple[str, Sequence[float | None], str]] = [
        ("solved", [week.solved for week in weeks], ".0f"),
        ("minutes to solve", [week.minutes for week in weeks], ".0f"),
        ("hints a drill", [week.hints for week in weeks], ".1f"),
    ]
    for name, values, form in curves:
        known = [value for value in values if value is not None]
        ends = (
            f"from {min(known):{form}} to {max(known):{form}}, last {known[-1]:{form}}" if known else "none"
        )
        yield f"  {name:17} {_bars(values)}  {ends}"


def _bars(values: Sequence[float | None]) -> str:
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    return "".join(" " if value is None else _BARS[min(7, int(value / top * 7.999))] for value in values)
