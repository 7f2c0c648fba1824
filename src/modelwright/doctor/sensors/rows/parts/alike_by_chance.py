"""How many rows are met again beyond those that are alike by chance."""

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import mixed

__all__ = ["share_of_copies"]

_FINE, _SPIKE = 12, 0.2
"""Different values that a fine column has at least, and the share of rows that its commonest has at most."""


def share_of_copies(
    learnt: NDArray[np.float32], held: NDArray[np.float32], numeric: NDArray[np.bool_] | None = None
) -> float:
    """Return the share of held rows that were learnt, less that of rows with one column a step further.

    Copies agree in every column. Rows of a few ages, trades and hours that are equal by chance have as many
    neighbours a year older or younger: the column with the most values is shifted to its next value, both
    ways. Where no column has many values, nothing is taken off.

    Args:
        learnt: (row, column)
        held: (row, column)
        numeric: (column,) whether values have an order; all have by default.
    """
    places = range(learnt.shape[1]) if numeric is None else np.flatnonzero(numeric).tolist()
    fine = [(values, at) for at in places if (values := _values(learnt[:, at])) is not None]
    if learnt.shape[1] < 2 or not fine:
        return float(np.isin(mixed(held), mixed(learnt)).mean())
    values, at = max(fine, key=lambda each: len(each[0]))
    rest = [mixed(np.ascontiguousarray(np.delete(side, at, axis=1))).tolist() for side in (learnt, held)]
    own, asked = (np.searchsorted(values, side[:, at]) for side in (learnt, held))
    known = set(zip(rest[0], own.tolist(), strict=True))
    exact = np.isin(held[:, at], values)
    met = [
        float(np.mean([pair in known for pair in zip(rest[1], (asked + step).tolist(), strict=True)] & exact))
        for step in (0, -1, 1)
    ]
    return met[0] - max(met[1:])


def _values(column: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the different values of a fine column; None for one of few values, or with a common one."""
    values, counts = np.unique(column, return_counts=True)
    if len(values) < _FINE or not np.isfinite(values).all() or counts.max() > _SPIKE * len(column):
        return None
    return values
