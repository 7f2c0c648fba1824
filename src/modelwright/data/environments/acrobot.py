"""Acrobot-v1: swing the free end of two linked rods above a line by a torque at the joint between them.

    state s = (theta1, theta2, theta1', theta2')      angle of the first rod from hanging down, angle between
                                                      the rods, their rates
    d1       = m lc^2 + m (l^2 + lc^2 + 2 l lc cos theta2) + 2 I                                         (1)
    d2       = m (lc^2 + l lc cos theta2) + I                                                            (2)
    phi2     = m lc g cos(theta1 + theta2 - pi/2)                                                        (3)
    phi1     = -m l lc theta2'^2 sin theta2 - 2 m l lc theta2' theta1' sin theta2
               + (m lc + m l) g cos(theta1 - pi/2) + phi2                                                (4)
    theta2'' = (torque + d2/d1 phi1 - m l lc theta1'^2 sin theta2 - phi2) / (m lc^2 + I - d2^2/d1)       (5)
    theta1'' = -(d2 theta2'' + phi1) / d1                                                                (6)
    Runge and Kutta's method of fourth order with a step of 0.2 s; angles are kept within (-pi, pi), rates
    within 4 pi and 9 pi; the task ends where -cos theta1 - cos(theta1 + theta2) > 1

with m = l = I = 1, lc = 1/2, g = 9.8. Reward -1 a step and 0 for the one that ends it; 500 steps at most, so
a return lies between -500 and 0 and a good one is about -80.
Source: Sutton 1996; Sutton and Barto 2018, figure 11.4's problem; the numbers are Gymnasium's, step for step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.one_by_one import square
from modelwright.data.environments.space import Box, Discrete, Space

__all__ = ["Acrobot"]

_GRAVITY, _SECONDS, _HALF_TURN = 9.8, 0.2, np.pi / 2.0
_FASTEST = np.array([4 * np.pi, 9 * np.pi])
_EDGE = np.array([1, 1, 1, 1, *_FASTEST], np.float32)
_FIRST = 4  # the column that tells the first state of an episode


class Acrobot:
    """The rules of Acrobot-v1; a `Dynamics`.

    States are (theta1, theta2, theta1', theta2', first) in float64. The last is 1 at the start of an episode:
    Gymnasium draws that state in float32 and takes sines and cosines in that type.
    """

    observation_space: Space = Box(low=-_EDGE, high=_EDGE)
    action_space: Space = Discrete(n=3)

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return a state of four numbers between -0.1 and 0.1."""
        return np.append(generator.uniform(-0.1, 0.1, 4).astype(np.float32).astype(np.float64), 1.0)

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """See `Dynamics`."""
        torque, start = action - 1.0, np.ascontiguousarray(state[:, :_FIRST].T)
        half = _SECONDS / 2.0
        k1 = _rates(start, torque)
        k2 = _rates(start + half * k1, torque)
        k3 = _rates(start + half * k2, torque)
        k4 = _rates(start + _SECONDS * k3, torque)
        moved = start + _SECONDS / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        angle = _wrapped(moved[:2])
        after = np.zeros_like(state)
        after[:, :2] = angle.T
        after[:, 2:_FIRST] = np.clip(moved[2:], -_FASTEST[:, None], _FASTEST[:, None]).T
        terminated = -np.cos(angle[0]) - np.cos(angle[1] + angle[0]) > 1.0
        return after, np.where(terminated, 0.0, -1.0), terminated

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return (cos theta1, sin theta1, cos theta2, sin theta2, theta1', theta2') in float32."""
        angle = np.ascontiguousarray(state[:, :2])
        seen = np.empty((len(state), 6), np.float32)
        seen[:, 0:4:2], seen[:, 1:4:2] = np.cos(angle), np.sin(angle)
        first = state[:, _FIRST] == 1.0
        if first.any():
            single = angle[first].astype(np.float32)
            seen[first, 0:4:2], seen[first, 1:4:2] = np.cos(single), np.sin(single)
        seen[:, 4:] = state[:, 2:_FIRST]
        return seen


def _rates(state: NDArray[np.float64], torque: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rates of change (4, row) of states (4, row), by equations (1) to (6).

    Factors of 1 are left out; what remains is in Gymnasium's order, on which the last bits depend.
    """
    theta1, theta2, rate1, rate2 = state
    cos2, sin2 = np.cos(theta2), np.sin(theta2)
    d1 = 0.25 + (1.25 + cos2) + 1.0 + 1.0
    d2 = 0.25 + 0.5 * cos2 + 1.0
    phi2 = 0.5 * _GRAVITY * np.cos(theta1 + theta2 - _HALF_TURN)
    phi1 = (
        -0.5 * square(rate2) * sin2
        - rate2 * rate1 * sin2
        + 1.5 * _GRAVITY * np.cos(theta1 - _HALF_TURN)
        + phi2
    )
    rate_rate2 = (torque + d2 / d1 * phi1 - 0.5 * square(rate1) * sin2 - phi2) / (1.25 - square(d2) / d1)
    rate_rate1 = -(d2 * rate_rate2 + phi1) / d1
    return np.stack([rate1, rate2, rate_rate1, rate_rate2])


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    # Whole turns are taken off one by one, for the same last bits as Gymnasium's loop.
    while (over := angle > np.pi).any():
        angle = np.where(over, angle - 2 * np.pi, angle)
    while (under := angle < -np.pi).any():
        angle = np.where(under, angle + 2 * np.pi, angle)
    return angle
