"""Deep Q-learning (DQN); options: double targets, dueling heads, n-step returns, prioritised replay.

    Q(s, a)  a network; with `dueling`  V(s) + A(s, a) - mean_b A(s, b)                          (1)
    y_t = R_t + gamma^m (1 - terminated) max_a Q'(s_{t+m}, a)                                    (2)
    y_t = R_t + gamma^m (1 - terminated) Q'(s_{t+m}, argmax_a Q(s_{t+m}, a))     with `double`   (3)
    L   = mean_i w_i (y_i - Q(s_i, a_i))^2                                                       (4)

R_t is the discounted sum of m <= n rewards up to the end of the episode; Q' is a copy of Q that is renewed
every `target_every` updates; w_i = 1, or the weights of a prioritised replay. Actions are random with a
probability that falls along a straight line, else argmax_a Q(s, a).

Source: Mnih et al. 2015 (algorithm 1); van Hasselt et al. 2016, equation 4; Wang et al. 2016, equation 9;
Schaul et al. 2016; Sutton 1988 for n steps. Differs: Adam and squared error in place of RMSProp and clipped
error (as CleanRL's classic control; `huber` gives the clipped one). Only termination ends the bootstrap.

A healthy run: `td_error` falls from its first size and stays bounded; `q_mean` approaches the discounted
return and does not exceed it; `target_distance` is a saw-tooth; `replay_age` grows to half the capacity.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.greedy import Greedy, GreedyLearner
from modelwright.algorithms.control.off_policy import interact, make_batch
from modelwright.algorithms.control.vital_signs import row_mean, spread
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Discrete
from modelwright.data.prioritised_replay import PrioritisedReplay
from modelwright.data.replay import Replay

__all__ = ["Config", "double_q_target", "td_target", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Greedy):
    """Deep Q-learning."""

    huber: bool = setting(False, doc="Whether errors beyond 1 count linearly rather than squared.")
    dueling: bool = setting(False, doc="Whether values and advantages have heads of their own, (1).")
    prioritised: bool = setting(False, doc="Whether steps with large errors are drawn more often.")
    priority_power: float = setting(0.6, doc="alpha of the prioritised replay.", low=0, high=1)
    priority_correction: float = setting(
        0.4, doc="beta of the prioritised replay at the start; it rises to 1.", low=0, high=1
    )


def td_target(reward: Tensor, discount: Tensor, next_q: Tensor) -> Tensor:
    """Return equation (2), (seed, batch).

    Args:
        reward: (seed, batch) R_t.
        discount: (seed, batch) gamma^m, 0 where the task terminated.
        next_q: (seed, batch, action) Q' of the successor.
    """
    return reward + discount * next_q.amax(dim=-1)


def double_q_target(reward: Tensor, discount: Tensor, next_q: Tensor, chooser: Tensor) -> Tensor:
    """Return equation (3), (seed, batch); `chooser` is Q of the successor, (seed, batch, action)."""
    best = chooser.argmax(dim=-1, keepdim=True)
    return reward + discount * next_q.gather(-1, best)[..., 0]


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train Q networks on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for actions that are values, observations that are images, or an environment that breaks its
            interface.
    """
    with begin("dqn", experience, seeds, config.copies, actions=Discrete) as simulation:
        agent = _Agent(simulation, seeds, config)
        yield from interact(simulation, config, agent.replay, agent.choose, agent.learn, agent)


class _Agent(GreedyLearner):
    """Networks, replay and exploration of a cohort."""

    def __init__(self, simulation: Simulation, seeds: Sequence[Seed], config: Config) -> None:
        space = simulation.action_space
        assert isinstance(space, Discrete)
        outputs = space.n + 1 if config.dueling else space.n
        super().__init__("dqn", simulation, seeds, config, name="q", outputs=outputs)
        self._config = config
        self.replay: Replay | PrioritisedReplay = (
            PrioritisedReplay(
                simulation, seeds, config.capacity, n_step=config.n_step, alpha=config.priority_power
            )
            if config.prioritised
            else Replay(simulation, seeds, config.capacity, n_step=config.n_step)
        )
        self._updates = config.total_steps / (config.copies * config.train_every) * config.updates_each

    def value(self, outputs: Tensor) -> Tensor:
        """Return equation (1), (seed, batch, action), for what the network gives."""
        if not self._config.dueling:
            return outputs
        value, advantage = outputs[..., :1], outputs[..., 1:]
        return value + advantage - advantage.mean(dim=-1, keepdim=True)

    def slope(self, slope_of_q: Tensor) -> Tensor:
        """Return what (1) makes of the gradient with respect to Q, (seed, batch, output)."""
        if not self._config.dueling:
            return slope_of_q
        whole, mean = slope_of_q.sum(dim=-1, keepdim=True), slope_of_q.mean(dim=-1, keepdim=True)
        return torch.cat([whole, slope_of_q - mean], dim=-1)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """See `base.step.Policy`."""
        outputs = self.network.few(self.online.arrays, self.encode.rows(observation))
        # V(s) is the same for all actions.
        return outputs[..., 1 if self._config.dueling else 0 :].argmax(axis=-1)

    @torch.inference_mode()  # nothing here is differentiated by torch
    def learn(self, update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
        """Do one update, equations (2) to (4)."""
        config = self._config
        weight = None
        if isinstance(self.replay, PrioritisedReplay):
            passed = min(1.0, update / self._updates)
            beta = config.priority_correction + (1.0 - config.priority_correction) * passed
            sample, drawn_weight = self.replay.sample(config.batch_size, beta)
            weight = torch.from_numpy(drawn_weight)
        else:
            sample = self.replay.sample(config.batch_size)
        batch = make_batch(sample, self.encode, config.gamma)
        next_q = self.value(self.target_pass.forward(batch.successor))
        if config.double:
            chooser = self.value(self.online_pass.forward(batch.successor))
            target = double_q_target(batch.reward, batch.discount, next_q, chooser)
        else:
            target = td_target(batch.reward, batch.discount, next_q)
        q = self.value(self.online_pass.forward(batch.observation))
        action = batch.action[..., None]
        of_action = q.gather(-1, action)[..., 0]
        error = target - of_action
        share = 1.0 / config.batch_size
        slope = error.clamp(-1.0, 1.0) * -share if config.huber else error * (-2.0 * share)
        if weight is not None:
            slope *= weight
        of_q = torch.zeros_like(q).scatter_(-1, action, slope[..., None])
        signs = self.descend(self.slope(of_q), update, reported)
        if isinstance(self.replay, PrioritisedReplay):
            self.replay.prioritise(sample.rows, error.numpy())
        if not reported:
            return {}
        loss = _huber(error) if config.huber else error.square()
        return {
            "loss": row_mean(loss if weight is None else loss * weight),
            "td_error": row_mean(error.abs()),
            **spread("q", of_action),
            **spread("value_target", target),
            **signs,
            "replay_age": row_mean(self.replay.age(sample.rows)),
        }


def _huber(error: Tensor) -> Tensor:
    size = error.abs()
    return torch.where(size <= 1.0, 0.5 * error.square(), size - 0.5)
