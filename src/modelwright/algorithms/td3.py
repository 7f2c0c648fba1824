"""Twin delayed deterministic policy gradient (TD3), for actions that are values.

    mu(s)  = middle + scale tanh(f(s))                                                           (1)
    a'     = clip(mu'(s') + clip(N(0, (scale sigma)^2), -scale c, scale c), low, high)           (2)
    y      = r + gamma (1 - terminated) min_k Q'_k(s', a')                                       (3)
    L_Q    = sum_k mean (Q_k(s, a) - y)^2                                                        (4)
    L_mu   = -mean Q_1(s, mu(s))                                 every `policy_every`-th update  (5)
    Q'    <- Q' + tau (Q - Q'),  mu' <- mu' + tau (mu - mu')     as often as (5)                 (6)

Three mends of DDPG: the smaller of two critics against overestimation, noise on the target's action against
narrow peaks of Q, and an actor that moves less often than what it climbs.
Source: Fujimoto, van Hoof and Meger 2018, algorithm 1, equations 10 and 14.
A healthy run: `q_mean` at or below the discounted return, `td_error` well below the spread of targets,
`saturation` below 0.9.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.deterministic import ACTOR_SIGNS, Deterministic, DeterministicAgent
from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.off_policy import interact, make_batch
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Box

__all__ = ["Config", "train", "twin_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Deterministic):
    """Twin delayed deterministic policy gradient."""

    policy_every: int = setting(2, doc="Updates of the critics between updates of the actor.", low=1)
    smoothing: float = setting(
        0.2, doc="sigma of (2): deviation of the noise on the target's action, in halves of the range.", low=0
    )
    smoothing_clip: float = setting(0.5, doc="c of (2): largest such noise, in halves of the range.", low=0)


def twin_target(reward: Tensor, discount: Tensor, next_q: Tensor) -> Tensor:
    """Return equation (3), (seed, batch).

    Args:
        reward: (seed, batch).
        discount: (seed, batch) gamma, 0 where the task terminated.
        next_q: (critic, seed, batch) Q'_k of successor and smoothed action.
    """
    return reward + discount * next_q.amin(dim=0)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train actors and critics on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for discrete or unbounded actions, observations that are images, or an environment that
            breaks its interface.
    """
    with begin("td3", experience, seeds, config.copies, actions=Box) as simulation:
        agent = DeterministicAgent("td3", simulation, seeds, config, critics=2)
        shape = (config.batch_size, agent.range.size)
        noise = Noise(seeds, "smoothing", shape, "normal", block=1)
        # Those of its last move: the actor may rest when a step is reported.
        actor_signs: dict[str, NDArray[np.float64]] = {
            name: np.full(len(seeds), np.nan) for name in ACTOR_SIGNS
        }

        def learn(update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
            batch = make_batch(agent.replay.sample(config.batch_size), agent.encode, config.gamma)
            bent = (config.smoothing * torch.from_numpy(noise.draw())).clamp(
                -config.smoothing_clip, config.smoothing_clip
            )
            action = agent.range.clip(agent.target_action(batch.successor) + agent.range.scale * bent)
            next_q = agent.critics.judge_by_target(batch.successor, action)
            target = twin_target(batch.reward, batch.discount, next_q)
            signs = agent.learn_critics(batch, target, reported=reported)
            if update % config.policy_every == 0:
                actor_signs.update(agent.learn_actor(batch, reported=True))
                agent.follow()
            return signs | actor_signs if reported else signs

        yield from interact(simulation, config, agent.replay, agent.choose, learn, agent)
