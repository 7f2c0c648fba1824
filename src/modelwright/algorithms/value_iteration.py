"""Value iteration: the optimal values of an environment whose model is known, by sweeps over all its states.

    Q_k(s, a)    = sum_s' P(s' | s, a) (r(s, a, s') + gamma V_k(s'))                             (1)
    V_{k+1}(s)   = max_a Q_k(s, a)     in all states at once, from V_0 = 0                       (2)
    max_s |V*(s) - V_{k+1}(s)| <= gamma / (1 - gamma) max_s |V_{k+1}(s) - V_k(s)|                (3)
    pi(s)        = argmax_a Q_k(s, a)                                                            (4)

It stops when (3) says that no value is further than `tolerance` from the optimal one; with gamma = 1, for
which (3) says nothing, when no value changes by more than `tolerance`. A time limit is no part of the model:
values are those of episodes that only terminate.

Source: Sutton and Barto 2018, section 4.4, equation 4.10, with synchronous sweeps; (3) is Puterman 1994,
theorem 6.3.1.

A healthy run: `bellman_error` shrinks by gamma or faster with each sweep, `policy_changes` is 0 long before
values have settled, `value_start` rises to the best discounted return where rewards are not negative.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelwright.algorithms.control.planning import Plan, action_values, find_model, greedy
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.tabular_model import TabularModel

__all__ = ["Config", "iterate_values", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Value iteration."""

    gamma: float = setting(0.99, doc="Discount.", low=0, high=1)
    tolerance: float = setting(1e-8, doc="How far values may be from the optimal ones, by (3).", above=0)
    sweeps: int = setting(100_000, doc="Sweeps at most.", low=1)
    evaluate_every: int = setting(100, doc="Sweeps between steps that offer the policy.", low=1)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Plan in the exact model of an environment; one step a sweep, equal for all seeds.

    Raises:
        BadValue: for an environment whose states or actions are not numbered, or that keeps no table of them.
    """
    yield from iterate_values(find_model("value_iteration", experience, seeds), len(seeds), config)


def iterate_values(model: TabularModel, seeds: int, config: Config) -> Iterator[Step]:
    """Sweep over the states of a model; one step a sweep."""
    value, action = np.zeros(len(model.terminal)), None
    reach = config.gamma / (1.0 - config.gamma) if config.gamma < 1.0 else np.nan
    for sweep in range(1, config.sweeps + 1):
        q = action_values(model, value, config.gamma)  # (1)
        before, value = value, q.max(axis=1)  # (2)
        change = float(np.abs(value - before).max())
        chosen = greedy(q)  # (4)
        settled = (change if np.isnan(reach) else reach * change) <= config.tolerance
        found = {
            "bellman_error": change,
            "error_bound": reach * change,  # (3)
            "value_start": float(model.initial @ value),
            "value_max": float(value.max()),
            "policy_changes": float(len(q) if action is None else (chosen != action).sum()),
        }
        action = chosen
        last = settled or sweep == config.sweeps
        yield Step(
            update=sweep,
            metrics={name: np.full(seeds, number) for name, number in found.items()},
            policy=Plan(q, value, action, seeds) if last or sweep % config.evaluate_every == 0 else None,
        )
        if last:
            return
