"""The learning curves of one metric, ready for the page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modelwright.lab.page.curve import Curve, band_name
from modelwright.lab.page.curve_plot import curve_values, draw_curves
from modelwright.lab.page.number import general, show_count

__all__ = ["Panel", "make_panels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveEnd:
    """The last point of a curve, as text."""

    variant: str
    update: str
    middle: str
    low: str
    high: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One metric.

    Attributes:
        metric: Its name.
        decides: Whether it is the metric of the design.
        drawing: The curves.
        values: Their numbers as JSON text, for whoever points at the drawing.
        notes: What a reader must know: bands, thinning, values that are not finite.
        ends: What each curve comes to.
    """

    metric: str
    decides: bool
    drawing: Markup
    values: str
    notes: tuple[str, ...]
    ends: tuple[CurveEnd, ...]


def make_panels(curves: Sequence[Curve], classes: dict[str, str], decides: str) -> tuple[Panel, ...]:
    """Return a panel for each metric: the one that decides first, then the training loss, then by name.

    Args:
        curves: Of all variants and metrics.
        classes: Variant -> CSS class.
        decides: Name under which the design's metric is recorded.
    """
    first = {decides: 0, "train_loss": 1}
    names = sorted({curve.metric for curve in curves}, key=lambda name: (first.get(name, 2), name))
    return tuple(
        _make([curve for curve in curves if curve.metric == name], classes, name == decides) for name in names
    )


def _make(curves: Sequence[Curve], classes: dict[str, str], decides: bool) -> Panel:
    metric = curves[0].metric
    ends = tuple(_end(curve) for curve in curves)
    words = "; ".join(f"{end.variant} ends at {end.middle} ({end.low} to {end.high})" for end in ends)
    return Panel(
        metric=metric,
        decides=decides,
        drawing=draw_curves(curves, classes, label=f"{metric} over updates, median of seeds: {words}"),
        values=json.dumps(curve_values(curves), separators=(",", ":")),
        notes=_notes(curves),
        ends=ends,
    )


def _end(curve: Curve) -> CurveEnd:
    last = (general(float(f"{float(edge[-1]):.4g}")) for edge in (curve.low, curve.middle, curve.high))
    low, middle, high = last
    return CurveEnd(
        variant=curve.variant, update=f"{int(curve.updates[-1]):,}", middle=middle, low=low, high=high
    )


def _notes(curves: Sequence[Curve]) -> tuple[str, ...]:
    kinds = sorted({band_name(curve.seeds) for curve in curves})
    notes = [f"Line: median over seeds. Band: {' or '.join(kinds)}."]
    groups = sorted({curve.group for curve in curves})
    if groups[-1] > 1:
        notes.append(f"Each point is the mean of up to {groups[-1]} recorded values of a seed.")
    for curve in curves:
        if curve.lost:
            notes.append(
                f"{curve.variant}: {show_count(curve.lost, 'recorded value is', 'recorded values are')} "
                "not finite and cannot be drawn."
            )
    return tuple(notes)
