"""Shapes that spread to a square: every prediction meets every target."""

from collections.abc import Sequence

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["spread_finding"]


def spread_finding(
    place: Place | None,
    shapes: Sequence[Sequence[int]],
    result: Sequence[int],
    function: str,
    calls: int,
) -> Finding:
    """Return what is told where a column met a row.

    Args:
        place: Of the line.
        shapes: Of the two sides.
        result: What they spread to.
        function: What was called.
        calls: How often it happened.
    """
    one, other = shapes
    return Finding(
        kind="shapes-spread",
        severity=Severity.SEVERE,
        title=f"Shapes {tuple(one)} and {tuple(other)} spread to {tuple(result)}: "
        "every prediction meets every target.",
        evidence={
            "shapes": [list(one), list(other)],
            "result": list(result),
            "function": function,
            "calls": calls,
        },
        causes=(cause("silent-broadcast", place),),
        next_check="bring both to one shape: squeeze the predictions' last axis, or add one to the targets",
        subject=str(place or ""),
    )
