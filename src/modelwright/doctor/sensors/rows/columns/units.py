"""Columns in which some rows are in another unit than the others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["UNITS", "check_units", "check_units_in_order"]

UNITS = {
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
_LARGE = 39.0
_ENOUGH = 30
_ALIKE = 0.02
_RATIO = float(np.log(3.0))
_NEAR = 15
"""Rows before and after a change that are held against one another."""


def check_units(
    values: NDArray[np.float32],
    names: tuple[str, ...],
    numeric: NDArray[np.bool_],
    place: Place | None,
    *,
    scaled: bool = False,
) -> Iterator[Finding]:
    """Yield a column whose rows fall into two groups that a known change of units makes one.

    Both right explanations are tried: that the column is one group, and that the groups are of two kinds.

    Args:
        values: (row, column).
        names: Of the columns.
        numeric: (column,) whether they hold numbers.
        place: Of the line that learns from them.
        scaled: Whether columns may have been shifted and scaled since. Then, and where the groups are far
            apart, factors of 39 and more are looked for in the groups' deviations, too.
    """
    for at in np.flatnonzero(numeric).tolist():
        column = values[:, at].astype(np.float64)
        column = np.sort(column[np.isfinite(column)])
        if len(column) < 4 * _ENOUGH or len(np.unique(column)) < 0.2 * len(column):
            continue
        for low, high in _groups(column):
            found = _unit_between(low, high, scaled)
            if found is None:
                continue
            unit, p_value = found
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


def _groups(column: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield the parts of a sorted column on both sides of its widest gap, and of its largest ratio."""
    inner = column[_ENOUGH:-_ENOUGH]
    cut = int(np.diff(inner).argmax()) + 1 + _ENOUGH
    gap = column[cut] - column[cut - 1]
    if gap >= 3 * min(column[:cut].std(), column[cut:].std()):
        yield column[:cut], column[cut:]
    if inner[0] > 0:
        ratios = np.diff(np.log(inner))
        other = int(ratios.argmax()) + 1 + _ENOUGH
        if other != cut and ratios.max() > _RATIO:
            yield column[:other], column[other:]


def _unit_between(
    low: NDArray[np.float64], high: NDArray[np.float64], scaled: bool
) -> tuple[str, float] | None:
    """Return the change of units that makes two groups one, and the p-value that they differ after it."""
    gap = high[0] - low[-1]
    apart = gap > 3 * low.std() and gap > 3 * high.std()
    for unit, (factor, offset) in UNITS.items():
        p_value = _same(low * factor + offset, high)
        if scaled or apart:
            p_value = max(p_value, _same_shape(low, high, factor))
        if apart:  # a difference of two numbers may turn the column
            p_value = max(p_value, _same_shape(high, low, factor))
        if p_value > _ALIKE:
            return unit, p_value
    return None


def check_units_in_order(
    values: NDArray[np.float32], names: tuple[str, ...], numeric: NDArray[np.bool_], place: Place | None
) -> Iterator[Finding]:
    """Yield a column that changes its unit at one row, and is on both sides the same in one unit.

    The groups may overlap. Only changes of units with an offset, or by ten and more, are looked for: series
    do grow to twice or three times as much.

    Args:
        values: (row, column), in the order in which the program has them.
        names: Of the columns.
        numeric: (column,) whether they hold numbers.
        place: Of the line that learns from them.
    """
    for at in np.flatnonzero(numeric).tolist():
        column = values[:, at].astype(np.float64)
        column = column[np.isfinite(column)]
        if len(column) < 6 * _ENOUGH or len(np.unique(column)) < 0.2 * len(column):
            continue
        cut = _jump(column)
        before, after = column[:cut], column[cut:]
        if min(len(before), len(after)) < 2 * _ENOUGH:
            continue
        for unit, (factor, offset) in UNITS.items():
            if not offset and factor < 10:
                continue
            for turned in (False, True):
                low, high = (after, before) if turned else (before, after)
                near = (low[:_NEAR], high[-_NEAR:]) if turned else (low[-_NEAR:], high[:_NEAR])
                if not (_meets(factor * near[0] + offset, near[1]) and not _meets(*near, far=3.0)):
                    continue
                if not _alike(factor * low + offset, high):
                    continue
                yield Finding(
                    kind="rows-in-two-units",
                    severity=Severity.WARNING,
                    title=f"{names[at]} changes at row {cut} by what a change of units makes: {unit}.",
                    evidence={
                        "column": names[at],
                        "row": cut,
                        "means": [float(before.mean()), float(after.mean())],
                        "deviations": [float(before.std()), float(after.std())],
                    },
                    causes=(cause("unit-mismatch", place),),
                    next_check=f"draw {names[at]} in the order of its rows, and bring both parts to one unit",
                    subject=names[at],
                )
                return


def _jump(column: NDArray[np.float64]) -> int:
    """Return the row at which the means of the rows before and after differ most."""
    sums = np.concatenate([[0.0], np.cumsum(column)])
    rows = np.arange(_NEAR, len(column) - _NEAR)
    before = (sums[rows] - sums[rows - _NEAR]) / _NEAR
    after = (sums[rows + _NEAR] - sums[rows]) / _NEAR
    return int(rows[np.abs(after - before).argmax()])


def _meets(one: NDArray[np.float64], other: NDArray[np.float64], far: float = 1.0) -> bool:
    spread = max(one.std(), other.std())
    return bool(abs(np.median(one) - np.median(other)) < far * spread)


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether two stretches, which may be of other seasons, have about the same values."""
    if not 0.6 < one.std() / max(other.std(), 1e-12) < 1.6:
        return False
    at = np.linspace(0.1, 0.9, 9)
    return bool(np.abs(np.quantile(one, at) - np.quantile(other, at)).mean() < 0.5 * other.std())


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import ks_2samp

    if abs(np.median(one) - np.median(other)) > 0.5 * min(one.std(), other.std()):
        return 0.0
    if not 0.7 < one.std() / max(other.std(), 1e-12) < 1.4:
        return 0.0
    return float(ks_2samp(one, other).pvalue)  # pyright: ignore[reportAttributeAccessIssue]


def _same_shape(low: NDArray[np.float64], high: NDArray[np.float64], factor: float) -> float:
    """Return the p-value that two groups differ but for a shift, where their deviations are in this ratio."""
    from scipy.stats import ks_2samp

    if factor < _LARGE or not low.std() or not high.std():
        return 0.0
    spread = np.sqrt(1 / len(low) + 1 / len(high))  # of the logarithm of a ratio of deviations, at kurtosis 5
    if abs(np.log(high.std() / low.std() / factor)) > 3 * spread:
        return 0.0
    one, other = ((each - each.mean()) / each.std() for each in (low, high))
    return float(ks_2samp(one, other).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
