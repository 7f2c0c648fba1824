"""Q-learning with a table: learn what the best actions are worth while doing others.

    y       = r + gamma max_b Q(s', b)      after termination r alone                            (1)
    Q(s, a) <- Q(s, a) + alpha (y - Q(s, a))                                                     (2)

The action is random with probability epsilon, which falls along a straight line, else argmax_a Q(s, a). An
episode that was cut off has its true last state for s'.

Source: Watkins 1989; Sutton and Barto 2018, section 6.5, equation 6.8.

A healthy run: `visits` rises to the share of pairs that can be reached, `td_error` falls to the noise of
rewards and transitions (to 0 where there is none), `q_max` rises to the largest discounted return and stays.
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

__all__ = ["Config", "q_learning_target", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(TableLearner):
    """Q-learning with a table."""


def q_learning_target(
    reward: NDArray[np.float64], terminated: NDArray[np.bool_], next_q: NDArray[np.float64], gamma: float
) -> NDArray[np.float64]:
    """Return equation (1), (seed, copy), for rewards (seed, copy) and Q(s', .) (seed, copy, action)."""
    return reward + gamma * np.where(terminated, 0.0, next_q.max(axis=-1))


def train(experience: Environment, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Learn a table on every seed's copies of an environment; one step a group of updates.

    Raises:
        BadValue: for an environment whose states or actions are not numbered, or that breaks its interface.
    """
    with begin("q_learning", experience, seeds, config.copies, actions=Discrete) as simulation:
        table = ActionTable("q_learning", simulation, seeds, config)
        episodes = Episodes(len(seeds), config.copies)
        for update in range(1, config.rounds + 1):
            state = simulation.observation
            action = table.explore(state, update)
            found = simulation.step(action)
            episodes.add(found)
            next_q = table.rows(found.successor)
            target = q_learning_target(found.reward, found.terminated, next_q, config.gamma)
            table.move(state, action, target, found.valid)
            if config.reported(update):
                metrics = {**episodes.metrics(), **table.signs()}
                yield Step(update=update, metrics=metrics, policy=table if config.offered(update) else None)
