"""Soft actor-critic (SAC) with automatic temperature, for actions that are values.

    u ~ N(mu(s), sigma(s)^2),  a = middle + scale tanh(u)
    log pi(a | s) = sum_j [ log N(u_j) - log(scale_j (1 - tanh(u_j)^2)) ]                        (1)
    y      = r + gamma (1 - terminated) (min_k Q'_k(s', a') - alpha log pi(a' | s')),  a' ~ pi   (2)
    L_Q    = sum_k mean (Q_k(s, a) - y)^2                                                        (3)
    L_pi   = mean (alpha log pi(a | s) - min_k Q_k(s, a)),  a ~ pi                               (4)
    L_temp = mean (-alpha (log pi(a | s) + H_target)),  H_target = -(numbers in an action)       (5)
    Q'    <- Q' + tau (Q - Q')                                                                   (6)

Two critics k = 1, 2. 1 - tanh(u)^2 is computed as exp(2 (log 2 - |u| - log(1 + exp(-2 |u|)))): nothing is
added to keep the logarithm finite. log sigma is squashed into [-5, 2].

Source: Haarnoja et al. 2018 (Soft Actor-Critic Algorithms and Applications), equations 5 to 7, 17 and 18, and
appendix C for (1). Networks, rates and the bounds of log sigma are CleanRL's; actor and temperature are
updated as often as the critics.

A healthy run: `entropy` falls towards H_target and stays there; `temperature` falls, then levels; `q_mean`
near the discounted return, and `td_error` well below its spread; both critics close to one another.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.continuous import ActionRange, Continuous, Critics
from modelwright.algorithms.control.distributions import DiagonalNormal
from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.control.off_policy import Batch, interact, make_batch
from modelwright.algorithms.control.vital_signs import row_mean, spread, update_ratio
from modelwright.algorithms.networks.adam import Adam
from modelwright.algorithms.networks.dense import Dense, Pass
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Box
from modelwright.data.replay import Replay

__all__ = ["Config", "actor_loss", "soft_target", "squashed_log_prob", "temperature_loss", "train"]

_LOWEST, _HIGHEST = -5.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Continuous):
    """Soft actor-critic."""

    actor_rate: float = setting(3e-4, doc="Size of a step of Adam for the actor.", above=0)
    critic_rate: float = setting(1e-3, doc="Size of a step of Adam for critics and temperature.", above=0)
    temperature: float | None = setting(
        None, doc="alpha, where it shall stay fixed; null learns it.", above=0
    )
    target_entropy: float | None = setting(None, doc="H_target in nats; null for minus the action's size.")


def squashed_log_prob(normal: DiagonalNormal, u: Tensor, scale: Tensor) -> Tensor:
    """Return equation (1), (seed, batch), of the action middle + scale tanh(u).

    Args:
        normal: Density of u.
        u: (seed, batch, action) before squashing.
        scale: (action,) half the width of the range.
    """
    # log(1 - tanh(u)^2), exact also where tanh(u) rounds to one; its slope at 0 is 0, as it should be.
    size = u.abs()
    log_slope = 2.0 * (math.log(2.0) - size - torch.log1p((-2.0 * size).exp()))
    return normal.log_prob(u) - (log_slope + scale.log()).sum(dim=-1)


def soft_target(
    reward: Tensor, discount: Tensor, next_q: Tensor, next_log_prob: Tensor, alpha: Tensor
) -> Tensor:
    """Return equation (2), (seed, batch).

    Args:
        reward: (seed, batch).
        discount: (seed, batch) gamma, 0 where the task terminated.
        next_q: (critic, seed, batch) Q'_k of successor and new action.
        next_log_prob: (seed, batch) of the new action.
        alpha: (seed, 1) temperature.
    """
    return reward + discount * (next_q.amin(dim=0) - alpha * next_log_prob)


def actor_loss(q: Tensor, log_prob: Tensor, alpha: Tensor) -> Tensor:
    """Return equation (4) for each row, (seed, batch); `q` is (critic, seed, batch), `alpha` (seed, 1)."""
    return alpha * log_prob - q.amin(dim=0)


def temperature_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Return equation (5) for each row, (seed, batch); `log_alpha` is (seed, 1), `log_prob` a constant."""
    return -log_alpha.exp() * (log_prob.detach() + target_entropy)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train actors and critics on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for discrete or unbounded actions, observations that are images, or an environment that
            breaks its interface.
    """
    with begin("sac", experience, seeds, config.copies, actions=Box) as simulation:
        agent = _Agent(simulation, seeds, config)
        yield from interact(simulation, config, agent.replay, agent.choose, agent.learn, agent)


class _Agent:
    """Actor, critics, temperature and replay of a cohort."""

    def __init__(self, simulation: Simulation, seeds: Sequence[Seed], config: Config) -> None:
        space = simulation.action_space
        assert isinstance(space, Box)
        copies = simulation.observation.shape[1]
        self._config = config
        self.replay = Replay(simulation, seeds, min(config.capacity, config.total_steps + copies))
        self._encode = Encoder("sac", simulation.observation_space)
        self._range = ActionRange(space, seeds, copies)
        size, seen = self._range.size, self._encode.size
        actor = Dense(name="actor", sizes=(seen, *config.hidden, 2 * size), activation="relu")
        self._actor_weights = Weights(actor.uniform(seeds))
        self._actor_pass = Pass(actor, self._actor_weights)
        self._critics = Critics(seeds, seen, size, config.hidden, 2)
        start = math.log(config.temperature) if config.temperature is not None else 0.0
        self._temperature = Weights({"log_alpha": np.full((len(seeds), 1), start, np.float32)})
        self._target_entropy = -float(size) if config.target_entropy is None else config.target_entropy
        self._actor_step = Adam(self._actor_weights, config.actor_rate)
        self._critic_step = Adam(self._critics.weights, config.critic_rate)
        self._temperature_step = Adam(self._temperature, config.critic_rate)
        self._acting = Noise(seeds, "action", (copies, size), "normal")
        self._learning = Noise(seeds, "policy", (2, config.batch_size, size), "normal", block=1)

    def _policy(self, outputs: Tensor) -> DiagonalNormal:
        mean, squashed = outputs.chunk(2, dim=-1)
        return DiagonalNormal(mean, _LOWEST + 0.5 * (_HIGHEST - _LOWEST) * (torch.tanh(squashed) + 1.0))

    def _see(self, observation: NDArray[Any]) -> DiagonalNormal:
        return self._policy(self._actor_pass.forward(self._encode(observation)))

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """See `base.step.Policy`."""
        return self._range(torch.tanh(self._see(observation).mean)).numpy()

    def choose(self, observation: NDArray[Any], steps: int) -> NDArray[Any]:
        """Return actions drawn from pi; uniform ones before learning starts."""
        if steps < self._config.learning_starts:
            return self._range.anywhere()
        u = self._see(observation).sample(torch.from_numpy(self._acting.draw()))
        return self._range(torch.tanh(u)).numpy()

    def state(self) -> dict[str, NDArray[Any]]:
        """See `base.step.Policy`."""
        return {**self._actor_weights.state(), **self._critics.state(), **self._temperature.state()}

    def learn(self, update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
        """Do one update, equations (2) to (6)."""
        batch = make_batch(self.replay.sample(self._config.batch_size), self._encode, self._config.gamma)
        noise = torch.from_numpy(self._learning.draw())
        before = self._critics.weights.packed.clone() if reported else self._critics.weights.packed
        signs = self._learn_critics(batch, noise[:, 0], reported)
        signs |= self._learn_actor(batch, noise[:, 1], reported)
        self._critics.target.packed.lerp_(self._critics.weights.packed, self._config.tau)
        if reported:
            online, target = self._critics.weights.packed, self._critics.target.packed
            signs["update_ratio"] = self._critics.ratio(before, online)
            signs["target_distance"] = self._critics.ratio(target, online)
            signs["replay_age"] = row_mean(self.replay.age(batch.rows))
        return signs

    def _learn_critics(self, batch: Batch, noise: Tensor, reported: bool) -> dict[str, NDArray[np.float64]]:
        critics = self._critics
        with torch.no_grad():
            normal = self._policy(self._actor_pass.forward(batch.successor))
            u = normal.sample(noise)
            next_log_prob = squashed_log_prob(normal, u, self._range.scale)
            next_q = critics.judge_by_target(batch.successor, self._range(torch.tanh(u)))
            alpha = self._temperature.named["log_alpha"].exp()
            target = soft_target(batch.reward, batch.discount, next_q, next_log_prob, alpha)
        q = critics.judge(batch.observation, batch.action)
        error = target - q
        critics.differentiate(error.square())
        self._critic_step.step()
        if not reported:
            return {}
        return {
            "critic_loss": row_mean(error.detach().square().sum(dim=0)),
            "td_error": row_mean(error.detach().abs().amax(dim=0)),
            "critic_gap": row_mean((q[0] - q[1]).abs()),
            **spread("q", q.amin(dim=0)),
            **spread("value_target", target),
            "critic_grad_norm": critics.per_seed(seed_norm(critics.weights.gradient)),
        }

    def _learn_actor(self, batch: Batch, noise: Tensor, reported: bool) -> dict[str, NDArray[np.float64]]:
        outputs = self._actor_pass.judge(batch.observation)
        normal = self._policy(outputs)
        u = normal.sample(noise)
        log_prob, action = squashed_log_prob(normal, u, self._range.scale), self._range(torch.tanh(u))
        q = self._critics.judge(batch.observation, action.detach())
        log_alpha = self._temperature.named["log_alpha"]
        loss = actor_loss(q, log_prob, log_alpha.detach().exp())
        # The actor climbs the critics through its actions and does not change them.
        of_action, share = self._critics.slope_of_action(loss), torch.full_like(loss, 1.0 / loss.shape[1])
        (slope,) = torch.autograd.grad([loss, action], outputs, [share, of_action])
        self._actor_pass.backward(slope)
        before = self._actor_weights.packed.clone() if reported else self._actor_weights.packed
        self._actor_step.step()
        if self._config.temperature is None:
            self._temperature.differentiate(temperature_loss(log_alpha, log_prob, self._target_entropy))
            self._temperature_step.step()
        if not reported:
            return {}
        return {
            "actor_loss": row_mean(loss),
            "entropy": -row_mean(log_prob),
            "kl_to_uniform": row_mean(log_prob) + float((2.0 * self._range.scale).log().sum()),
            "saturation": row_mean((torch.tanh(u.detach()).abs() > 0.99).float()),
            "temperature": row_mean(log_alpha.detach().exp()),
            "actor_grad_norm": seed_norm(self._actor_weights.gradient),
            "actor_update_ratio": update_ratio(before, self._actor_weights.packed),
        }
