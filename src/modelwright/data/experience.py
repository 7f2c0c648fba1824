"""What a supervised learner sees: the training rows of each seed, and nothing else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.metric import Task

__all__ = ["Experience"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experience:
    """Training rows for a cohort; all seeds share one table and each has its own rows of it.

    Attributes:
        features: (row, *feature) float32, the whole table; images are (row, channel, height, width).
        target: (row,) int64 class indices, or float64 values for regression.
        rows: One array of row numbers per seed of the cohort; lengths may differ.
        task: Kind of target.
        classes: Names of the classes in the order of their indices; empty for regression.
        columns: Names of the features, where each is a column of its own; empty for images.
    """

    features: NDArray[np.float32]
    target: NDArray[Any]
    rows: tuple[NDArray[np.int64], ...]
    task: Task
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.features) != len(self.target):
            raise BadValue(
                "Every row has features and a target",
                got=f"{len(self.features)} rows, {len(self.target)} targets",
            )
        if not self.rows or any(len(rows) == 0 for rows in self.rows):
            raise BadValue(
                "Every seed needs at least one training row", got=[len(rows) for rows in self.rows]
            )

    def of(self, seed: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return features (row, *feature) and target (row,) of the seed at this place of the cohort."""
        rows = self.rows[seed]
        return self.features[rows], self.target[rows]
