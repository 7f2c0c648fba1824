"""Whether rows that are measured went through what those went through that were learnt from."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Learner

__all__ = ["check_prepared_alike"]

_LEAST_ROWS, _LEAST_COLUMNS = 20, 3
_APART, _WIDER = 3.0, 3.0
_NEARLY_ALL = 0.8
_EVEN, _UNEVEN, _MANY, _ENOUGH_ROWS = 0.02, 1.5, 0.5, 40
"""Columns that all have mean 0 and deviation 1 where they are learnt come near it where they are measured."""


def check_prepared_alike(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where nearly every column of all measured rows is of another place or size.

    Other rows may differ in some columns; in all of them at once only what prepares rows changes them.

    Args:
        learner: A network with its rows.
    """
    held = [each for each in learner.held() if len(each.values) >= _LEAST_ROWS]
    learnt = learner.learnt.rows.values.astype(np.float64)
    if not held or len(learnt) < 2 * _LEAST_ROWS or not np.isfinite(learnt).all():
        return
    centre, spread = learnt.mean(axis=0), learnt.std(axis=0)
    several = np.array([len(np.unique(learnt[:500, at])) > 4 for at in range(learnt.shape[1])], bool)
    shares: list[float] = []
    factors = np.zeros(0)
    for group in held:
        other = group.values.astype(np.float64)
        if not np.isfinite(other).all():
            return
        size = other.std(axis=0)
        varies = (size > 1e-9 * np.maximum(1, np.abs(other.mean(axis=0)))) & (spread > 1e-9) & several
        if varies.sum() < _LEAST_COLUMNS:
            return
        factors = size[varies] / spread[varies]
        far = np.abs(other.mean(axis=0) - centre)[varies] > _APART * np.maximum(size, spread)[varies]
        wrong = far | (np.abs(np.log(factors)) > np.log(_WIDER))
        enough = _NEARLY_ALL
        if (
            _is_standard(centre[varies], spread[varies])
            and len(other) >= _ENOUGH_ROWS
            and np.ptp(np.log(factors)) > 2 * np.log(_WIDER)
        ):
            # Where a scale is left out, columns keep sizes of their own, some near 1 by chance.
            wrong, enough = far | (np.abs(np.log(factors)) > np.log(_UNEVEN)), _MANY
        shares.append(float(wrong.mean()))
        if shares[-1] < enough:
            return
    yield Finding(
        kind="measured-outside-of-what-was-learnt",
        severity=Severity.WARNING,
        title=f"{shares[-1]:.0%} of the columns have another place or size in the rows that {learner.name} "
        "is measured on than in those that it learnt from: they were not prepared alike.",
        evidence={
            "share_of_columns": shares[-1],
            "deviation_measured_over_learnt": np.sort(factors)[:40].tolist(),
            "rows_learnt_from": len(learnt),
            "rows_measured": len(held[-1].values),
        },
        causes=(cause("preprocessing-differs-at-evaluation", held[-1].place),),
        next_check="print mean and deviation of what enters the model in both places, and share one function "
        "that prepares it",
        subject=learner.name,
    )


def _is_standard(centre: NDArray[np.float64], spread: NDArray[np.float64]) -> bool:
    """Return whether columns have mean 0 and deviation 1, each."""
    return bool((np.abs(centre) < _EVEN).all() and (np.abs(spread - 1) < _EVEN).all())
