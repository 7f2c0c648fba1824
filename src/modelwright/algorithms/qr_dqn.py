"""QR-DQN: learn quantiles of the return; options: double targets, n steps.

    Z(s, a) = theta_i(s, a) each with probability 1 / N,   Q(s, a) = 1/N sum_i theta_i(s, a)     (1)
    y_j     = R + gamma^m (1 - terminated) theta'_j(s', a*),  a* = argmax_a Q'(s', a)            (2)
    u_ij    = y_j - theta_i,      tau_i = (i + 1/2) / N                                          (3)
    L       = sum_i mean_j |tau_i - 1{u_ij < 0}| H(u_ij) / kappa                                 (4)
    H(u)    = u^2 / 2 for |u| <= kappa, else kappa (|u| - kappa / 2)                             (5)

The loss is least where theta_i is the quantile of y at tau_i (for kappa -> 0; with kappa = 0 exactly,
H / kappa is |u|). R is the discounted sum of m <= n rewards; theta' is a copy of the network that is renewed
every `target_every` updates; with `double`, the network itself chooses a*.

Source: Dabney, Rowland, Bellemare and Munos 2018 (Distributional RL with quantile regression), equations 8
to 10 and algorithm 1. Defaults are those that RL Baselines3 Zoo tuned for CartPole.

A healthy run: `td_error` stays bounded, `crossing` falls below 0.15, `quantile_width` begins near 0 and grows
to the spread of returns, `q_mean` approaches the discounted return and does not exceed it for long.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.distributional import DistributionLearner, Judgement
from modelwright.algorithms.control.greedy import Greedy
from modelwright.algorithms.control.off_policy import interact
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Discrete

__all__ = ["Config", "quantile_loss", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Greedy):
    """Quantiles of the return."""

    total_steps: int = setting(50_000, doc="Environment steps of each seed.", low=1)
    capacity: int = setting(50_000, doc="Steps that each seed's replay keeps.", low=1)
    batch_size: int = setting(64, doc="Steps in a batch of one seed.", low=1)
    learning_starts: int = setting(1000, doc="Environment steps before the first update.", low=1)
    train_every: int = setting(256, doc="Steps of each copy between updates.", low=1)
    updates_each: int = setting(128, doc="Updates at a time.", low=1)
    hidden: tuple[int, ...] = setting((256, 256), doc="Units of each hidden layer.", low=1)
    learning_rate: float = setting(2.3e-3, doc="Size of a step of Adam.", above=0)
    target_every: int = setting(128, doc="Updates after which the target network is renewed.", low=1)
    explore_last: float = setting(0.04, doc="Share of random actions at the end.", low=0, high=1)
    explore_share: float = setting(
        0.16, doc="Part of all steps over which the share of random actions falls.", above=0, high=1
    )
    quantiles: int = setting(10, doc="N of (1).", low=1)
    kappa: float = setting(1.0, doc="Error up to which (5) is squared; 0 for none.", low=0)


def quantile_loss(quantiles: Tensor, target: Tensor, kappa: float) -> Tensor:
    """Return equation (4), (seed, batch).

    Args:
        quantiles: (seed, batch, N) theta.
        target: (seed, batch, M) y.
        kappa: Where squares go over into straight lines.
    """
    count = quantiles.shape[-1]
    tau = (torch.arange(count, dtype=quantiles.dtype) + 0.5) / count
    u = target[..., None, :] - quantiles[..., :, None]  # (3), (seed, batch, N, M)
    size = u.abs()
    if kappa > 0:
        size = torch.where(size <= kappa, size.square() * (0.5 / kappa), size - 0.5 * kappa)  # (5)
    weight = (tau[:, None] - (u < 0).to(u.dtype)).abs()
    return (weight * size).mean(dim=-1).sum(dim=-1)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train networks on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for actions that are values, observations that are images, or an environment that breaks its
            interface.
    """
    with begin("qr_dqn", experience, seeds, config.copies, actions=Discrete) as simulation:
        agent = DistributionLearner("qr_dqn", simulation, seeds, config, _Quantiles(config))
        yield from interact(simulation, config, agent.replay, agent.choose, agent.learn, agent)


class _Quantiles:
    """Equations (1), (2) and (4); a `Rule`."""

    def __init__(self, config: Config) -> None:
        self.numbers, self._kappa = config.quantiles, config.kappa

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.mean(dim=-1)

    def judge(self, outputs: Tensor, following: Tensor, reward: Tensor, discount: Tensor) -> Judgement:
        target = reward[..., None] + discount[..., None] * following  # (2)
        theta = outputs.detach()
        step = theta.diff(dim=-1)
        crossing = (step < 0).to(theta.dtype).sum(dim=-1) / max(1, step.shape[-1])
        return Judgement(
            loss=quantile_loss(outputs, target, self._kappa),
            value=theta.mean(dim=-1),
            target=target.mean(dim=-1),
            signs={"quantile_width": theta.amax(dim=-1) - theta.amin(dim=-1), "crossing": crossing},
        )
