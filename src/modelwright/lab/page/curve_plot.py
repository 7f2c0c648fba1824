"""Learning curves: the median over seeds as a line, the spread over seeds as a band."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from modelwright.lab.page.curve import Curve
from modelwright.lab.page.plot import Axis, draw_plot
from modelwright.lab.page.scale import Scale, fit_scale
from modelwright.lab.page.svg import element, percent

__all__ = ["curve_values", "draw_curves"]

_GRAIN = 1000


def draw_curves(
    curves: Sequence[Curve],
    classes: Mapping[str, str],
    *,
    label: str,
    title: str = "update",
    height: int = 240,
) -> Markup:
    """Return the curves of one metric, one for each variant that has it.

    Args:
        curves: At least one, of the same metric.
        classes: Variant -> CSS class.
        label: The same in words.
        title: What stands below.
        height: Pixels.
    """
    values = np.concatenate([edge for curve in curves for edge in (curve.low, curve.middle, curve.high)])
    scale = fit_scale(values.tolist(), may_log=True)
    last = max(int(curve.updates[-1]) for curve in curves)
    # A learner that is fitted in one step has its one point in the middle of the drawing.
    across = Scale(low=0.0, high=float(last)) if last > 1 else Scale(low=0.0, high=2.0)
    bands = [_band(curve, across, scale, classes[curve.variant]) for curve in curves]
    lines = [_line(curve, across, scale, classes[curve.variant]) for curve in curves]
    dots = [dot for curve in curves for dot in _lone_points(curve, across, scale, classes[curve.variant])]
    shapes = element(
        "svg",
        *bands,
        *lines,
        viewBox=f"0 0 {_GRAIN} {_GRAIN}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )
    ticks = None if last > 1 else [1.0]
    extra = element("div", class_="cross", hidden="hidden")
    return draw_plot(
        [shapes, *dots],
        x=Axis(scale=across, title=title, ticks=ticks, count=4),
        y=Axis(scale=scale, title="logarithmic scale" if scale.log else ""),
        height=height,
        label=label,
        extra=extra,
    )


def _points(curve: Curve, values: NDArray[Any], across: Scale, scale: Scale) -> list[str]:
    return [
        f"{across.place(float(update)) * _GRAIN:.0f},{(1 - scale.inside(float(value))) * _GRAIN:.0f}"
        for update, value in zip(curve.updates, values, strict=True)
    ]


def _pieces(curve: Curve) -> list[slice]:
    """Return the stretches of points that have numbers; a diverged curve ends, it is not bridged."""
    there = np.isfinite(curve.middle).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there, [0]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _band(curve: Curve, across: Scale, scale: Scale, name: str) -> Markup:
    low = _points(curve, np.nan_to_num(curve.low), across, scale)
    high = _points(curve, np.nan_to_num(curve.high), across, scale)
    return Markup("").join(
        element("polygon", points=" ".join([*high[piece], *reversed(low[piece])]), class_=f"band {name}")
        for piece in _pieces(curve)
        if piece.stop - piece.start > 1
    )


def _line(curve: Curve, across: Scale, scale: Scale, name: str) -> Markup:
    points = _points(curve, np.nan_to_num(curve.middle), across, scale)
    return Markup("").join(
        element("polyline", points=" ".join(points[piece]), class_=f"curve {name}")
        for piece in _pieces(curve)
        if piece.stop - piece.start > 1
    )


def _lone_points(curve: Curve, across: Scale, scale: Scale, name: str) -> list[Markup]:
    drawn: list[Markup] = []
    few = len(curve.updates) <= 12
    for piece in _pieces(curve):
        alone = piece.stop - piece.start == 1
        for at in range(piece.start, piece.stop) if few or alone else ():
            x = percent(across.place(float(curve.updates[at])))
            low, middle, high = (
                percent(1 - scale.inside(float(edge[at]))) for edge in (curve.low, curve.middle, curve.high)
            )
            if alone:
                drawn.append(element("line", x1=x, x2=x, y1=low, y2=high, class_=f"whisker {name}"))
            drawn.append(element("circle", cx=x, cy=middle, r=4 if alone else 3, class_=f"dot {name}"))
    return drawn


def curve_values(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return the numbers of a drawing for whoever points at it, JSON types, four significant digits."""

    def short(values: NDArray[Any]) -> list[float | None]:
        return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]

    return [
        {
            "variant": curve.variant,
            "updates": curve.updates.tolist(),
            "low": short(curve.low),
            "middle": short(curve.middle),
            "high": short(curve.high),
        }
        for curve in curves
    ]
