"""MountainCarContinuous-v0: the car in the valley, driven by a force between -1 and 1.

    v <- clip(v + 0.0015 clip(a, -1, 1) - 0.0025 cos 3x, -0.07, 0.07)                             (1)
    x <- clip(x + v, -1.2, 0.6), and v <- 0 where that wall on the left is hit                    (2)
    the task ends where x >= 0.45 and v >= 0

Reward -0.1 a^2 a step, and 100 for the one that ends the task; 999 steps at most. Doing nothing earns 0 and
is what many learners settle for; a good return is above 90.
Source: Moore 1990; the numbers are Gymnasium's, step for step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.one_by_one import cosine
from modelwright.data.environments.space import Box, Space

__all__ = ["MountainCarContinuous"]

_LEFT, _RIGHT, _FASTEST, _GOAL = -1.2, 0.6, 0.07, 0.45
_POWER, _GRAVITY, _PRICE, _PRIZE = 0.0015, 0.0025, 0.1, 100.0
_LOW, _HIGH = np.array([_LEFT, -_FASTEST], np.float32), np.array([_RIGHT, _FASTEST], np.float32)


class MountainCarContinuous:
    """The rules of MountainCarContinuous-v0; a `Dynamics`.

    States are (x, v, first) in float64. The last is 1 at the start of an episode, where Gymnasium reckons in
    float64; it keeps x and v in float32 afterwards.
    """

    observation_space: Space = Box(low=_LOW, high=_HIGH)
    action_space: Space = Box.of(-1.0, 1.0, (1,))

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return a state at rest between -0.6 and -0.4."""
        return np.array([generator.uniform(-0.6, -0.4), 0.0, 1.0])

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """See `Dynamics`."""
        asked = action[:, 0].astype(np.float32)
        first = state[:, 2] == 1.0
        position, velocity = _moved(state[:, :2].astype(np.float32), asked)
        if first.any():
            start = _moved(state[first, :2], asked[first])
            position[first], velocity[first] = start[0], start[1]
        terminated = (position >= np.float32(_GOAL)) & (velocity >= 0)
        exact = asked.astype(np.float64)
        reward = np.where(terminated, _PRIZE, 0.0) - exact * exact * _PRICE
        after = np.zeros_like(state)
        after[:, 0], after[:, 1] = position, velocity
        return after, reward, terminated

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return position and velocity as float32."""
        return state[:, :2].astype(np.float32)


def _moved(state: NDArray[Any], asked: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return positions and velocities after a step, by equations (1) and (2), in the state's own type.

    A force outside -1 to 1 is cut off to a Python number, from where on Gymnasium's sum is one of float64.
    """
    kind = state.dtype.type
    position, velocity = state.T
    pull = _GRAVITY * cosine((kind(3) * position).astype(np.float64))
    within = asked * np.float32(_POWER) - pull.astype(np.float32)
    outside = np.sign(asked).astype(np.float64) * _POWER - pull
    push = np.where(np.abs(asked) <= 1, within.astype(kind), outside.astype(kind))
    velocity = np.clip(velocity + push, kind(-_FASTEST), kind(_FASTEST))
    position = np.clip(position + velocity, kind(_LEFT), kind(_RIGHT))
    velocity = np.where((position == kind(_LEFT)) & (velocity < 0), kind(0), velocity)
    return position, velocity
