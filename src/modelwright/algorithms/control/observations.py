"""From what an environment shows to what a network reads."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.base.errors import BadValue
from modelwright.data.environments.space import Discrete, Space

__all__ = ["Encoder"]

_MOST_STATES = 10_000


class Encoder:
    """Turns observations into vectors: numbers as they are, a state's number into a row of the unit matrix.

    Attributes:
        size: Numbers in a vector.

    Args:
        learner: Its name, for messages.
        space: What the environment shows.

    Raises:
        BadValue: for images.
    """

    def __init__(self, learner: str, space: Space) -> None:
        if len(space.shape) > 1:
            raise BadValue(
                f"{learner} reads vectors, and no images",
                got=f"observations of shape {space.shape}",
                next_step="choose an environment that shows a state, or flatten its observations "
                "(gymnasium.wrappers.FlattenObservation)",
            )
        if isinstance(space, Discrete) and space.n > _MOST_STATES:
            raise BadValue(
                f"{learner} reads the number of a state as one of at most {_MOST_STATES:,} inputs",
                got=f"{space.n:,} states",
                next_step="let the environment show what tells states apart, or choose q_learning",
            )
        self._unit = np.eye(space.n, dtype=np.float32) if isinstance(space, Discrete) else None
        self.size = space.n if isinstance(space, Discrete) else int(np.prod(space.shape))

    def __call__(self, observation: NDArray[Any]) -> Tensor:
        """Return float32 vectors (seed, row, feature) of observations (seed, ..., *observation)."""
        return torch.from_numpy(self.rows(observation))

    def rows(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """Return the same as a NumPy array."""
        seeds = len(observation)
        if self._unit is not None:
            return self._unit[observation.reshape(seeds, -1)]
        return observation.reshape(seeds, -1, self.size).astype(np.float32, copy=False)
