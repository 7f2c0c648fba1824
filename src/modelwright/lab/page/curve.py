"""Learning curves over seeds, thinned to what a screen can show."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_POINTS", "SEEDS_FOR_DECILES", "Curve", "band_name", "make_curve"]

MOST_POINTS = 120
_LARGE = 1e280
SEEDS_FOR_DECILES = 10
"""With fewer seeds, the band goes from the least to the greatest."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric of one variant over updates.

    Attributes:
        metric: Its name.
        variant: Name of the variant.
        seeds: How many runs it is made of.
        updates: (point,) the last update of each point.
        low: (point,) lower edge of the band over seeds; NaN where no seed has a number.
        middle: (point,) median over seeds.
        high: (point,) upper edge.
        group: How many recorded values one point is the mean of, per seed; 1 where nothing was thinned.
        lost: How many recorded values are not finite.
    """

    metric: str
    variant: str
    seeds: int
    updates: NDArray[np.int64]
    low: Array
    middle: Array
    high: Array
    group: int
    lost: int


def band_name(seeds: int) -> str:
    """Return what a band over so many seeds goes from and to."""
    return "10% to 90% of seeds" if seeds >= SEEDS_FOR_DECILES else "least to greatest seed"


def make_curve(metric: str, variant: str, runs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> Curve:
    """Return the curve of several runs.

    Args:
        metric: Name of the metric.
        variant: Name of the variant.
        runs: (updates, values) of each run, updates growing; they need not be the same in all runs.
    """
    updates = np.unique(np.concatenate([np.asarray(run[0], np.int64) for run in runs]))
    table = np.full((len(runs), len(updates)), np.nan)
    lost = 0
    for row, (at, values) in enumerate(runs):
        numbers = np.asarray(values, np.float64)
        finite = np.isfinite(numbers)
        lost += int((~finite).sum())
        table[row, np.searchsorted(updates, at)] = np.where(finite, numbers, np.nan)
    group = max(1, math.ceil(len(updates) / MOST_POINTS))
    starts = np.arange(0, len(updates), group)
    ends = np.minimum(starts + group, len(updates))
    edges = (0.1, 0.5, 0.9) if len(runs) >= SEEDS_FOR_DECILES else (0.0, 0.5, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a point without any number stays NaN
        # Sums and differences of the largest numbers leave the range of floats; a power of two is exact.
        unit = 2.0**64 if np.nanmax(np.abs(table), initial=0.0) > _LARGE else 1.0
        table /= unit
        points = np.stack(
            [np.nanmean(table[:, a:b], axis=1) for a, b in zip(starts, ends, strict=True)], axis=1
        )
        low, middle, high = np.nanquantile(points, edges, axis=0) * unit
    return Curve(
        metric=metric,
        variant=variant,
        seeds=len(runs),
        updates=updates[ends - 1],
        low=low,
        middle=middle,
        high=high,
        group=group,
        lost=lost,
    )


def make_curves(
    tables: Mapping[str, Sequence[Mapping[str, tuple[NDArray[Any], NDArray[Any]]]]],
) -> tuple[Curve, ...]:
    """Return a curve for every metric of every variant.

    Args:
        tables: Variant -> one mapping per run: metric -> (updates, values).
    """
    curves: list[Curve] = []
    for variant, runs in tables.items():
        for metric in sorted({name for run in runs for name in run}):
            curves.append(make_curve(metric, variant, [run[metric] for run in runs if metric in run]))
    return tuple(curves)
