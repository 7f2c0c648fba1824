"""Deep deterministic policy gradient (DDPG), for actions that are values.

    mu(s)  = middle + scale tanh(f(s))                                                           (1)
    y      = r + gamma (1 - terminated) Q'(s', mu'(s'))                                          (2)
    L_Q    = mean (Q(s, a) - y)^2                                                                (3)
    L_mu   = -mean Q(s, mu(s))                                                                   (4)
    Q'    <- Q' + tau (Q - Q'),  mu' <- mu' + tau (mu - mu')                                     (5)

Acts with mu(s) and normal noise.
Source: Lillicrap et al. 2016, algorithm 1 and equations 5 and 6. Differs: independent normal noise in place
of an Ornstein-Uhlenbeck process, no batch normalisation, no weight decay (as Fujimoto et al. 2018, "our
DDPG").
A healthy run: `q_mean` near the discounted return (DDPG tends to overestimate: `q_mean` above
`value_target_mean` and rising without the return is the sign), `saturation` below 0.9.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.deterministic import Deterministic, DeterministicAgent
from modelwright.algorithms.control.off_policy import interact, make_batch
from modelwright.base.seed import Seed
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Box

__all__ = ["Config", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Deterministic):
    """Deep deterministic policy gradient."""


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Train actors and critics on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for discrete or unbounded actions, observations that are images, or an environment that
            breaks its interface.
    """
    with begin("ddpg", experience, seeds, config.copies, actions=Box) as simulation:
        agent = DeterministicAgent("ddpg", simulation, seeds, config, critics=1)

        def learn(update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
            batch = make_batch(agent.replay.sample(config.batch_size), agent.encode, config.gamma)
            next_q = agent.critics.judge_by_target(batch.successor, agent.target_action(batch.successor))[0]
            target = batch.reward + batch.discount * next_q
            signs = agent.learn_critics(batch, target, reported=reported)
            signs |= agent.learn_actor(batch, reported=reported)
            agent.follow()
            return signs

        yield from interact(simulation, config, agent.replay, agent.choose, learn, agent)
