"""The exact model of an environment whose states can be listed: what value iteration needs.

    P(s' | s, a)      probability that action a leads from state s to s'
    r(s, a, s')       mean reward of that step
    V*(s) = max_a sum_s' P(s' | s, a) (r(s, a, s') + gamma V*(s'))

A state at which episodes end leads to itself for ever without reward, so that its value is 0 by the same
equation as all others. Source: Sutton and Barto 2018, sections 3.4 and 3.6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.data.environments.table_check import check_table

__all__ = ["Outcomes", "TabularModel", "read_outcomes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularModel:
    """States, actions and their consequences as arrays.

    Attributes:
        probability: (state, action, next) float64; sums to 1 over next states.
        reward: (state, action, next) float64 mean reward of the step, 0 where it cannot happen.
        terminal: (state,) whether an episode ends on arrival; such states lead to themselves, reward 0.
        initial: (state,) float64 probability that an episode starts here.
    """

    probability: NDArray[np.float64]
    reward: NDArray[np.float64]
    terminal: NDArray[np.bool_]
    initial: NDArray[np.float64]

    @property
    def expected_reward(self) -> NDArray[np.float64]:
        """(state, action) mean reward of acting so."""
        return (self.probability * self.reward).sum(axis=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What can follow each action in each state, as a list: how such environments are stepped.

    Attributes:
        probability: (state, action, outcome) float64; 0 for places that the list does not fill.
        next: (state, action, outcome) int64 the state after it.
        reward: (state, action, outcome) float64.
        ended: (state, action, outcome) whether the task ends with it.
        initial: (state,) float64 probability that an episode starts here.
    """

    probability: NDArray[np.float64]
    next: NDArray[np.int64]
    reward: NDArray[np.float64]
    ended: NDArray[np.bool_]
    initial: NDArray[np.float64]

    def model(self) -> TabularModel:
        """Return the exact model; what terminal states are said to lead to is left aside.

        Raises:
            BadValue: where arriving in a state sometimes ends the task and sometimes does not, so that the
                state alone does not say what it is worth. States that no episode can reach do not count.
        """
        states, actions, _ = self.probability.shape
        possible = self.probability > 0
        terminal = np.zeros(states, np.bool_)
        terminal[self.next[possible & self.ended]] = True
        inside = possible & ~terminal[:, None, None]
        goes_on = possible & ~self.ended
        reached = self.initial > 0
        while not np.array_equal(
            reached, more := reached | _marked(states, self.next[reached][goes_on[reached]])
        ):
            reached = more
        mixed = terminal & reached
        if mixed.any():
            raise BadValue(
                "Arriving in a state of a table either always ends the task or never",
                got=f"state {int(np.flatnonzero(mixed)[0])}, which does both",
            )
        probability = np.zeros((states, actions, states))
        total = np.zeros((states, actions, states))
        at = np.nonzero(inside)
        where = (at[0], at[1], self.next[at])
        np.add.at(probability, where, self.probability[at])
        np.add.at(total, where, self.probability[at] * self.reward[at])
        ends = np.flatnonzero(terminal)
        probability[ends, :, ends] = 1.0
        reward = np.divide(total, probability, out=np.zeros_like(total), where=probability > 0)
        return TabularModel(probability=probability, reward=reward, terminal=terminal, initial=self.initial)


def _marked(states: int, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (state,) whether a state's number is among these."""
    marks = np.zeros(states, np.bool_)
    marks[numbers] = True
    return marks


def read_outcomes(environment: Any) -> Outcomes:
    """Return the table of an environment that keeps one as Gymnasium's toy-text environments do.

    Args:
        environment: Has `P`, state -> action -> list of (probability, next state, reward, ended), and
            `initial_state_distrib`, probabilities of first states.

    Raises:
        BadValue: where it has no such table, or one that is no table of probabilities.
    """
    bare = getattr(environment, "unwrapped", environment)
    table: Mapping[int, Mapping[int, list[tuple[float, int, float, bool]]]] | None = getattr(bare, "P", None)
    if table is None or not hasattr(bare, "initial_state_distrib"):
        raise BadValue(
            "An exact model is read from an environment with a table `P` and `initial_state_distrib`",
            got=f"a {type(bare).__name__} without",
            nearest="FrozenLake-v1, FrozenLake8x8-v1, CliffWalking-v1, Taxi-v4",
        )
    check_table(environment, table, bare.initial_state_distrib)
    states, actions = len(table), len(table[0])
    longest = max(len(outcomes) for row in table.values() for outcomes in row.values())
    shape = (states, actions, longest)
    made = Outcomes(
        probability=np.zeros(shape),
        next=np.zeros(shape, np.int64),
        reward=np.zeros(shape),
        ended=np.zeros(shape, np.bool_),
        initial=np.array(bare.initial_state_distrib, np.float64),
    )
    for state, row in table.items():
        for action, outcomes in row.items():
            for place, (probability, after, reward, ended) in enumerate(outcomes):
                here = (state, action, place)
                made.probability[here], made.next[here] = probability, after
                made.reward[here], made.ended[here] = reward, ended
    return made
