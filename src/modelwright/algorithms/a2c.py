"""Advantage actor-critic (A2C): short stretches, bootstrapped.

    delta_t = r_t + gamma (1 - terminated) V(s_{t+1}) - V(s_t)                                   (1)
    A_t     = sum_{k >= 0} (gamma lambda)^k delta_{t+k}   within the stretch and the episode     (2)
    G_t     = A_t + V(s_t)                                                                       (3)
    L       = mean_t [ -A_t log pi(a_t | s_t) + c_v 1/2 (V(s_t) - G_t)^2 - c_e H(pi(. | s_t)) ]  (4)

With lambda = 1, A_t is the return of up to `rollout` steps, bootstrapped, less V(s_t).

Source: Mnih et al. 2016, algorithm S3 (A3C), in its synchronous form; the defaults are those of
Stable-Baselines3 (RMSProp, five steps). Differs: an episode that was cut off is bootstrapped.
A healthy run: `relative_entropy` begins near 1 and falls, `explained_variance` rises above 0.5, `grad_norm`
mostly above the clip at first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.policy_gradient import PolicyGradient, ascend
from modelwright.algorithms.control.returns import generalised_advantages
from modelwright.algorithms.control.rollout import Rollout
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment

__all__ = ["Config", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(PolicyGradient):
    """Advantage actor-critic."""

    optimizer: str = setting("rmsprop", doc="Rule of the update.", choices=("adam", "rmsprop"))
    value_coefficient: float = setting(
        1.0, doc="c_v of the loss; Stable-Baselines3's 0.5 of the squared error.", low=0
    )
    lam: float = setting(1.0, doc="Lambda of generalised advantages.", low=0, high=1)
    report_every: int = setting(50, doc="Updates between steps of the record.", low=1)
    evaluate_every: int = setting(500, doc="Updates between steps that offer the policy.", low=1)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train actors and critics on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for observations that are images, or an environment that breaks its interface.
    """

    def judge(rollout: Rollout, value: NDArray[Any], next_value: NDArray[Any]) -> NDArray[np.float64]:
        advantage = generalised_advantages(
            rollout.reward,
            value,
            next_value,
            rollout.terminated,
            rollout.ended,
            config.gamma,
            config.lam,
        )
        return advantage + value

    yield from ascend("a2c", experience, seeds, config, judge)
