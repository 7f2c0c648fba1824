"""Rows whose features are exactly equal."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Twins", "find_twins"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Twins:
    """Rows sorted into clusters of equal features.

    Attributes:
        cluster: (row,) the cluster of each row, 0 to the number of different rows minus one.
        size: (row,) how many rows the row's cluster has, itself included.
        repeats: (row,) whether an earlier row has the same features.
    """

    cluster: NDArray[np.int64]
    size: NDArray[np.int64]
    repeats: NDArray[np.bool_]


def find_twins(table: NDArray[Any]) -> Twins:
    """Return the clusters of equal rows of `table` (row, number); -0.0 equals 0.0 and NaN equals NaN."""
    plain = np.array(table, dtype=np.float32, order="C")
    plain += 0.0
    plain[np.isnan(plain)] = np.nan
    rows = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    _, first, cluster, size = np.unique(rows, return_index=True, return_inverse=True, return_counts=True)
    repeats = np.ones(len(rows), dtype=bool)
    repeats[first] = False
    return Twins(cluster=cluster.ravel(), size=size[cluster.ravel()], repeats=repeats)
