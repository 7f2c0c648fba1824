"""Columns in which some rows are in another unit than the others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["check_units"]

_UNITS = {
    "thousands": (1000.0, 0.0),
    "hundreds (cm and m, percent and share)": (100.0, 0.0),
    "Fahrenheit and Celsius": (1.8, 32.0),
    "Kelvin and Celsius": (1.0, 273.15),
    "pounds and kilograms": (2.20462, 0.0),
    "centimetres and inches": (2.54, 0.0),
    "inches and metres": (39.3701, 0.0),
    "degrees and radians": (57.29578, 0.0),
    "kilometres and miles": (1.609344, 0.0),
    "km/h and m/s": (3.6, 0.0),
    "sixties (minutes and seconds)": (60.0, 0.0),
    "millions": (1e6, 0.0),
}
"""Unit -> (factor, offset): the other unit is factor * value + offset."""
_ENOUGH = 30
_ALIKE = 0.02


def check_units(
    values: NDArray[np.float32], names: tuple[str, ...], numeric: NDArray[np.bool_], place: Place | None
) -> Iterator[Finding]:
    """Yield a column whose rows fall into two groups that a known change of units makes one.

    Both right explanations are tried: that the column is one group, and that the groups are of two kinds.

    Args:
        values: (row, column).
        names: Of the columns.
        numeric: (column,) whether they hold numbers.
        place: Of the line that learns from them.
    """
    for at in np.flatnonzero(numeric).tolist():
        column = values[:, at].astype(np.float64)
        column = np.sort(column[np.isfinite(column)])
        if len(column) < 4 * _ENOUGH or len(np.unique(column)) < 0.2 * len(column):
            continue
        steps = np.diff(column[_ENOUGH:-_ENOUGH])
        cut = int(steps.argmax()) + 1 + _ENOUGH
        low, high = column[:cut], column[cut:]
        gap = high[0] - low[-1]
        if gap < 3 * low.std() and gap < 3 * high.std():
            continue
        for unit, (factor, offset) in _UNITS.items():
            p_value = _same(low * factor + offset, high)
            if p_value > _ALIKE:
                yield Finding(
                    kind="rows-in-two-units",
                    severity=Severity.WARNING,
                    title=f"{names[at]} falls into two groups that a change of units makes one: {unit}.",
                    evidence={
                        "column": names[at],
                        "rows_low": len(low),
                        "rows_high": len(high),
                        "means": [float(low.mean()), float(high.mean())],
                        "p_value_that_they_differ_after_the_change": p_value,
                    },
                    causes=(cause("unit-mismatch", place),),
                    next_check=f"find what tells the groups of {names[at]} apart, and bring both to one unit",
                    subject=names[at],
                )
                return


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import ks_2samp

    if abs(np.median(one) - np.median(other)) > 0.5 * min(one.std(), other.std()):
        return 0.0
    if not 0.7 < one.std() / max(other.std(), 1e-12) < 1.4:
        return 0.0
    return float(ks_2samp(one, other).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
