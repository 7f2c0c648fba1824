"""MountainCar-v0: drive a weak car out of a valley by swinging back and forth.

    v <- clip(v + 0.001 (a - 1) - 0.0025 cos 3x, -0.07, 0.07)                                     (1)
    x <- clip(x + v, -1.2, 0.6), and v <- 0 where that wall on the left is hit                    (2)
    the task ends where x >= 0.5 and v >= 0

Reward -1 a step; 200 steps at most, so a return lies between -200 and about -85. Hard for what explores by
chance alone: hardly any random episode reaches the goal, and until one does, all returns are -200.
Source: Moore 1990; Sutton and Barto 2018, example 10.1; the numbers are Gymnasium's, step for step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.one_by_one import cosine
from modelwright.data.environments.space import Box, Discrete, Space

__all__ = ["MountainCar"]

_LEFT, _RIGHT, _FASTEST, _GOAL = -1.2, 0.6, 0.07, 0.5
_FORCE, _GRAVITY = 0.001, 0.0025
_LOW, _HIGH = np.array([_LEFT, -_FASTEST], np.float32), np.array([_RIGHT, _FASTEST], np.float32)


class MountainCar:
    """The rules of MountainCar-v0; a `Dynamics`. States are (x, v) in float64."""

    observation_space: Space = Box(low=_LOW, high=_HIGH)
    action_space: Space = Discrete(n=3)

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return a state at rest between -0.6 and -0.4."""
        return np.array([generator.uniform(-0.6, -0.4), 0.0])

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """See `Dynamics`."""
        position, velocity = state.T
        velocity = velocity + ((action - 1) * _FORCE + cosine(3 * position) * -_GRAVITY)
        velocity = np.clip(velocity, -_FASTEST, _FASTEST)
        position = np.clip(position + velocity, _LEFT, _RIGHT)
        velocity = np.where((position == _LEFT) & (velocity < 0), 0.0, velocity)
        terminated = (position >= _GOAL) & (velocity >= 0)
        return np.stack([position, velocity], axis=1), np.full(len(state), -1.0), terminated

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return the state as float32."""
        return state.astype(np.float32)
