"""A replay that draws what surprised most: probability proportional to the size of the last error.

    P(i)  = p_i / sum_k p_k,   p_i = (|delta_i| + 1e-6)^alpha                                    (1)
    w_i   = (N P(i))^-beta / max_j w_j                       undoes the bias that this brings    (2)

Priorities lie in a binary tree of sums, one for each seed in one array, so that drawing and changing take as
many steps as the tree is high.

Source: Schaul et al. 2016, equations 1 and 2, and section 3.3 (proportional variant, stratified draws).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.data.environments.simulation import Simulation, Transition
from modelwright.data.replay import Replay, Sample

__all__ = ["PrioritisedReplay", "SumTree"]

_SMALLEST = 1e-6


class PrioritisedReplay:
    """A `Replay` from which steps are drawn by priority; a new step has the largest priority seen so far.

    Args:
        simulation: Gives shapes and types.
        seeds: One per seed; draws come from the stream `replay`.
        capacity: Steps that each seed keeps, over all its copies.
        n_step: Steps in a stretch.
        alpha: Power of (1); 0 draws uniformly.
    """

    def __init__(
        self,
        simulation: Simulation,
        seeds: Sequence[Seed],
        capacity: int,
        *,
        n_step: int = 1,
        alpha: float = 0.6,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise BadValue("alpha is a number from 0 to 1", got=alpha)
        self._replay = Replay(simulation, seeds, capacity, n_step=n_step)
        self._copies = simulation.observation.shape[1]
        self._length = capacity // self._copies
        self._n_step, self._alpha = n_step, alpha
        self._tree = SumTree(len(seeds), self._length * self._copies)
        self._largest = np.ones(len(seeds))
        self._generators = [seed.generator("replay") for seed in seeds]
        self._added = 0

    @property
    def size(self) -> int:
        """Steps that each seed keeps at present, over all its copies."""
        return self._replay.size

    def add(self, observation: NDArray[Any], action: NDArray[Any], transition: Transition) -> None:
        """Keep one step of every copy; see `Replay.add`."""
        self._replay.add(observation, action, transition)
        seeds = len(self._largest)
        # The step that was overwritten is gone; one whose stretch is now whole can be drawn.
        self._tree.set(self._rows(self._added), np.zeros((seeds, self._copies)))
        self._added += 1
        if self._added >= self._n_step:
            priority = np.repeat(self._largest[:, None], self._copies, axis=1)
            begun = self._added - self._n_step
            self._tree.set(
                self._rows(begun), np.where(self._replay.is_valid(self._rows(begun)), priority, 0.0)
            )

    def age(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Replay.age`."""
        return self._replay.age(rows)

    def sample(self, batch: int, beta: float) -> tuple[Sample, NDArray[np.float32]]:
        """Draw stretches, and say by how much each shall count.

        Each of `batch` equal parts of the sum of priorities gives one stretch.

        Args:
            batch: How many for each seed.
            beta: Power of (2); 1 undoes the bias wholly.

        Returns:
            The stretches, and w_i (seed, batch) in (0, 1].
        """
        total = self._tree.total[:, None]
        if not (total > 0).all():
            raise BadValue(f"Drawing needs {self._n_step} stored steps", got=self.size)
        uniform = np.stack([each.random(batch) for each in self._generators])
        rows = self._tree.find((np.arange(batch) + uniform) / batch * total)
        probability = self._tree.get(rows) / total
        weight = (self.size * probability) ** -beta
        return self._replay.read(rows), (weight / weight.max(axis=1, keepdims=True)).astype(np.float32)

    def prioritise(self, rows: NDArray[np.int64], error: NDArray[Any]) -> None:
        """Give steps that were drawn their new priority.

        Args:
            rows: (seed, batch), of the `Sample`.
            error: (seed, batch) delta, of any sign; not a number counts as the largest so far.
        """
        found = np.where(
            np.isfinite(error), (np.abs(error) + _SMALLEST) ** self._alpha, self._largest[:, None]
        )
        self._tree.set(rows, found)
        self._largest = np.maximum(self._largest, found.max(axis=1))

    def _rows(self, step: int) -> NDArray[np.int64]:
        first = step % self._length * self._copies
        return np.broadcast_to(np.arange(first, first + self._copies), (len(self._largest), self._copies))


class SumTree:
    """A complete binary tree of sums for each seed, all in one array.

    Args:
        seeds: How many trees.
        leaves: Numbers in each.
    """

    def __init__(self, seeds: int, leaves: int) -> None:
        self._first = 1 << max(1, (leaves - 1).bit_length())
        self._sums = np.zeros((seeds, 2 * self._first))
        self._places = np.arange(seeds)[:, None]
        self._leaves = leaves

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum of each seed's numbers, (seed,)."""
        return self._sums[:, 1]

    def get(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the numbers at rows (seed, batch)."""
        return self._sums[self._places, rows + self._first]

    def set(self, rows: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Set the numbers at rows (seed, batch); of a row that is named twice, the last value stays."""
        node = rows + self._first
        self._sums[self._places, node] = values
        while node[0, 0] > 1:
            node = node >> 1
            self._sums[self._places, node] = (
                self._sums[self._places, 2 * node] + self._sums[self._places, 2 * node + 1]
            )

    def find(self, sums: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return for each of (seed, batch) the first row up to which numbers add up to more than it."""
        node, left_over = np.ones(sums.shape, np.int64), sums.copy()
        while node[0, 0] < self._first:
            left = self._sums[self._places, 2 * node]
            # Rounding may leave a little at the very end; a branch without numbers is never taken.
            right = (left_over >= left) & (self._sums[self._places, 2 * node + 1] > 0)
            left_over = np.where(right, left_over - left, left_over)
            node = 2 * node + right
        return node - self._first
