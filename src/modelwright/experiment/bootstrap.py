"""Bootstrap intervals over seeds, stratified by task, driven by the caller's generator.

Runs are drawn with replacement within each task, each task on its own, because runs of different tasks are
different runs (Agarwal et al. 2021, NeurIPS). Percentile intervals follow from the quantiles of the
estimates; BCa (Efron 1987, JASA 82) also corrects for bias and skewness.

With few seeds these intervals are too short: the percentile interval of a mean of n normal results covers
like its normal interval with the spread too small by sqrt((n-1)/n), e.g. about 83% in place of 95% with 5.
They describe, and may be shown beside a verdict; a verdict rests on a stopping rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.metric import Direction
from modelwright.experiment.estimate import (
    Axis,
    Estimator,
    estimated_difference,
    finite_scores,
    mean,
    probability_of_improvement,
)

__all__ = [
    "BootstrapInterval",
    "Method",
    "bootstrap_difference",
    "bootstrap_improvement",
    "bootstrap_interval",
]

Method = Literal["percentile", "bca"]

_NUMBERS_AT_ONCE = 2_000_000
"""Scores (or comparisons) held in memory at a time; results do not depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapInterval:
    """An estimate with its bootstrap interval.

    Attributes:
        estimate: The estimate from the scores themselves.
        low: Lower end.
        high: Upper end.
        level: Nominal coverage.
        method: How the ends were found.
        resamples: Number of resamples.
    """

    estimate: float
    low: float
    high: float
    level: float
    method: Method
    resamples: int


def bootstrap_interval(
    scores: ArrayLike,
    estimator: Estimator = mean,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 5_000,
    method: Method = "percentile",
) -> BootstrapInterval:
    """Return the interval of one arm's estimate.

    Args:
        scores: (seed,), or (run, task) for the stratified bootstrap; at least 2 runs.
        estimator: One of `estimate`, or any function with its `axis`.
        generator: Source of all randomness.
        level: Wanted coverage, between 0 and 1.
        resamples: How often to draw, at least 100.
        method: `percentile`, or `bca`, which needs shape (seed,).

    Raises:
        BadValue: for a value outside its rule.
    """
    array = _runs(scores, "Scores")
    _check(level, resamples, method, bca_fits=array.ndim == 1)

    def draw(count: int) -> NDArray[np.float64]:
        return estimator(_drawn(array, _indices(generator, count, array)), axis=_axis(array))

    replicates = _replicates(draw, resamples, array.size)
    left_out = estimator(_each_left_out(array), axis=-1) if method == "bca" else None
    return _interval(estimator(array), replicates, left_out, level)


def bootstrap_difference(
    candidate: ArrayLike,
    baseline: ArrayLike,
    estimator: Estimator = mean,
    *,
    generator: np.random.Generator,
    paired: bool = True,
    direction: Direction = "maximize",
    level: float = 0.95,
    resamples: int = 5_000,
    method: Method = "percentile",
) -> BootstrapInterval:
    """Return the interval of the candidate's estimate minus the baseline's, turned so that more is better.

    Args:
        candidate: (seed,) or (run, task), at least 2 runs.
        baseline: The same; the same index means the same seed where `paired`.
        estimator: One of `estimate`, or any function with its `axis`.
        generator: Source of all randomness.
        paired: Whether a seed is drawn for both arms at once (they share its split and its luck), or each
            arm on its own.
        direction: Whether more or less of the metric is better.
        level: Wanted coverage, between 0 and 1.
        resamples: How often to draw, at least 100.
        method: `percentile`, or `bca`, which needs paired arms of shape (seed,).

    Raises:
        BadValue: for a value outside its rule, or arms that do not fit together.
    """
    ours, theirs = _arms(candidate, baseline)
    if paired and ours.shape != theirs.shape:
        raise BadValue(
            "Paired arms have one shape, and one index means one seed",
            got=f"candidate {ours.shape}, baseline {theirs.shape}",
            next_step="run the missing seeds, or set paired to False",
        )
    _check(level, resamples, method, bca_fits=paired and ours.ndim == 1)

    def compare(ours: ArrayLike, theirs: ArrayLike, axis: Axis) -> NDArray[np.float64]:
        return estimated_difference(ours, theirs, estimator, direction=direction, axis=axis)

    def draw(count: int) -> NDArray[np.float64]:
        if paired:
            first = second = _indices(generator, count, ours)
        else:
            first, second = _indices_apart(generator, count, ours, theirs)
        return compare(_drawn(ours, first), _drawn(theirs, second), _axis(ours))

    replicates = _replicates(draw, resamples, ours.size + theirs.size)
    left_out = compare(_each_left_out(ours), _each_left_out(theirs), -1) if method == "bca" else None
    return _interval(compare(ours, theirs, None), replicates, left_out, level)


