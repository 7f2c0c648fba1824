"""What learners share that plan in a known model rather than act: the backup, the best actions, the policy.

    Q(s, a) = sum_s' P(s' | s, a) (r(s, a, s') + gamma V(s'))                                    (1)

Nothing is random, so every seed of a cohort has the same numbers; they are computed once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.begin import begin
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.exact_model import exact_model
from modelwright.data.environments.space import Discrete
from modelwright.data.environments.tabular_model import TabularModel

__all__ = ["Plan", "action_values", "demand_numbers", "find_model", "greedy"]

_ROUNDING = 1e-12


class Plan:
    """The policy that does what is best by a table; see `base.step.Policy`.

    Args:
        q: (state, action).
        value: (state,).
        action: (state,) what is done in each state.
        seeds: How many seeds share it.
    """

    def __init__(
        self, q: NDArray[np.float64], value: NDArray[np.float64], action: NDArray[np.int64], seeds: int
    ) -> None:
        self._q, self._value, self._action, self._seeds = q, value, action, seeds

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Return actions (seed, copy) for numbers of states (seed, copy)."""
        return self._action[observation]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return `q` (seed, state, action), `value` and `action` (seed, state)."""
        parts = {"q": self._q, "value": self._value, "action": self._action}
        return {name: np.repeat(part[None], self._seeds, axis=0) for name, part in parts.items()}


def find_model(learner: str, environment: Environment, seeds: Sequence[Seed]) -> TabularModel:
    """Return the exact model of what was given as experience.

    Raises:
        BadValue: where it is no environment, or one whose states or actions are not numbered, or one without
            a table.
    """
    with begin(learner, environment, seeds, 1, actions=Discrete) as simulation:
        demand_numbers(learner, simulation.observation_space)
    return exact_model(environment)


def demand_numbers(learner: str, space: object) -> int:
    """Return how many states there are where what is observed is the number of the state.

    Raises:
        BadValue: where something else is observed.
    """
    if not isinstance(space, Discrete):
        raise BadValue(
            f"{learner} keeps a table with a row for each numbered state",
            got=f"observations of shape {getattr(space, 'shape', None)}",
            nearest="dqn or ppo for vectors; FrozenLake-v1 or CliffWalking-v1 for tables",
        )
    return space.n


def action_values(model: TabularModel, value: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """Return equation (1), (state, action), for values (state,)."""
    # Not `@`: how a library cuts a product into threads may change its last bits.
    return model.expected_reward + gamma * np.einsum("sat,t->sa", model.probability, value)


def greedy(q: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the best action of each state, (state,); of equally good ones, to within rounding, the first."""
    best = q.max(axis=1, keepdims=True)
    return np.argmax(q >= best - _ROUNDING * np.maximum(1.0, np.abs(best)), axis=1)
