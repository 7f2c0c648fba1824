"""Policy iteration: the optimal policy of an environment whose model is known, in a few exact steps.

    V(s)    = sum_s' P(s' | s, pi(s)) (r(s, pi(s), s') + gamma V(s'))    solved as linear equations  (1)
    Q(s, a) = sum_s' P(s' | s, a) (r(s, a, s') + gamma V(s'))                                    (2)
    pi(s)  <- argmax_a Q(s, a)     where that is better than pi(s)                               (3)

It starts from the first action everywhere and stops when (3) changes nothing: then V solves Bellman's
equation of optimality. No policy comes twice, because each is better than the last in some state and worse in
none; an action is changed only for one that is better by more than rounding. gamma is below 1, without which
(1) has no solution for policies that never reach an end. A time limit is no part of the model.

Source: Howard 1960; Sutton and Barto 2018, section 4.3. Differs: evaluates by solving rather than by sweeps.

A healthy run: fewer than ten iterations, `value_start` never falls, `policy_changes` and `bellman_error` end
at 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelwright.algorithms.control.planning import Plan, action_values, find_model, greedy
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.tabular_model import TabularModel

__all__ = ["Config", "evaluate_policy", "iterate_policies", "train"]

_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Policy iteration."""

    gamma: float = setting(0.99, doc="Discount.", low=0, below=1)
    iterations: int = setting(1000, doc="Iterations at most.", low=1)


def evaluate_policy(model: TabularModel, action: NDArray[np.int64], gamma: float) -> NDArray[np.float64]:
    """Return equation (1), (state,), for a policy that does `action` (state,)."""
    states = np.arange(len(action))
    system = np.eye(len(action)) - gamma * model.probability[states, action]
    # One thread, because how elimination is cut into threads changes last bits.
    with threadpool_limits(1, user_api="blas"):
        value = np.linalg.solve(system, model.expected_reward[states, action])
    return value.astype(np.float64, copy=False)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Plan in the exact model of an environment; one step an iteration, equal for all seeds.

    Raises:
        BadValue: for an environment whose states or actions are not numbered, or that keeps no table of them.
    """
    yield from iterate_policies(find_model("policy_iteration", experience, seeds), len(seeds), config)


def iterate_policies(model: TabularModel, seeds: int, config: Config) -> Iterator[Step]:
    """Evaluate and improve policies of a model in turn; one step an iteration."""
    states = np.arange(len(model.terminal))
    action = np.zeros(len(states), np.int64)
    for iteration in range(1, config.iterations + 1):
        value = evaluate_policy(model, action, config.gamma)  # (1)
        q = action_values(model, value, config.gamma)  # (2)
        gain = q.max(axis=1) - q[states, action]
        better = gain > _ROUNDING * np.maximum(1.0, np.abs(value))
        action = np.where(better, greedy(q), action)  # (3)
        found = {
            "bellman_error": float(np.abs(q.max(axis=1) - value).max()),
            "value_start": float(model.initial @ value),
            "value_max": float(value.max()),
            "policy_changes": float(better.sum()),
        }
        yield Step(
            update=iteration,
            metrics={name: np.full(seeds, number) for name, number in found.items()},
            policy=Plan(q, value, action, seeds),
        )
        if not better.any():
            return
