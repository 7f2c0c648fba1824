"""Environments of our own whose copies are rows of one array: Gymnasium's numbers, many times faster."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.seed import Seed
from modelwright.data.environments.simulation import Transition
from modelwright.data.environments.space import Space, action_rows

__all__ = ["BatchedSimulation", "Dynamics", "copy_generator"]

_ONE = np.array(1)  # NumPy takes up arrays in half the time of Python's numbers


def copy_generator(seed: Seed, copy: int) -> np.random.Generator:
    """Return the generator of a seed's copy of this number; all that is random in the copy comes from it.

    It is the one that Gymnasium makes of the seed with which a plain copy is reset.
    """
    sequence = np.random.SeedSequence(seed.integer(f"environment/{copy}"))
    return np.random.Generator(np.random.PCG64(sequence))


class Dynamics(Protocol):
    """One environment's rules over rows of states; holds no state itself."""

    @property
    def observation_space(self) -> Space:
        """What is observed."""
        ...

    @property
    def action_space(self) -> Space:
        """What can be done."""
        ...

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        """Return the first state of an episode, (*state,)."""
        ...

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """Return next states (row, *state), rewards (row,) and whether the task ended (row,).

        Args:
            state: (row, *state).
            action: (row, *action).
            generators: One per row, for environments whose steps are random.
        """
        ...

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        """Return observations (row, *observation)."""
        ...


class BatchedSimulation:
    """A `Simulation` whose copies are rows of one array.

    Args:
        dynamics: The rules.
        seeds: One per seed of the cohort.
        copies: Copies per seed.
        time_limit: Steps after which an episode is truncated; None for no limit.
    """

    def __init__(
        self, dynamics: Dynamics, seeds: Sequence[Seed], copies: int, time_limit: int | None
    ) -> None:
        self._dynamics = dynamics
        self._lead = (len(seeds), copies)
        self._limit = np.array(np.iinfo(np.int64).max if time_limit is None else time_limit)
        self._generators = [copy_generator(seed, copy) for seed in seeds for copy in range(copies)]
        self._state = np.stack([dynamics.begin(generator) for generator in self._generators])
        self._elapsed = np.zeros(len(self._generators), np.int64)
        observation = dynamics.observe(self._state)
        self._shape = (*self._lead, *observation.shape[1:])
        self._observation = observation.reshape(self._shape)

    @property
    def observation_space(self) -> Space:
        """See `Simulation`."""
        return self._dynamics.observation_space

    @property
    def action_space(self) -> Space:
        """See `Simulation`."""
        return self._dynamics.action_space

    @property
    def observation(self) -> NDArray[Any]:
        """See `Simulation`."""
        return self._observation

    def step(self, action: NDArray[Any]) -> Transition:
        """See `Simulation`."""
        rows = action_rows(action, self.action_space, self._lead)
        state, reward, terminated = self._dynamics.advance(self._state, rows, self._generators)
        self._elapsed += _ONE
        observation = self._dynamics.observe(state).reshape(self._shape)
        found = Transition(
            observation=observation,
            successor=observation,
            reward=reward.reshape(self._lead),
            terminated=terminated.reshape(self._lead),
            truncated=(self._elapsed >= self._limit).reshape(self._lead),
        )
        if np.count_nonzero(found.ended):
            state = state.copy()
            for row in found.ended.ravel().nonzero()[0]:
                state[row] = self._dynamics.begin(self._generators[row])
                self._elapsed[row] = 0
            found.observation = self._dynamics.observe(state).reshape(self._shape)
        self._state, self._observation = state, found.observation
        return found

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
