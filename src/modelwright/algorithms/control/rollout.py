"""Experience gathered with the present policy, for learners that use it once and throw it away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.episodes import Episodes
from modelwright.base.errors import BadValue
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import within

__all__ = ["Rollout", "Shuffle", "collect", "take"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rollout:
    """What every copy did and saw; arrays are (seed, step, copy, ...).

    Attributes:
        observation: Acted on.
        action: What was chosen; values outside the bounds of the space are done at the bounds.
        reward: float64.
        successor: The true next observation, also where an episode ended.
        terminated: Whether the task ended with this step.
        ended: Whether the episode ended with this step, for either reason.
        valid: Whether the step happened at all; see `Transition.valid`.
    """

    observation: NDArray[Any]
    action: NDArray[Any]
    reward: NDArray[np.float64]
    successor: NDArray[Any]
    terminated: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    valid: NDArray[np.bool_]


def collect(
    simulation: Simulation,
    steps: int,
    act: Callable[[NDArray[Any]], NDArray[Any]],
    episodes: Episodes,
) -> Rollout:
    """Act for some steps.

    Args:
        simulation: Goes on where it is.
        steps: How many.
        act: Chooses actions (seed, copy, ...) for observations (seed, copy, ...).
        episodes: Counts along.
    """
    seeds, copies = simulation.observation.shape[:2]
    shape = (seeds, steps, copies)
    seen = np.empty((*shape, *simulation.observation.shape[2:]), simulation.observation.dtype)
    after = np.empty_like(seen)
    action = np.empty((*shape, *simulation.action_space.shape), simulation.action_space.dtype)
    reward = np.empty(shape)
    terminated, ended, valid = (np.empty(shape, np.bool_) for _ in range(3))
    for step in range(steps):
        seen[:, step] = simulation.observation
        action[:, step] = chosen = act(simulation.observation)
        found = simulation.step(within(simulation.action_space, chosen))
        episodes.add(found)
        reward[:, step] = found.reward
        after[:, step] = found.successor
        terminated[:, step] = found.terminated
        ended[:, step] = found.ended
        valid[:, step] = True if found.valid is None else found.valid
    return Rollout(
        observation=seen,
        action=action,
        reward=reward,
        successor=after,
        terminated=terminated,
        ended=ended,
        valid=valid,
    )


class Shuffle:
    """Random orders of a rollout's steps, cut into minibatches.

    Steps that never happened (`valid` False) are replaced by random ones that did.

    Args:
        generators: One per seed.
        valid: (seed, step, copy).

    Raises:
        BadValue: where a seed has no step that happened.
    """

    def __init__(self, generators: Sequence[np.random.Generator], valid: NDArray[np.bool_]) -> None:
        self._generators = generators
        self._rows = valid.reshape(len(valid), -1)
        if not self._rows.any(axis=1).all():
            raise BadValue(
                "A rollout has a step of each seed that the environment did not ignore",
                got=f"{self._rows.shape[1]} ignored ones",
                next_step="raise rollout: only one step in two can be a mere new beginning",
            )

    def minibatches(self, count: int) -> list[NDArray[np.int64]]:
        """Return numbers of rows, (seed, row) for each of `count` minibatches of one size.

        Where steps are no multiple of `count`, the rest of the order is left out this time.
        """
        total = self._rows.shape[1]
        order = self._filled(np.stack([generator.permutation(total) for generator in self._generators]))
        size = total // count
        return [order[:, part * size : (part + 1) * size] for part in range(count)]

    def in_order(self) -> NDArray[np.int64]:
        """Return the numbers of all rows as they came, (seed, row)."""
        return self._filled(np.tile(np.arange(self._rows.shape[1]), (len(self._rows), 1)))

    def _filled(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        # Each seed for itself: what one draws must not depend on the holes of another.
        for place, generator in enumerate(self._generators):
            if self._rows[place].all():
                continue
            real, holes = np.flatnonzero(self._rows[place]), ~self._rows[place][order[place]]
            order[place, holes] = generator.choice(real, int(holes.sum()))
        return order


def take(values: Sequence[Tensor], rows: NDArray[np.int64]) -> list[Tensor]:
    """Return each seed's own rows (seed, row, ...) of each of the values (seed, all rows, ...)."""
    seeds, total = values[0].shape[:2]
    flat = torch.from_numpy((rows + np.arange(seeds)[:, None] * total).reshape(-1))
    return [each.flatten(0, 1).index_select(0, flat).unflatten(0, rows.shape) for each in values]
