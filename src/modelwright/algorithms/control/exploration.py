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

    def __call__(self, greedy: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """Return actions (seed, copy) at this number of environment steps."""
        passed = min(1.0, steps / self._steps)
        self.share = self._first + (self._last - self._first) * passed
        drawn = self._noise.draw()
        return np.where(drawn[:, 0] < self.share, (drawn[:, 1] * self._actions).astype(np.int64), greedy)
