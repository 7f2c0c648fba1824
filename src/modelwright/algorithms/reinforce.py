"""REINFORCE with a baseline: the policy gradient in its first form.

    G_t  = r_t + gamma G_{t+1}                                                                   (1)
    A_t  = G_t - V(s_t)                                          V is the baseline               (2)
    L    = mean_t [ -A_t log pi(a_t | s_t) + c_v 1/2 (V(s_t) - G_t)^2 - c_e H(pi(. | s_t)) ]     (3)

One update uses the whole returns of `rollout` steps of every copy. At the end of the stretch, and where an
episode was cut off, gamma V stands for the rewards that would have followed.

Source: Williams 1992; Sutton and Barto, Reinforcement Learning, section 13.4. Differs: many steps an update,
Adam, and standardised advantages by default; the factor gamma^t of the discounted problem is left out, as is
usual.
A healthy run: `relative_entropy` begins near 1 and falls slowly, `explained_variance` rises above 0.5,
`episode_return` rises unevenly: this gradient is right on average and noisy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.policy_gradient import PolicyGradient, ascend
from modelwright.algorithms.control.returns import discounted_returns
from modelwright.algorithms.control.rollout import Rollout
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment

__all__ = ["Config", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(PolicyGradient):
    """REINFORCE with a baseline."""

    rollout: int = setting(256, doc="Steps of each copy between updates.", low=1)
    learning_rate: float = setting(3e-3, doc="Size of a step.", above=0)
    normalize_advantage: bool = setting(True, doc="Whether advantages are standardised in a rollout.")
    entropy_coefficient: float = setting(0.01, doc="c_e of the loss.", low=0)
    evaluate_every: int = setting(10, doc="Updates between steps that offer the policy.", low=1)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train policies and baselines on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for observations that are images, or an environment that breaks its interface.
    """

    def judge(rollout: Rollout, value: NDArray[Any], next_value: NDArray[Any]) -> NDArray[np.float64]:
        return discounted_returns(rollout.reward, rollout.terminated, rollout.ended, next_value, config.gamma)

    yield from ascend("reinforce", experience, seeds, config, judge)
