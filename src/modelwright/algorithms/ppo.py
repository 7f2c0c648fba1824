"""Proximal policy optimisation (PPO), for actions that are chosen and actions that are values.

Gather a stretch of experience with the present policy pi_old, then climb for some epochs, minibatch by
minibatch, while a clipped objective keeps the policy near to pi_old.

    rho_t   = pi(a_t | s_t) / pi_old(a_t | s_t)                                                  (1)
    L_clip  = -min(rho_t A_t, clip(rho_t, 1 - eps, 1 + eps) A_t)                                 (2)
    L_value = 1/2 max((V - G)^2, (V_old + clip(V - V_old, -eps, eps) - G)^2)                     (3)
    L       = mean_t [ L_clip + c_v L_value - c_e H(pi(. | s_t)) ]                               (4)

A_t are generalised advantages, G_t = A_t + V_old(s_t) the values' targets (`returns.py`); advantages are
standardised within each minibatch. An episode that was cut off is worth V of its true last observation.

Source: Schulman et al. 2017, equations 6, 7 and 9; the value's clipping, orthogonal start, annealed rate and
standardised advantages are those of Huang et al. 2022 (The 37 implementation details of PPO). Differs: a
truncated episode's last state is bootstrapped, where common implementations take it for terminal.

A healthy run: `first_ratio_distance` is 0 to within 1e-5, `approx_kl` between 1e-4 and 0.02, `clip_fraction`
below 0.3, `relative_entropy` begins near 1 and falls slowly, `explained_variance` is positive. With
`clip_value` V moves by about eps a rollout, and lags for long where returns are in the tens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.actor_critic import ActorCritic
from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.episodes import Episodes
from modelwright.algorithms.control.returns import generalised_advantages
from modelwright.algorithms.control.rollout import Rollout, Shuffle, collect, take
from modelwright.algorithms.control.vital_signs import (
    explained_variance,
    policy_signs,
    row_max,
    row_mean,
    spread,
    standardised,
    update_ratio,
)
from modelwright.algorithms.networks.adam import Adam
from modelwright.algorithms.networks.weights import seed_norm
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment

__all__ = ["Config", "clipped_loss", "train", "value_loss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Proximal policy optimisation."""

    total_steps: int = setting(100_000, doc="Environment steps of each seed.", low=1)
    copies: int = setting(4, doc="Copies of the environment that each seed steps side by side.", low=1)
    rollout: int = setting(128, doc="Steps of each copy between updates.", low=2)
    minibatches: int = setting(4, doc="Parts into which a rollout is cut, in each epoch anew.", low=1)
    epochs: int = setting(4, doc="How often each rollout is gone through.", low=1)
    learning_rate: float = setting(2.5e-4, doc="Size of a step of Adam.", above=0)
    anneal: bool = setting(True, doc="Whether the learning rate falls to zero along a straight line.")
    gamma: float = setting(0.99, doc="Discount.", low=0, high=1)
    lam: float = setting(0.95, doc="Lambda of generalised advantages.", low=0, high=1)
    clip: float = setting(0.2, doc="eps of (2) and (3).", above=0)
    clip_value: bool = setting(True, doc="Whether (3) clips; without, it is 1/2 (V - G)^2.")
    entropy_coefficient: float = setting(0.01, doc="c_e of (4).", low=0)
    value_coefficient: float = setting(0.5, doc="c_v of (4).", low=0)
    clip_norm: float | None = setting(0.5, doc="Largest norm of a seed's gradient; null for none.", above=0)
    normalize_advantage: bool = setting(True, doc="Whether advantages are standardised in a minibatch.")
    width: int = setting(64, doc="Units of each of the two hidden layers.", low=1)
    evaluate_every: int = setting(
        20, doc="Updates between steps that offer the policy for evaluation.", low=1
    )

    def __post_init__(self) -> None:
        super(Config, self).__post_init__()
        if self.total_steps < self.copies * self.rollout:
            raise BadValue(
                "total_steps hold at least one rollout of every copy",
                got=f"{self.total_steps} for {self.copies} copies of {self.rollout} steps",
                nearest=f"{self.copies * self.rollout}",
            )
        least = 2 if self.normalize_advantage else 1
        if self.copies * self.rollout < least * self.minibatches:
            raise BadValue(
                f"A minibatch has at least {least} of the copies * rollout steps",
                got=f"{self.minibatches} minibatches of {self.copies * self.rollout} steps",
                nearest=f"minibatches {self.copies * self.rollout // least}",
            )


