"""Standardisation, fitted on each seed's training rows only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scale"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """z = (x - mean) / deviation, per seed.

    Attributes:
        mean: (seed, *feature) float64.
        deviation: (seed, *feature) float64; 1 where a feature does not vary.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @staticmethod
    def fit(
        table: NDArray[Any],
        rows: Sequence[NDArray[np.int64]],
        *,
        axes: tuple[int, ...] = (0,),
        active: bool = True,
    ) -> "Scale":
        """Return the scale of each seed's rows of `table` (row, *feature).

        Args:
            table: All rows.
            rows: One array of row numbers per seed.
            axes: Axes of the table that share one mean; (0, 2, 3) gives one per channel of images.
            active: False gives mean 0 and deviation 1.
        """
        means: list[NDArray[np.float64]] = []
        deviations: list[NDArray[np.float64]] = []
        for own in rows:
            values = table[own].astype(np.float64)
            mean = values.mean(axis=axes, keepdims=True)[0]
            deviation = np.sqrt(np.square(values - mean).mean(axis=axes, keepdims=True)[0])
            # A column of one repeated number has a deviation of rounding errors, not exactly 0.
            constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
            means.append(mean if active else np.zeros_like(mean))
            deviations.append(np.where(constant, 1.0, deviation) if active else np.ones_like(mean))
        return Scale(mean=np.stack(means), deviation=np.stack(deviations))
