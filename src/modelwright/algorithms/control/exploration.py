"""Random actions now and then: epsilon-greedy with a share that falls along a straight line."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.off_policy import OffPolicy
from modelwright.base.seed import Seed
from modelwright.base.setting import setting

__all__ = ["Exploration", "Greedy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy(OffPolicy):
    """The part of a configuration that learners share which act by the value of each action."""

    hidden: tuple[int, ...] = setting((120, 84), doc="Units of each hidden layer.", low=1)
    learning_rate: float = setting(2.5e-4, doc="Size of a step of Adam.", above=0)
    target_every: int = setting(50, doc="Updates after which the target network is renewed.", low=1)
    explore_first: float = setting(1.0, doc="Share of random actions at the start.", low=0, high=1)
    explore_last: float = setting(0.05, doc="Share of random actions at the end.", low=0, high=1)
    explore_share: float = setting(
        0.5, doc="Part of all steps over which the share of random actions falls.", above=0, high=1
    )
    double: bool = setting(False, doc="Whether the online network chooses the action of the target.")
    n_step: int = setting(1, doc="Rewards in a return before it is bootstrapped.", low=1)
    clip_norm: float | None = setting(None, doc="Largest norm of a seed's gradient; null for none.", above=0)


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
