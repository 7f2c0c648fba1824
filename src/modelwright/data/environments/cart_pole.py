"""CartPole-v1: push a cart left or right so that the pole on it stays upright.

    state s = (x, x', theta, theta')                       position, angle from upright (rad), their rates
    F       = +10 or -10                                   by action 1 or 0
    temp    = (F + m_p l theta'^2 sin theta) / (m_c + m_p)                                       (1)
    theta'' = (g sin theta - cos theta temp) / (l (4/3 - m_p cos^2 theta / (m_c + m_p)))         (2)
    x''     = temp - m_p l theta'' cos theta / (m_c + m_p)                                       (3)
    Euler's method with a step of 0.02 s; the task ends where |x| > 2.4 or |theta| > 12 degrees

Reward 1 a step; 500 steps at most, so the largest return is 500.
Source: Barto, Sutton and Anderson 1983; the numbers are Gymnasium's, step for step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.space import Box, Discrete, Space

__all__ = ["CartPole"]

# NumPy takes up arrays in half the time of Python's numbers.
_GRAVITY, _POLE, _HALF_LENGTH, _FOUR_THIRDS = np.array(9.8), np.array(0.1), np.array(0.5), np.array(4.0 / 3.0)
_TOTAL, _POLE_LENGTH = np.array(1.0 + 0.1), np.array(0.1 * 0.5)
_FORCE, _SECONDS = 10.0, np.array(0.02)
_WIDEST, _STEEPEST = 2.4, 12 * 2 * np.pi / 360
_FORCES = np.array([-_FORCE, _FORCE])
_FARTHEST = np.array([_WIDEST, _STEEPEST])
_EDGE = np.array([2 * _WIDEST, np.inf, 2 * _STEEPEST, np.inf], np.float32)


class CartPole:
    """The rules of CartPole-v1; a `Dynamics`. States are (x, x', theta, theta') in float64."""

    observation_space: Space = Box(low=-_EDGE, high=_EDGE)
    action_space: Space = Discrete(n=2)

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return a state of four numbers between -0.05 and 0.05."""
        return generator.uniform(-0.05, 0.05, 4)

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """See `Dynamics`."""
        # For a few copies NumPy takes longer to make an array than to fill it: what can be is done in place.
        theta, theta_rate = state[:, 2], state[:, 3]
        cos, sin = np.cos(theta), np.sin(theta)
        temp = np.square(theta_rate)
        temp *= _POLE_LENGTH
        temp *= sin
        temp += _FORCES.take(action)
        temp /= _TOTAL
        inertia = np.square(cos)
        inertia *= _POLE
        inertia /= _TOTAL
        np.subtract(_FOUR_THIRDS, inertia, out=inertia)
        inertia *= _HALF_LENGTH
        theta_rate_rate = _GRAVITY * sin
        theta_rate_rate -= cos * temp
        theta_rate_rate /= inertia
        cos *= _POLE_LENGTH * theta_rate_rate
        cos /= _TOTAL
        rates = np.empty_like(state)
        rates[:, ::2] = state[:, 1::2]
        np.subtract(temp, cos, out=rates[:, 1])
        rates[:, 3] = theta_rate_rate
        rates *= _SECONDS
        rates += state
        out = np.abs(rates[:, ::2]) > _FARTHEST
        return rates, np.ones(len(state)), out[:, 0] | out[:, 1]

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return the state as float32."""
        return state.astype(np.float32)
