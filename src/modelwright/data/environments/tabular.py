"""Environments whose states can be listed, stepped by their table of outcomes.

FrozenLake-v1 (a lake of 4 x 4 squares; every step slips to one of three sides, reward 1 at the goal, at most
100 steps, best mean return 0.744), FrozenLake8x8-v1 (8 x 8, 200 steps, 0.913), CliffWalking-v1 (Sutton and
Barto 2018, example 6.6: -1 a step, -100 for the cliff, best -13, no limit), CliffWalkingSlippery-v1 (-64.7)
and Taxi-v4 (Dietterich 2000; 200 steps, best mean return 7.93). Gymnasium keeps their tables; here they are
read from it, and only the stepping is ours. An outcome is drawn as Gymnasium draws it: the first whose
cumulative probability is above a uniform number.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.space import Discrete, Space
from modelwright.data.environments.tabular_model import Outcomes, read_outcomes

__all__ = ["Tabular", "gymnasium_table"]


def gymnasium_table(name: str) -> "Tabular":
    """Return the rules of Gymnasium's environment of this name, which has a table."""
    import gymnasium

    return Tabular(read_outcomes(gymnasium.make(name)))


class Tabular:
    """A `Dynamics` made of a table.

    Args:
        outcomes: The table.
        seen: (state, *observation) what is observed in each state; left out, its number.
        space: The space of `seen`.
    """

    def __init__(
        self, outcomes: Outcomes, seen: NDArray[Any] | None = None, space: Space | None = None
    ) -> None:
        states, actions, _ = outcomes.probability.shape
        self.outcomes = outcomes
        self.observation_space: Space = space or Discrete(n=states)
        self.action_space: Space = Discrete(n=actions)
        self._seen = np.arange(states) if seen is None else seen
        self._first = np.cumsum(outcomes.initial)
        self._cumulative = np.cumsum(outcomes.probability, axis=2)

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return the number of a first state, of shape ()."""
        return np.array(np.argmax(self._first > generator.random()))

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """See `Dynamics`."""
        uniform = np.array([generator.random() for generator in generators])
        outcome = np.argmax(self._cumulative[state, action] > uniform[:, None], axis=1)
        at, table = (state, action, outcome), self.outcomes
        return table.next[at], table.reward[at], table.ended[at]

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return what is observed in each state."""
        return self._seen[state]
