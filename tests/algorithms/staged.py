"""Environments of a test's own: any simulation where a learner expects an environment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.data.environments.batched import BatchedSimulation
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.probes import PROBES
from modelwright.data.environments.space import Discrete
from modelwright.data.environments.tabular import Tabular
from modelwright.data.environments.tabular_model import Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged(Environment):
    """An environment that gives the simulation which the test makes."""

    make: Any = setting(doc="Called with seeds and copies, returns a simulation.")

    def simulate(self, seeds: Sequence[Seed], copies: int = 1) -> Any:
        return self.make(seeds, copies)


def by_rules(dynamics: Any, time_limit: int | None = None) -> Staged:
    """Return the environment of some rules."""
    return Staged(
        name="staged", make=lambda seeds, copies: BatchedSimulation(dynamics, seeds, copies, time_limit)
    )


def numbered(probe: str) -> Staged:
    """Return a probe that shows the numbers of its states, for learners with a table."""
    found = PROBES[probe]
    count = len(found.observations)
    # The end of an episode looks like its last state, as in the probe itself.
    seen = np.tile(np.arange(count), 2)
    rules = Tabular(found.dynamics.outcomes, seen, Discrete(n=count))
    return by_rules(rules, found.time_limit)


def chain(rows: Sequence[Sequence[tuple[int | None, float]]], starts: Sequence[float]) -> Outcomes:
    """Return a table by which action a in state s leads to `rows[s][a]`: next state or None, and reward."""
    states, actions = len(rows) + 1, len(rows[0])
    shape = (states, actions, 1)
    made = Outcomes(
        probability=np.ones(shape),
        next=np.full(shape, states - 1),
        reward=np.zeros(shape),
        ended=np.ones(shape, np.bool_),
        initial=np.array([*starts, 0.0]),
    )
    for state, row in enumerate(rows):
        for action, (after, reward) in enumerate(row):
            made.next[state, action, 0] = states - 1 if after is None else after
            made.reward[state, action, 0], made.ended[state, action, 0] = reward, after is None
    return made


class Tampered:
    """A simulation whose transitions are changed on their way."""

    def __init__(self, inner: Any, change: Callable[[Any, int], Any]) -> None:
        self._inner, self._change, self._steps = inner, change, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def step(self, action: Any) -> Any:
        self._steps += 1
        return self._change(self._inner.step(action), self._steps)
