"""Returns and advantages of stretches of experience, written once for every learner that needs them.

All functions are pure, on arrays that lead with (seed, step, copy). `terminated` says that nothing follows;
`ended` says that the next step belongs to another episode, for whatever reason. An episode that was cut off
is still worth its last state's value: `next_value` is V of the *true* next observation, not of the one that
the next episode began with.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["discounted_returns", "generalised_advantages", "n_step_returns"]

Array = NDArray[Any]


def discounted_returns(
    reward: Array, terminated: Array, ended: Array, next_value: Array, gamma: float
) -> NDArray[np.float64]:
    """Return G_t = r_t + gamma G_{t+1}, (seed, step, copy).

    Where an episode was cut off, and at the end of the stretch, gamma V(s_{t+1}) stands for what would have
    followed; after termination, nothing.

    Args:
        reward: (seed, step, copy).
        terminated: (seed, step, copy) whether the task ended with this step.
        ended: (seed, step, copy) whether the episode ended with this step.
        next_value: (seed, step, copy) V of the true next observation.
        gamma: Discount.

    Source: Sutton and Barto, Reinforcement Learning, equation 3.9.
    """
    found = np.empty(reward.shape, np.float64)
    following = np.zeros_like(found[:, 0])
    for step in range(reward.shape[1] - 1, -1, -1):
        last = ended[:, step] | (step == reward.shape[1] - 1)
        after = np.where(terminated[:, step], 0.0, np.where(last, next_value[:, step], following))
        following = reward[:, step] + gamma * after
        found[:, step] = following
    return found


def generalised_advantages(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    ended: Array,
    gamma: float,
    lam: float,
) -> NDArray[np.float64]:
    """Return generalised advantage estimates, (seed, step, copy).

        delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t)
        A_t     = delta_t + gamma lambda (1 - ended_t) A_{t+1}

    Args:
        reward: (seed, step, copy).
        value: (seed, step, copy) V of the observation acted on.
        next_value: (seed, step, copy) V of the true next observation.
        terminated: (seed, step, copy) whether the task ended with this step.
        ended: (seed, step, copy) whether the episode ended with this step.
        gamma: Discount.
        lam: Lambda; 0 gives one-step errors, 1 gives returns less the value.

    Source: Schulman et al. 2016, equations 11 to 16.
    """
    delta = reward + gamma * np.where(terminated, 0.0, next_value) - value
    carry = gamma * lam * ~ended
    advantage = np.empty(reward.shape, np.float64)
    following = np.zeros_like(advantage[:, 0])
    for step in range(reward.shape[1] - 1, -1, -1):
        following = delta[:, step] + carry[:, step] * following
        advantage[:, step] = following
    return advantage


def n_step_returns(
    reward: Array, terminated: Array, ended: Array, gamma: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return for stretches of n steps what the first state's target is made of.

        R = sum_{k < m} gamma^k r_k,   m = min(n, steps to the end of the episode)
        target = R + gamma^m V(s_m)  unless terminated

    Args:
        reward: (row, n) of successive steps.
        terminated: (row, n).
        ended: (row, n).
        gamma: Discount.

    Returns:
        R (row,), m (row,) and whether the task terminated within the stretch (row,).

    Source: Sutton and Barto, equation 7.1.
    """
    count = reward.shape[1]
    alive = np.concatenate(
        [np.ones_like(ended[:, :1]), ~np.logical_or.accumulate(ended, axis=1)[:, :-1]], axis=1
    )
    power = gamma ** np.arange(count)
    total = np.zeros(len(reward))
    for step in range(count):
        total += np.where(alive[:, step], power[step] * reward[:, step], 0.0)
    return total, alive.sum(axis=1), np.logical_or.reduce(terminated & alive, axis=1)
