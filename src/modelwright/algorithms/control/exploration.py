"""Random actions now and then: epsilon-greedy with a share that falls along a straight line."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.noise import Noise
from modelwright.base.seed import Seed

__all__ = ["Exploration"]


class Exploration:
    """Replaces actions by random ones with probability epsilon.

    Attributes:
        share: epsilon as last used.

    Args:
        seeds: One per seed; draws come from the stream `exploration`.
        copies: Copies per seed.
        actions: How many actions there are.
        first: epsilon at the start.
        last: epsilon from `steps` on.
        steps: Environment steps over which it falls.
    """

    def __init__(
        self, seeds: Sequence[Seed], copies: int, actions: int, *, first: float, last: float, steps: float
    ) -> None:
        self._noise = Noise(seeds, "exploration", (2, copies), "uniform")
        self._actions = actions
        self._first, self._last, self._steps = first, last, steps
        self.share = first
        self._tossed = self._random = np.empty((0, len(seeds), copies))
        self._next = 0

    def __call__(self, greedy: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """Return actions (seed, copy) at this number of environment steps."""
        passed = min(1.0, steps / self._steps)
        self.share = self._first + (self._last - self._first) * passed
        if self._next == len(self._tossed):
            block = self._noise.draw_block()
            self._tossed, self._random = block[:, :, 0], (block[:, :, 1] * self._actions).astype(np.int64)
            self._next = 0
        self._next += 1
        return np.where(self._tossed[self._next - 1] < self.share, self._random[self._next - 1], greedy)
