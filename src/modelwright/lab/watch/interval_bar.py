"""An interval drawn as one line of text, against the margin and the smallest effect."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelwright.base.errors import BadValue
from modelwright.experiment.interval import Interval

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Axis", "draw_axis", "draw_interval", "legend"]

_PAD = 0.08
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The stretch of differences that a bar shows, the same for all bars of an experiment.

    Attributes:
        low: Value of the left end.
        high: Value of the right end.
        width: Number of characters.
        margin: Difference that the claim is above.
        smallest: Half-width of the zone in which a difference does not matter.
        plain: Whether to draw with ASCII only.
    """

    low: float
    high: float
    width: int
    margin: float
    smallest: float
    plain: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise BadValue("An axis goes from a low to a higher number", got=f"{self.low} to {self.high}")
        if self.width < 8:
            raise BadValue("A bar has at least 8 characters", got=self.width)

    @staticmethod
    def around(
        intervals: Sequence[Interval], *, margin: float, smallest: float, width: int, plain: bool = False
    ) -> "Axis":
        """Return an axis that shows zero, margin, zone, every estimate and the whole of the last interval.

        Earlier intervals are often many times wider; they are cut at the ends rather than squeeze the rest.
        """
        shown = [0.0, margin, smallest, -smallest, *(interval.estimate for interval in intervals)]
        if intervals:
            reach = max(intervals[-1].width / 2, smallest)
            low, high = intervals[-1].low - reach, intervals[-1].high + reach
            shown += [max(interval.low, low) for interval in intervals]
            shown += [min(interval.high, high) for interval in intervals]
        pad = min(_LARGEST, _PAD * max(shown) - _PAD * min(shown)) or 1.0
        return Axis(
            low=max(-_LARGEST, min(shown) - pad),
            high=min(_LARGEST, max(shown) + pad),
            width=width,
            margin=margin,
            smallest=smallest,
            plain=plain,
        )

    def place(self, value: float) -> int:
        """Return the character, from 0, under which `value` lies; beyond the ends it is the end's."""
        # Quartered first: the whole stretch may be larger than any float.
        share = (value / 4 - self.low / 4) / (self.high / 4 - self.low / 4)
        return min(self.width - 1, max(0, math.floor(share * self.width)))


@dataclass(frozen=True, slots=True)
class _Pen:
    outside: str
    zone: str
    zero: str
    margin: str
    line: str
    line_zero: str
    line_margin: str
    ends: str
    cut: str
    estimate: str


_LINES = _Pen("─", "┄", "┼", "┃", "━", "┿", "╋", "┣┫", "◀▶", "●")
_ASCII = _Pen(" ", ".", "+", "|", "=", "=", "|", "[]", "<>", "o")


def draw_interval(axis: Axis, interval: Interval, *, style: str = "bold") -> "Text":
    """Return the bar: the zone dotted, zero and margin marked, the interval heavy with its estimate.

    Args:
        axis: Where it lies.
        interval: What is drawn.
        style: Of the interval.
    """
    from rich.text import Text

    pen = _ASCII if axis.plain else _LINES
    cells, styles = _ground(axis, pen)
    first, last = axis.place(interval.low), axis.place(interval.high)
    # On which side of the margin an end lies is what counts, so it shows even where both share a character.
    if interval.beyond(axis.margin) and axis.place(axis.margin) < axis.width - 1:
        first = max(first, axis.place(axis.margin) + 1)
        last = max(first, last)
    if interval.short_of(axis.margin) and axis.place(axis.margin) > 0:
        last = min(last, axis.place(axis.margin) - 1)
        first = min(first, last)
    for at in range(first, last + 1):
        crossed = {pen.zero: pen.line_zero, pen.margin: pen.line_margin}
        cells[at] = crossed.get(cells[at], pen.line)
        styles[at] = style
    left_cut, right_cut = interval.low < axis.low, interval.high > axis.high
    for at, cut, which in ((first, left_cut, 0), (last, right_cut, 1)):
        if cut:
            cells[at] = pen.cut[which]
        elif at != axis.place(axis.margin):
            cells[at] = pen.ends[which]
    if axis.low <= interval.estimate <= axis.high:
        cells[min(last, max(first, axis.place(interval.estimate)))] = pen.estimate
    text = Text(no_wrap=True)
    for cell, look in zip(cells, styles, strict=True):
        text.append(cell, style=look)
    return text


def draw_axis(axis: Axis) -> "Text":
    """Return the line of labels over the bars: margin, zero and the ends of the zone, as far as they fit."""
    from rich.text import Text

    # The likeliest to be asked for comes first; a label that would touch another one is left out.
    wanted = [
        (axis.margin, f"margin {axis.margin:g}"),
        (axis.margin, f"{axis.margin:g}"),
        (0.0, "0"),
        (-axis.smallest, f"-{axis.smallest:g}"),
        (axis.smallest, f"{axis.smallest:g}"),
    ]
    cells = [" "] * axis.width
    written: set[float] = set()
    for value, label in wanted:
        start = min(max(0, axis.place(value) - len(label) // 2), axis.width - len(label))
        if start < 0 or value in written:
            continue
        if any(cell != " " for cell in cells[max(0, start - 1) : start + len(label) + 1]):
            continue
        cells[start : start + len(label)] = label
        written.add(value)
    return Text("".join(cells), style="dim", no_wrap=True)


def legend(*, ascii_only: bool = False) -> str:
    """Return what the signs of a bar mean."""
    pen = _ASCII if ascii_only else _LINES
    line = f"{pen.ends[0]}{pen.line}{pen.estimate}{pen.line}{pen.ends[1]}"
    return f"{line} interval   {pen.margin} margin   {pen.zero} zero   {pen.zone * 3} too small to matter"


def _ground(axis: Axis, pen: _Pen) -> tuple[list[str], list[str]]:
    cells = [pen.outside] * axis.width
    for at in range(axis.place(-axis.smallest), axis.place(axis.smallest) + 1):
        cells[at] = pen.zone
    styles = ["dim"] * axis.width
    cells[axis.place(0.0)] = pen.zero
    cells[axis.place(axis.margin)] = pen.margin
    styles[axis.place(axis.margin)] = "yellow"
    return cells, styles
