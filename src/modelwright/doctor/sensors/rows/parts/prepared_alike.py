"""Whether rows that are measured went through what those went through that were learnt from."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Held, Learner

__all__ = ["check_prepared_alike"]

_LEAST_ROWS, _LEAST_COLUMNS = 20, 3
_APART, _WIDER = 3.0, 3.0
_NEARLY_ALL = 0.8
_EVEN, _UNEVEN, _MANY, _ENOUGH_ROWS = 0.02, 1.5, 0.5, 40
"""Columns that all have mean 0 and deviation 1 where they are learnt come near it where they are measured."""

_FAR_LARGER, _FAR_APART = 10.0, float(np.log(30.0))
"""Deviations of columns over those that were scaled, the largest, and the largest over the smallest."""

_ONE_FACTOR, _NEAR_FACTOR, _NEAR_PLACE, _FEWEST, _VARIED = 1.8, 0.25, 0.35, 8, 2.0
_FEWEST_PIXELS, _MOST_LEVELS, _SOME_ROWS, _HARDLY_ANY, _AGAIN = 16, 500, 2000, 0.01, 4
_SHARED, _SEVERAL = 0.8, 64
"""One factor and one shift that lead from all columns of different sizes to those that are measured."""


def check_prepared_alike(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where nearly every column of all measured rows is of another place or size.

    Other rows may differ in some columns; in all of them at once only what prepares rows changes them. It
    must do so in all parts that are measured, but where scaling is plainly left out: rows of one part may be
    changed on purpose, to see what a network makes of them.

    Args:
        learner: A network with its rows.
    """
    held = [each for each in learner.held() if len(each.values) >= _LEAST_ROWS]
    others = [_other_levels(learner.learnt.rows.values, each.values) for each in held]
    if others and all(others):
        yield _of_other_levels(learner, held[-1])
        return
    learnt = learner.learnt.rows.values.astype(np.float64)
    if not held or len(learnt) < 2 * _LEAST_ROWS or not np.isfinite(learnt).all():
        return
    centre, spread = learnt.mean(axis=0), learnt.std(axis=0)
    several = np.array([len(np.unique(learnt[:500, at])) > 4 for at in range(learnt.shape[1])], bool)
    told: list[tuple[float, NDArray[np.float64], Held]] = []
    raw: list[bool] = []
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
        elif len(other) >= _ENOUGH_ROWS and wrong.mean() < enough and not _slides(learnt):
            wrong = _one_scale(centre[varies], spread[varies], other.mean(axis=0)[varies], size[varies])
        if wrong.mean() < enough:
            continue
        told.append((float(wrong.mean()), factors, group))
        raw.append(_is_raw(learnt[:, varies], factors) and len(other) >= _ENOUGH_ROWS)
    if len(told) < len(held) and not any(raw):
        return
    share, factors, group = told[-1 if len(told) == len(held) else raw.index(True)]
    yield Finding(
        kind="measured-outside-of-what-was-learnt",
        severity=Severity.WARNING,
        title=f"{share:.0%} of the columns have another place or size in the rows that {learner.name} "
        "is measured on than in those that it learnt from: they were not prepared alike.",
        evidence={
            "share_of_columns": share,
            "deviation_measured_over_learnt": np.sort(factors)[:40].tolist(),
            "rows_learnt_from": len(learnt),
            "rows_measured": len(group.values),
        },
        causes=(cause("preprocessing-differs-at-evaluation", group.place),),
        next_check="print mean and deviation of what enters the model in both places, and share one function "
        "that prepares it",
        subject=learner.name,
    )


def _is_raw(learnt: NDArray[np.float64], factors: NDArray[np.float64]) -> bool:
    """Return whether learnt columns were all scaled, and sizes of others are far from these and each other.

    Args:
        learnt: (row, column)
        factors: (column,) deviations of the others, over those of the learnt ones.
    """
    standard = _is_standard(learnt.mean(axis=0), learnt.std(axis=0))
    unit = np.abs(learnt.min(axis=0)).max() < _EVEN and np.abs(learnt.max(axis=0) - 1).max() < _EVEN
    return bool((standard or unit) and factors.max() > _FAR_LARGER and np.ptp(np.log(factors)) > _FAR_APART)


def _other_levels(learnt: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Return whether numbers take a few levels, as pixels do, and other ones in between where measured.

    Numbers of a series come again too, in as many windows as these are long: levels come far more often.
    """
    if learnt.shape[1] < _FEWEST_PIXELS or len(learnt) < _ENOUGH_ROWS:
        return False
    mine, theirs = np.unique(learnt[:_SOME_ROWS]), np.unique(other[:_SOME_ROWS])
    if not all(_FEWEST <= len(each) <= _MOST_LEVELS and np.isfinite(each).all() for each in (mine, theirs)):
        return False
    if len(learnt[:_SOME_ROWS]) < _AGAIN * len(mine) or len(other[:_SOME_ROWS]) < _AGAIN * len(theirs):
        return False
    if theirs[0] < mine[0] or theirs[-1] > mine[-1]:
        return False
    return float(np.isin(other[:_SOME_ROWS], mine).mean()) < _HARDLY_ANY


def _of_other_levels(learner: Learner, held: Held) -> Finding:
    learnt, other = learner.learnt.rows.values, held.values
    return Finding(
        kind="measured-outside-of-what-was-learnt",
        severity=Severity.WARNING,
        title=f"Rows that {learner.name} is measured on take other levels than those that it learnt from: "
        "they were not prepared alike.",
        evidence={
            "learnt_from_to": [float(learnt.min()), float(learnt.max())],
            "measured_from_to": [float(other.min()), float(other.max())],
            "levels_learnt": len(np.unique(learnt[:_SOME_ROWS])),
            "levels_measured": len(np.unique(other[:_SOME_ROWS])),
            "rows_measured": len(other),
        },
        causes=(cause("preprocessing-differs-at-evaluation", held.place),),
        next_check="print mean and deviation of what enters the model in both places, and share one function "
        "that prepares it",
        subject=learner.name,
    )


def _one_scale(
    centre: NDArray[np.float64],
    spread: NDArray[np.float64],
    mean: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return which columns one factor and one shift lead to from those learnt; none where both are small.

    Columns of one size may be one series, that becomes quieter: of these nothing is said.
    """
    nothing = np.zeros(len(size), bool)
    low, high = np.quantile(spread, [0.1, 0.9])
    logs = np.log(size / spread)
    factor = float(np.median(logs))
    if len(size) < _FEWEST or high < _VARIED * low or abs(factor) < np.log(_ONE_FACTOR):
        return nothing
    off = mean - np.exp(factor) * centre
    near = np.abs(off - np.median(off)) < _NEAR_PLACE * size
    return near & (np.abs(logs - factor) < _NEAR_FACTOR)


def _slides(values: NDArray[np.float64]) -> bool:
    """Return whether columns hold measured numbers of one another in other rows: windows over a series."""
    for at in range(min(3, values.shape[1])):
        one = values[:, at]
        if len(np.unique(one)) < 0.5 * len(one):
            continue
        others = range(at + 1, min(values.shape[1], at + _SEVERAL))
        if any(float(np.isin(values[:, each], one).mean()) > _SHARED for each in others):
            return True
    return False


def _is_standard(centre: NDArray[np.float64], spread: NDArray[np.float64]) -> bool:
    """Return whether columns have mean 0 and deviation 1, each."""
    return bool((np.abs(centre) < _EVEN).all() and (np.abs(spread - 1) < _EVEN).all())
