"""SARSA with a table: learn what actions are worth when one goes on as one does, random actions included.

    y       = r + gamma Q(s', a')      a' is what will be done in s'; after termination r alone   (1)
    Q(s, a) <- Q(s, a) + alpha (y - Q(s, a))                                                     (2)

Actions are random with probability epsilon, which falls along a straight line, else argmax_a Q(s, a). Where
an episode was cut off nothing is done in its last state s', and the mean of Q(s', .) over what would be done
there stands for Q(s', a'), as in expected SARSA.

Source: Rummery and Niranjan 1994; Sutton and Barto 2018, section 6.4, equation 6.7; 6.9 for the mean.

A healthy run: as for Q-learning, but with values of the policy that explores: near a cliff they are lower,
and the path that is learnt keeps away from it for as long as epsilon is not small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.action_table import ActionTable, TableLearner
from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.episodes import Episodes
from modelwright.base.seed import Seed
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Discrete

__all__ = ["Config", "sarsa_target", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(TableLearner):
    """SARSA with a table."""


def sarsa_target(
    reward: NDArray[np.float64], terminated: NDArray[np.bool_], next_q: NDArray[np.float64], gamma: float
) -> NDArray[np.float64]:
    """Return equation (1), (seed, copy), for rewards and Q(s', a'), both (seed, copy)."""
    return reward + gamma * np.where(terminated, 0.0, next_q)


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Learn a table on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for an environment whose states or actions are not numbered, or that breaks its interface.
    """
    with begin("sarsa", experience, seeds, config.copies, actions=Discrete) as simulation:
        table = ActionTable("sarsa", simulation, seeds, config)
        episodes = Episodes(len(seeds), config.copies)
        action = table.explore(simulation.observation, 1)
        for update in range(1, config.rounds + 1):
            state = simulation.observation
            found = simulation.step(action)
            episodes.add(found)
            following = table.explore(found.observation, update + 1)
            done = np.take_along_axis(table.rows(found.observation), following[..., None], axis=-1)[..., 0]
            next_q = np.where(found.ended, table.mean(found.successor), done)
            target = sarsa_target(found.reward, found.terminated, next_q, config.gamma)
            table.move(state, action, target, found.valid)
            action = following
            if config.reported(update):
                metrics = {**episodes.metrics(), **table.signs()}
                yield Step(update=update, metrics=metrics, policy=table if config.offered(update) else None)
