"""Whose mean or median gaps were filled with: shifting and scaling a column leaves it what it was."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Learner

__all__ = ["check_imputed"]

_LEAST_ROWS, _LEAST_HELD = 100, 30
_FILLED = 0.01
"""Share of rows, on either side, that have the value which gaps were filled with, at least."""

_DIFFERENT = 0.5
"""Share of the other rows' values that differ, or the column is no measured one."""

_EXACT, _APART = 1e-5, 1e-3
"""Distance over the deviation up to which a value is a statistic, and from which on it is not: rounding."""


def check_imputed(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where a value that many rows share is the mean or median of both sides together.

    Args:
        learner: A network with its rows.
    """
    sides = learner.learnt, learner.asked
    if not all(each.whole and not each.rows.full for each in sides):
        return
    held = learner.held()
    learnt = learner.learnt.rows.values.astype(np.float64)
    if not held or len(learnt) < _LEAST_ROWS:
        return
    other = np.concatenate([each.values for each in held]).astype(np.float64)
    if len(other) < _LEAST_HELD:
        return
    for at in range(learnt.shape[1]):
        told = _filled_with(learnt[:, at], other[:, at])
        if told is None:
            continue
        statistic, filled = told
        yield Finding(
            kind="preparation-saw-held-out-rows",
            severity=Severity.WARNING,
            title=f"{filled} rows share one value of column {at}: the {statistic} of all rows, exactly, "
            f"those that {learner.name} is measured on among them.",
            evidence={
                "column": at,
                "rows_that_share_it": filled,
                "rows_learnt_from": len(learnt),
                "rows_measured": len(other),
            },
            causes=(cause("imputed-with-all-rows", learner.place),),
            next_check="fill gaps with a statistic of the training rows",
            subject=learner.name,
        )
        return


def _filled_with(learnt: NDArray[np.float64], held: NDArray[np.float64]) -> tuple[str, int] | None:
    """Return which statistic of both sides the most frequent value is, and how many rows have it."""
    values, counts = np.unique(learnt, return_counts=True)
    value = values[counts.argmax()]
    sides = learnt[learnt != value], held[held != value]
    filled = [len(learnt) - len(sides[0]), len(held) - len(sides[1])]
    if filled[0] < _FILLED * len(learnt) or filled[1] < _FILLED * len(held) or min(map(len, sides)) < 10:
        return None
    both = np.concatenate(sides)
    if len(np.unique(both)) < _DIFFERENT * len(both) or not np.isfinite(both).all():
        return None
    size = float(both.std())
    for name, statistic in (("median", _median), ("mean", _mean)):
        if statistic(both, value) <= _EXACT * size and statistic(sides[0], value) > _APART * size:
            return name, sum(filled)
    return None


def _mean(others: NDArray[np.float64], value: float) -> float:
    return abs(float(others.mean()) - value)


def _median(others: NDArray[np.float64], value: float) -> float:
    """Return how far the value is from the median; of an odd number of rows it is one of them itself."""
    return min(abs(float(np.median(each)) - value) for each in (others, np.append(others, value)))