def bootstrap_improvement(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    generator: np.random.Generator,
    direction: Direction = "maximize",
    level: float = 0.95,
    resamples: int = 2_000,
) -> BootstrapInterval:
    """Return the percentile interval of the probability of improvement; each arm is drawn on its own.

    Args:
        candidate: (seed,) or (run, task), at least 2 runs.
        baseline: The same tasks; the number of runs may differ.
        generator: Source of all randomness.
        direction: Whether more or less of the metric is better.
        level: Wanted coverage, between 0 and 1.
        resamples: How often to draw, at least 100.

    Raises:
        BadValue: for a value outside its rule, or arms that do not fit together.
    """
    ours, theirs = _arms(candidate, baseline)
    _check(level, resamples, "percentile", bca_fits=False)

    def draw(count: int) -> NDArray[np.float64]:
        first, second = _indices_apart(generator, count, ours, theirs)
        return probability_of_improvement(
            _drawn(ours, first), _drawn(theirs, second), direction=direction, axis=_axis(ours)
        )

    estimate = probability_of_improvement(ours, theirs, direction=direction)
    return _interval(estimate, _replicates(draw, resamples, ours.size * len(theirs)), None, level)


def _runs(scores: ArrayLike, what: str) -> NDArray[np.float64]:
    array = finite_scores(scores, what)
    if len(array) < 2:
        raise BadValue(f"{what} need at least 2 runs to be drawn from", got=f"shape {array.shape}")
    return array


def _arms(candidate: ArrayLike, baseline: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ours, theirs = _runs(candidate, "Candidate's scores"), _runs(baseline, "Baseline's scores")
    if ours.shape[1:] != theirs.shape[1:]:
        raise BadValue(
            "Both arms have the same tasks", got=f"candidate {ours.shape}, baseline {theirs.shape}"
        )
    return ours, theirs


def _check(level: float, resamples: int, method: str, *, bca_fits: bool) -> None:
    if method not in ("percentile", "bca"):
        raise UnknownName("bootstrap method", str(method), ["percentile", "bca"])
    if not 0 < level < 1 or resamples < 100:
        raise BadValue(
            "A bootstrap has a level between 0 and 1 and at least 100 resamples",
            got=f"level={level}, resamples={resamples}",
        )
    if method == "bca" and not bca_fits:
        raise BadValue(
            "BCa is for scores of shape (seed,), paired if there are two arms", nearest="percentile"
        )


def _axis(array: NDArray[np.float64]) -> Axis:
    return -1 if array.ndim == 1 else (-2, -1)


def _indices(generator: np.random.Generator, count: int, array: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return runs to draw, (resample, *shape of array): each task has draws of its own."""
    return generator.integers(0, len(array), size=(count, *array.shape))


def _indices_apart(
    generator: np.random.Generator, count: int, ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return runs to draw for two arms; one resample's draws follow one another, so blocks do not matter."""
    runs = np.repeat([len(ours), len(theirs)], [ours.size, theirs.size])
    both = generator.integers(0, runs, size=(count, runs.size))
    first, second = both[:, : ours.size], both[:, ours.size :]
    return first.reshape(count, *ours.shape), second.reshape(count, *theirs.shape)


def _drawn(array: NDArray[np.float64], indices: NDArray[np.int64]) -> NDArray[np.float64]:
    return array[indices] if array.ndim == 1 else array[indices, np.arange(array.shape[1])]


def _replicates(
    draw: Callable[[int], NDArray[np.float64]], resamples: int, numbers: int
) -> NDArray[np.float64]:
    """Return `resamples` estimates, drawn in blocks that fit in memory; any block gives the same."""
    block = max(1, _NUMBERS_AT_ONCE // numbers)
    return np.concatenate([draw(min(block, resamples - done)) for done in range(0, resamples, block)])


def _each_left_out(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (seed, seed - 1): row i lacks seed i."""
    return np.broadcast_to(array, (len(array), len(array)))[~np.eye(len(array), dtype=bool)].reshape(
        len(array), -1
    )


def _interval(
    estimate: NDArray[np.float64],
    replicates: NDArray[np.float64],
    left_out: NDArray[np.float64] | None,
    level: float,
) -> BootstrapInterval:
    shares = np.array([(1 - level) / 2, (1 + level) / 2])
    if left_out is not None:
        shares = _bca_shares(shares, float(estimate), replicates, left_out)
    low, high = np.quantile(replicates, shares)
    return BootstrapInterval(
        estimate=float(estimate),
        low=float(low),
        high=float(high),
        level=level,
        method="percentile" if left_out is None else "bca",
        resamples=len(replicates),
    )


def _bca_shares(
    shares: NDArray[np.float64],
    estimate: float,
    replicates: NDArray[np.float64],
    left_out: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the shares of the replicates that lie below each end (Efron 1987, equations 2.3 and 6.6)."""
    from scipy.special import ndtr, ndtri

    below = ((replicates < estimate).mean() + (replicates <= estimate).mean()) / 2
    if not 0 < below < 1:
        raise BadValue(
            "BCa needs resamples on both sides of the estimate",
            got=f"a share of {below:g} below it",
            nearest="percentile",
        )
    bias = ndtri(below)
    influence = left_out.mean() - left_out
    size = np.square(influence).sum()
    acceleration = 0.0 if size == 0 else (influence**3).sum() / (6 * size**1.5)
    shifted = bias + ndtri(shares)
    return ndtr(bias + shifted / (1 - acceleration * shifted))
