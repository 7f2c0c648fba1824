"""Environments of Gymnasium, and of anybody who follows its interface, as a `Simulation`.

Each copy is an environment of its own, reset by this class at the end of an episode: no automatic reset of a
vector environment comes between an action and the observation that followed it.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.data.environments.checked_environment import CheckedEnvironment
from modelwright.data.environments.simulation import Transition
from modelwright.data.environments.space import action_rows

__all__ = ["GymnasiumSimulation"]


class GymnasiumSimulation:
    """A `Simulation` of environments that step one by one.

    A copy is reset with a seed once, from the stream `environment/COPY`, and goes on from there.

    Args:
        make: Makes one environment.
        seeds: One per seed of the cohort.
        copies: Copies per seed.
    """

    def __init__(self, make: Callable[[], CheckedEnvironment], seeds: Sequence[Seed], copies: int) -> None:
        self._lead = (len(seeds), copies)
        self._copies: list[CheckedEnvironment] = []
        try:
            for _ in range(len(seeds) * copies):
                self._copies.append(make())
            self.observation_space = self._copies[0].seen
            self.action_space = self._copies[0].done
            for one in self._copies[1:]:
                for what in ("observation", "action"):
                    ours, first = (getattr(each, f"{what}_space") for each in (one, self._copies[0]))
                    if ours != first:
                        raise BadValue(
                            f"Copies of {one.name} have one {what} space", got=f"{first} and {ours}"[:300]
                        )
            starts = [seed.integer(f"environment/{copy}") for seed in seeds for copy in range(copies)]
            self.observation = self._stacked(
                [one.reset(seed=start)[0] for one, start in zip(self._copies, starts, strict=True)]
            )
        except BaseException:
            self.close()
            raise

    def step(self, action: NDArray[Any]) -> Transition:
        """See `Simulation`."""
        rows = action_rows(action, self.action_space, self._lead)
        count = len(self._copies)
        reward = np.empty(count)
        terminated, truncated = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        after: list[NDArray[Any]] = []
        for row, (copy, one) in enumerate(zip(self._copies, rows, strict=True)):
            seen, reward[row], terminated[row], truncated[row], _ = copy.step(one)
            after.append(seen)
        successor = observation = self._stacked(after)
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            for row in ended:
                after[row] = self._copies[row].reset()[0]
            observation = self._stacked(after)
        self.observation = observation
        return Transition(
            observation=observation,
            successor=successor,
            reward=reward.reshape(self._lead),
            terminated=terminated.reshape(self._lead),
            truncated=truncated.reshape(self._lead),
        )

    def close(self) -> None:
        """Close every copy; what one raises while it closes is nobody's loss."""
        copies, self._copies = self._copies, []
        for copy in copies:
            with contextlib.suppress(Exception):
                copy.close()

    def _stacked(self, rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(list(rows)).reshape(*self._lead, *self.observation_space.shape)