def clipped_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return equation (2) for each step, of the shape of `ratio`."""
    return -torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)


def value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float | None) -> Tensor:
    """Return equation (3) for each step, of the shape of `value`; without `clip`, half the squared error."""
    error = (value - target).square()
    if clip is not None:
        clipped = old_value + (value - old_value).clamp(-clip, clip)
        error = torch.maximum(error, (clipped - target).square())
    return 0.5 * error


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train actors and critics on every seed's copies of an environment; one step a rollout.

    Raises:
        BadValue: for observations that are images, or an environment that breaks its interface.
    """
    with begin("ppo", experience, seeds, config.copies) as simulation:
        agent = ActorCritic("ppo", simulation, seeds, config.width)
        weights = agent.weights
        optimizer = Adam(weights, config.learning_rate, eps=1e-5)
        orders = [seed.generator("minibatch") for seed in seeds]
        episodes = Episodes(len(seeds), config.copies)
        updates = config.total_steps // (config.copies * config.rollout)

        for update in range(1, updates + 1):
            rate = config.learning_rate * (1.0 - (update - 1) / updates if config.anneal else 1.0)
            optimizer.rate = rate
            rollout = collect(simulation, config.rollout, agent.explore, episodes)
            shuffle = Shuffle(orders, rollout.valid)
            batch, judged = _judge(agent, rollout, shuffle, config)

            before = weights.packed.clone()
            signs: list[dict[str, NDArray[np.float64]]] = []
            for _ in range(config.epochs):
                for rows in shuffle.minibatches(config.minibatches):
                    loss, sign = _loss(agent, batch.take(rows), config)
                    agent.differentiate(loss)
                    sign["grad_norm"] = seed_norm(weights.gradient)
                    if config.clip_norm is not None:
                        weights.clip_gradient(sign["grad_norm"], config.clip_norm)
                    optimizer.step()
                    signs.append(sign)

            metrics = {
                **episodes.metrics(),
                **{name: _mean([sign[name] for sign in signs]) for name in signs[0]},
                **judged,
                "first_ratio_distance": signs[0]["ratio_distance"],
                "update_ratio": update_ratio(before, weights.packed),
                "learning_rate": np.full(len(seeds), rate),
            }
            offered = update % config.evaluate_every == 0 or update == updates
            yield Step(update=update, metrics=metrics, policy=agent if offered else None)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Steps of a rollout as rows, (seed, row, ...)."""

    observation: Tensor
    action: Tensor
    old_log_prob: Tensor
    old_value: Tensor
    advantage: Tensor
    target: Tensor

    def take(self, rows: NDArray[np.int64]) -> "_Batch":
        return _Batch(*take([getattr(self, field.name) for field in fields(self)], rows))


@np.errstate(over="ignore", invalid="ignore")  # of a seed that has diverged
def _judge(
    agent: ActorCritic, rollout: Rollout, shuffle: Shuffle, config: Config
) -> tuple[_Batch, dict[str, NDArray[np.float64]]]:
    """Return the rollout with what pi_old and V_old say of it, and vital signs of that."""
    observation, action = agent.encode(rollout.observation), agent.rows(rollout.action)
    shape = rollout.reward.shape
    with torch.no_grad():
        policy, judged = agent.judge(observation)
        log_prob, value = policy.log_prob(action), judged.numpy().copy()
    next_value = agent.value(agent.encode(rollout.successor))
    advantages = generalised_advantages(
        rollout.reward,
        value.reshape(shape),
        next_value.reshape(shape),
        rollout.terminated,
        rollout.ended,
        config.gamma,
        config.lam,
    )
    targets = advantages + value.reshape(shape)
    rows = (len(value), -1)
    batch = _Batch(
        observation=observation,
        action=action,
        old_log_prob=log_prob,
        old_value=torch.from_numpy(value),
        advantage=torch.from_numpy(advantages.astype(np.float32).reshape(rows)),
        target=torch.from_numpy(targets.astype(np.float32).reshape(rows)),
    )
    seen = [each.reshape(len(value), -1) for each in (advantages, targets, value)]
    if not rollout.valid.all():
        order = shuffle.in_order()
        seen = [np.take_along_axis(each, order, axis=1) for each in seen]
    return batch, {
        **spread("advantage", seen[0]),
        **spread("value_target", seen[1]),
        **spread("value", seen[2]),
        "explained_variance": explained_variance(seen[2], seen[1]),
    }


def _loss(agent: ActorCritic, batch: _Batch, config: Config) -> tuple[Tensor, dict[str, NDArray[np.float64]]]:
    """Return equation (4) for each row, (seed, row), and vital signs."""
    now, value = agent.judge(batch.observation)
    log_ratio = now.log_prob(batch.action) - batch.old_log_prob
    ratio = log_ratio.exp()
    advantage = standardised(batch.advantage) if config.normalize_advantage else batch.advantage
    entropy = now.entropy()
    policy = clipped_loss(ratio, advantage, config.clip)
    critic = value_loss(value, batch.old_value, batch.target, config.clip if config.clip_value else None)
    loss = policy + config.value_coefficient * critic - config.entropy_coefficient * entropy
    rho = ratio.detach()
    signs = {
        "policy_loss": row_mean(policy),
        "value_loss": row_mean(critic),
        "entropy": row_mean(entropy),
        "ratio_distance": row_max((rho - 1.0).abs()),
        # Schulman's third estimator: no term is negative, but for rounding.
        "approx_kl": row_mean((rho - 1.0 - log_ratio.detach()).clamp(min=0.0)),
        "clip_fraction": row_mean(((rho - 1.0).abs() > config.clip).float()),
    }
    return loss, signs | policy_signs(now, signs["entropy"])


def _mean(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    # One after another: NumPy sums a stack of lone numbers in another order than one of many.
    return sum(values, np.zeros_like(values[0])) / len(values)
