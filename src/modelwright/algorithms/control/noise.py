"""Random numbers for a cohort, one draw after another, each seed from a stream of its own.

Drawing for one seed and one step at a time would cost more than what is done with the numbers, so blocks of
steps are drawn at once. What a seed gets depends on its stream alone.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelwright.base.seed import Seed

__all__ = ["Noise"]


class Noise:
    """An endless stream of arrays (seed, *shape) of float32.

    Args:
        seeds: One per seed.
        stream: Name of the stream of each seed that is drawn from.
        shape: What each seed gets at a time.
        kind: `uniform` in [0, 1), or `normal` with mean 0 and deviation 1.
        block: Draws that are made at once.
    """

    def __init__(
        self,
        seeds: Sequence[Seed],
        stream: str,
        shape: tuple[int, ...],
        kind: Literal["uniform", "normal"],
        *,
        block: int = 256,
    ) -> None:
        self._generators = [seed.generator(stream) for seed in seeds]
        self._shape = shape
        self._kind = kind
        self._block = np.empty((block, len(seeds), *shape), np.float32)
        self._next = block

    def draw(self) -> NDArray[np.float32]:
        """Return the next numbers, (seed, *shape)."""
        if self._next == len(self._block):
            self._block, self._next = self.draw_block(), 0
        self._next += 1
        return self._block[self._next - 1]

    def draw_block(self) -> NDArray[np.float32]:
        """Return what as many draws as a block has would return, (draw, seed, *shape)."""
        block = np.empty_like(self._block)
        for place, generator in enumerate(self._generators):
            size = (len(block), *self._shape)
            if self._kind == "uniform":
                block[:, place] = generator.random(size, np.float32)
            else:
                block[:, place] = generator.standard_normal(size, np.float32)
        return block
