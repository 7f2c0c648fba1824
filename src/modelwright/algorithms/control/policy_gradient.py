"""One step up the policy gradient for each stretch of experience: what REINFORCE and A2C share.

    L = mean_t [ -A_t log pi(a_t | s_t) + c_v 1/2 (V(s_t) - G_t)^2 - c_e H(pi(. | s_t)) ]        (1)

They differ in what A_t and G_t are, which stands in their own files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.actor_critic import ActorCritic
from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.episodes import Episodes
from modelwright.algorithms.control.rollout import Rollout, Shuffle, collect, take
from modelwright.algorithms.control.vital_signs import (
    explained_variance,
    policy_signs,
    row_mean,
    spread,
    standardised,
    update_ratio,
)
from modelwright.algorithms.networks.weights import seed_norm
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment

__all__ = ["Judge", "PolicyGradient", "ascend"]

Judge = Callable[[Rollout, NDArray[Any], NDArray[Any]], NDArray[np.float64]]
"""Returns targets G (seed, step, copy) for a rollout, V of its observations and V of its successors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGradient(Settings):
    """The part of a configuration that REINFORCE and A2C share."""

    total_steps: int = setting(100_000, doc="Environment steps of each seed.", low=1)
    copies: int = setting(8, doc="Copies of the environment that each seed steps side by side.", low=1)
    rollout: int = setting(5, doc="Steps of each copy between updates.", low=1)
    optimizer: str = setting("adam", doc="Rule of the update.", choices=("adam", "rmsprop"))
    learning_rate: float = setting(7e-4, doc="Size of a step.", above=0)
    anneal: bool = setting(False, doc="Whether the learning rate falls to zero along a straight line.")
    gamma: float = setting(0.99, doc="Discount.", low=0, high=1)
    entropy_coefficient: float = setting(0.0, doc="c_e of the loss.", low=0)
    value_coefficient: float = setting(0.5, doc="c_v of the loss.", low=0)
    clip_norm: float | None = setting(0.5, doc="Largest norm of a seed's gradient; null for none.", above=0)
    normalize_advantage: bool = setting(False, doc="Whether advantages are standardised in a rollout.")
    width: int = setting(64, doc="Units of each of the two hidden layers.", low=1)
    report_every: int = setting(1, doc="Updates between steps of the record.", low=1)
    evaluate_every: int = setting(100, doc="Updates between steps that offer the policy.", low=1)

    def __post_init__(self) -> None:
        super(PolicyGradient, self).__post_init__()
        if self.total_steps < self.copies * self.rollout:
            raise BadValue(
                "total_steps hold at least one rollout of every copy",
                got=f"{self.total_steps} for {self.copies} copies of {self.rollout} steps",
                nearest=f"{self.copies * self.rollout}",
            )
        if self.copies * self.rollout < 2 and self.normalize_advantage:
            raise BadValue(
                "Advantages are standardised among at least two steps",
                got=f"copies {self.copies}, rollout {self.rollout}",
                next_step="raise rollout, or set normalize_advantage to false",
            )


def ascend(
    learner: str, environment: Environment, seeds: Sequence[Seed], config: PolicyGradient, judge: Judge
) -> Iterator[Step]:
    """Train actors and critics on every seed's copies of an environment; one step a group of updates.

    Args:
        learner: Its name, for messages.
        environment: What it learns in.
        seeds: One per seed of the cohort.
        config: How.
        judge: Gives the targets.
    """
    with begin(learner, environment, seeds, config.copies) as simulation:
        agent = ActorCritic(learner, simulation, seeds, config.width)
        weights = agent.weights
        optimizer = _optimizer(config, weights.packed)
        orders = [seed.generator("minibatch") for seed in seeds]
        episodes = Episodes(len(seeds), config.copies)
        updates = config.total_steps // (config.copies * config.rollout)
        for update in range(1, updates + 1):
            rate = config.learning_rate * (1.0 - (update - 1) / updates if config.anneal else 1.0)
            optimizer.param_groups[0]["lr"] = rate
            rollout = collect(simulation, config.rollout, agent.explore, episodes)
            observation, action = agent.encode(rollout.observation), agent.rows(rollout.action)
            shape = rollout.reward.shape
            value = agent.value(observation).reshape(shape)
            next_value = agent.value(agent.encode(rollout.successor)).reshape(shape)
            target = judge(rollout, value, next_value)
            value, target = value.reshape(len(seeds), -1), target.reshape(len(seeds), -1)
            if not rollout.valid.all():
                # Steps that never happened give way to others of the rollout.
                rows = Shuffle(orders, rollout.valid).in_order()
                observation, action = take([observation, action], rows)
                value, target = (np.take_along_axis(each, rows, axis=1) for each in (value, target))
            advantage = target - value
            with np.errstate(over="ignore"):  # of a seed that has diverged
                a, g = (torch.from_numpy(each.astype(np.float32)) for each in (advantage, target))
            if config.normalize_advantage:
                a = standardised(a)
            now, v = agent.judge(observation)
            entropy = now.entropy()
            policy = -a * now.log_prob(action)
            critic = 0.5 * (v - g).square()
            agent.differentiate(
                policy + config.value_coefficient * critic - config.entropy_coefficient * entropy
            )
            reported = update % config.report_every == 0 or update == updates
            norm = seed_norm(weights.gradient)
            if config.clip_norm is not None:
                weights.clip_gradient(norm, config.clip_norm)
            before = weights.packed.clone() if reported else weights.packed
            optimizer.step()
            if not reported:
                continue
            metrics = {
                **episodes.metrics(),
                "policy_loss": row_mean(policy),
                "value_loss": row_mean(critic),
                "entropy": row_mean(entropy),
                **spread("advantage", advantage),
                **spread("value_target", target),
                **spread("value", value),
                "explained_variance": explained_variance(value, target),
                "grad_norm": norm,
                "update_ratio": update_ratio(before, weights.packed),
                "learning_rate": np.full(len(seeds), rate),
            }
            metrics |= policy_signs(now, metrics["entropy"])
            offered = update % config.evaluate_every < config.report_every or update == updates
            yield Step(update=update, metrics=metrics, policy=agent if offered else None)


def _optimizer(config: PolicyGradient, packed: Tensor) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam([packed], lr=config.learning_rate, eps=1e-5, fused=True)
    return torch.optim.RMSprop([packed], lr=config.learning_rate, alpha=0.99, eps=1e-5)
