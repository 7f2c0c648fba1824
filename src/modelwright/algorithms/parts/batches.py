"""Which training rows each seed sees at each update."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.seed import Seed

__all__ = ["Batches"]


class Batches:
    """An endless stream of batches of one size.

    Each seed goes through random orders of its own rows, one after another; a batch may reach from the end
    of one order into the next. So every batch is full and every row is used equally often (to within one),
    however many rows a seed has and whatever company it trains in.

    Args:
        rows: One array of row numbers per seed.
        seeds: One per array; the order is drawn from the stream `batch`.
        size: Rows in a batch; None takes all rows in their given order at every update, and then every
            seed must have equally many.
    """

    def __init__(self, rows: Sequence[NDArray[np.int64]], seeds: Sequence[Seed], size: int | None) -> None:
        self._rows = rows
        self._size = size
        self._generators = [seed.generator("batch") for seed in seeds]
        self._waiting = [np.empty(0, np.int64) for _ in seeds]
        self._all = np.stack(list(rows)) if size is None else None

    def draw(self) -> NDArray[np.int64]:
        """Return the next row numbers, (seed, batch)."""
        if self._size is None:
            assert self._all is not None
            return self._all
        return np.stack([self._draw(place, self._size) for place in range(len(self._rows))])

    def _draw(self, place: int, size: int) -> NDArray[np.int64]:
        waiting = self._waiting[place]
        if len(waiting) < size:
            orders = -(-(size - len(waiting)) // len(self._rows[place]))
            generator = self._generators[place]
            waiting = np.concatenate(
                [waiting, *(generator.permutation(self._rows[place]) for _ in range(orders))]
            )
        self._waiting[place] = waiting[size:]
        return waiting[:size]
