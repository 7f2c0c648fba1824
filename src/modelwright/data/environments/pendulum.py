"""Pendulum-v1: swing a rod up and hold it there by a torque that is too weak to lift it at once.

    theta'' = 3g/(2l) sin theta + 3/(m l^2) u         theta is 0 upright, |u| <= 2                (1)
    cost    = theta^2 + 0.1 theta'^2 + 0.001 u^2      of the state before the step, theta in (-pi, pi)  (2)
    theta' <- clip(theta' + 0.05 theta'', -8, 8), theta <- theta + 0.05 theta'                    (3)

with g = 10, m = l = 1. Reward -cost; the task never ends and is cut off after 200 steps, so that a value
function must look beyond the limit. A return lies between about -2000 and 0, a good one is -150.
The numbers are Gymnasium's, step for step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.one_by_one import square
from modelwright.data.environments.space import Box, Space

__all__ = ["Pendulum"]

_FASTEST, _STRONGEST, _SECONDS = 8.0, 2.0, 0.05
_GRAVITY = 10.0
_START = np.array([np.pi, 1.0])
_EDGE = np.array([1.0, 1.0, _FASTEST], np.float32)


class Pendulum:
    """The rules of Pendulum-v1; a `Dynamics`. States are (theta, theta') in float64."""

    observation_space: Space = Box(low=-_EDGE, high=_EDGE)
    action_space: Space = Box.of(-_STRONGEST, _STRONGEST, (1,))

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return any angle, and a rate between -1 and 1."""
        return generator.uniform(-_START, _START)

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """See `Dynamics`."""
        theta, rate = np.ascontiguousarray(state.T)
        torque = np.clip(action[:, 0].astype(np.float32), -_STRONGEST, _STRONGEST)
        upright = (theta + np.pi) % (2 * np.pi) - np.pi
        cost = square(upright) + 0.1 * square(rate) + 0.001 * square(torque)
        # 3 u is a float32 here, as the action is.
        rate = rate + (3 * _GRAVITY / 2 * np.sin(theta) + 3.0 * torque) * _SECONDS
        rate = np.clip(rate, -_FASTEST, _FASTEST)
        after = np.stack([theta + rate * _SECONDS, rate], axis=1)
        return after, -cost, np.zeros(len(state), np.bool_)

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return (cos theta, sin theta, theta') in float32."""
        theta, rate = np.ascontiguousarray(state.T)
        return np.stack([np.cos(theta), np.sin(theta), rate], axis=1).astype(np.float32)
