"""A small world for twins of learners: episodes soon end in both ways, actions are of both kinds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from staged import Staged, by_rules

from modelwright.data.environments.space import Box, Discrete, Space

__all__ = ["drift"]


class _Drift:
    """Three numbers that drift; the task ends where the first has gone too far."""

    observation_space: Space = Box.of(-10.0, 10.0, (3,))

    def __init__(self, *, discrete: bool) -> None:
        # Neither centred nor of equal width, so that a scale or a middle left out is seen.
        low, high = np.array([-1.0, -0.5], np.float32), np.array([3.0, 1.0], np.float32)
        self.action_space: Space = Discrete(n=3) if discrete else Box(low=low, high=high)

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        return generator.uniform(-0.5, 0.5, 3)

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        push = action if action.ndim == 2 else np.stack([action - 0.5, 0.5 - 0.3 * action], axis=1)
        moved = np.stack([push[:, 0] - 1.0, push[:, 1], push[:, 0] * push[:, 1]], axis=1)
        after = 0.9 * state + 0.5 * moved
        reward = 1.0 - np.square(after[:, 0]) + 0.3 * push[:, 1] + 0.2 * after[:, 2]
        return after, reward, np.abs(after[:, 0]) > 1.0

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        return state.astype(np.float32)


def drift(*, discrete: bool) -> Staged:
    """Return the environment with three actions, or with two numbers for an action; cut off after 6 steps."""
    return by_rules(_Drift(discrete=discrete), 6)
