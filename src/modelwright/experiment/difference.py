"""Paired differences: what every stopping rule looks at.

The two arms of a comparison share each seed's split and random streams, so the difference is taken
seed by seed and only its spread counts, not the spread that both arms have in common.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue

__all__ = ["EQUAL_DIFFERENCES", "ROUNDING", "differences_at", "experiments_at", "paired_differences"]

EQUAL_DIFFERENCES = "equal-differences"
"""Kind of the finding for a comparison that comes out the same at every seed."""

ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""How far differences may lie apart by rounding alone, relative to the results they are made of."""


def paired_differences(candidate: ArrayLike, baseline: ArrayLike, *, sign: int) -> NDArray[np.float64]:
    """Return sign * (candidate - baseline), seed by seed.

    44/45 - 43/45 and 43/45 - 42/45 are one difference whatever rounding says: where all differences lie
    within rounding of each other, they are made equal.

    Args:
        candidate: (seed,) results of the candidate.
        baseline: (seed,) results of the baseline for the same seeds in the same order.
        sign: +1 where more of the metric is better, -1 where less is.

    Returns:
        (seed,) differences, more is better.

    Raises:
        BadValue: where the arms do not have one result for each seed, or a result is not finite.
    """
    left, right = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape or left.size == 0:
        raise BadValue(
            "A comparison is paired: both arms have one result for each seed, shape (seed,)",
            got=f"candidate {left.shape}, baseline {right.shape}",
        )
    if sign not in (1, -1):
        raise BadValue("The sign is +1 (more is better) or -1 (less is better)", got=sign)
    differences = _finite(sign * (left - right))
    if np.ptp(differences) <= ROUNDING * max(np.abs(left).max(), np.abs(right).max()):
        differences[:] = differences.mean()
    return differences


def differences_at(looks: tuple[int, ...], look: int, differences: ArrayLike) -> NDArray[np.float64]:
    """Return the differences as float64 after checking that they are those of this look.

    Args:
        looks: Number of seeds at each look.
        look: Index of the look, from 0.
        differences: (seed,) with exactly `looks[look]` finite entries.

    Raises:
        BadValue: for a look that was not planned, another number of seeds, or a number that is not finite.
    """
    if not 0 <= look < len(looks):
        raise BadValue(
            "Only planned looks may be taken",
            got=f"look {look}",
            nearest=f"look 0 to {len(looks) - 1}, at {looks} seeds",
        )
    array = np.asarray(differences, dtype=np.float64)
    if array.shape != (looks[look],):
        raise BadValue(
            f"Look {look} is planned at {looks[look]} seeds and takes one difference for each",
            got=f"an array of shape {array.shape}",
            next_step="take the look when exactly that many seeds are finished, in the registered order",
        )
    return _finite(array)


def experiments_at(looks: tuple[int, ...], differences: ArrayLike) -> NDArray[np.float64]:
    """Return the differences of many experiments after checking their shape.

    Args:
        looks: Number of seeds at each look.
        differences: (experiment, seed) finite numbers, with all seeds of the plan.

    Raises:
        BadValue: for another shape, or a number that is not finite.
    """
    array = np.asarray(differences, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != looks[-1] or not np.isfinite(array).all():
        raise BadValue(
            f"Experiments are finite numbers of shape (experiment, {looks[-1]} seeds)",
            got=f"shape {array.shape}",
        )
    return array


def _finite(array: NDArray[np.float64]) -> NDArray[np.float64]:
    bad: list[Any] = np.flatnonzero(~np.isfinite(array)).tolist()
    if bad:
        raise BadValue(
            "A difference that is not finite has no interval",
            got=f"{array[bad[0]]} at seed index {bad[0]}",
            next_step="decide beforehand what a diverged seed counts as, or treat the run as invalid",
        )
    return array
