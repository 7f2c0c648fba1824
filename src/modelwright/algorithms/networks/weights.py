"""The parameters of a cohort, packed so that no seed's numbers depend on its company.

All parameters of one seed lie in one row of one array; every tensor in the row, and so every row, starts at a
multiple of 64 numbers. Vector instructions work on 4 to 16 numbers at a time and treat what is left over
at the end of an array with other instructions, which may round differently: fused Adam does. With rows
that are whole multiples nothing is left over, whatever the number of seeds.
"""

from collections.abc import Mapping
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Weights", "seed_norm"]

_BLOCK = 64


class Weights:
    """Named parameters with a leading seed axis, and their gradients.

    Attributes:
        packed: (seed, packed) float32, every parameter of a seed in one row, gaps filled with zeros. What an
            optimiser changes; its `grad` is the packed gradient.
        slope: Name -> (seed, *shape), the gradient of each parameter; shares memory with the packed gradient.
        named: Name -> (seed, *shape) leaf tensor that shares memory with `packed`.
        arrays: The same as NumPy arrays.

    Args:
        initial: Name -> (seed, *shape) values at the start; copied.
    """

    def __init__(self, initial: Mapping[str, NDArray[np.float32]]) -> None:
        seeds = len(next(iter(initial.values())))
        sizes = [int(np.prod(values.shape[1:])) for values in initial.values()]
        starts = [0, *accumulate(-(-size // _BLOCK) * _BLOCK for size in sizes)]
        self.packed = torch.zeros(seeds, starts[-1])
        self.packed.grad = torch.zeros_like(self.packed)
        self.named: dict[str, Tensor] = {}
        self.slope: dict[str, Tensor] = {}
        self.arrays: dict[str, NDArray[np.float32]] = {}
        self._places: dict[str, slice] = {}
        for (name, values), start, size in zip(initial.items(), starts, sizes, strict=False):
            place = slice(start, start + size)
            self._places[name] = slice(start, start + -(-size // _BLOCK) * _BLOCK)
            self.packed[:, place] = torch.from_numpy(values.reshape(seeds, size))
            self.named[name] = self.packed[:, place].view(values.shape).detach().requires_grad_()
            self.arrays[name] = self.named[name].detach().numpy()
            self.slope[name] = self.gradient[:, place].view(values.shape)

    def copy(self) -> "Weights":
        """Return other parameters with the same values."""
        return Weights(self.state())

    @property
    def gradient(self) -> Tensor:
        """The packed gradient (seed, packed)."""
        assert self.packed.grad is not None
        return self.packed.grad

    def differentiate(self, losses: Tensor) -> None:
        """Set the gradient of every seed to that of the mean of its row of `losses` (seed, batch)."""
        share = torch.full_like(losses, 1.0 / losses.shape[1])
        found = torch.autograd.grad(losses, list(self.named.values()), share)
        for slope, grad in zip(self.slope.values(), found, strict=True):
            slope.copy_(grad)

    def clip_gradient(self, norm: NDArray[np.float64], limit: float) -> None:
        """Scale each seed's gradient down to `limit` where its norm (seed,) is greater."""
        factor = np.minimum(1.0, limit / np.maximum(norm, 1e-12))
        self.gradient.mul_(torch.from_numpy(factor.astype(np.float32))[:, None])

    def norm(self, name: str) -> NDArray[np.float64]:
        """Return the norm of one parameter of each seed, (seed,)."""
        return seed_norm(self.packed[:, self._places[name]])

    def of(self, seed: int) -> dict[str, Tensor]:
        """Return the parameters of one seed, name -> (1, *shape), without gradient."""
        return {name: leaf.detach()[seed : seed + 1] for name, leaf in self.named.items()}

    def state(self) -> dict[str, NDArray[np.float32]]:
        """Return a copy of every parameter, name -> (seed, *shape)."""
        return {name: leaf.detach().numpy().copy() for name, leaf in self.named.items()}


def seed_norm(packed: Tensor) -> NDArray[np.float64]:
    """Return the Euclidean norm of each row of (seed, number), numbers being a multiple of 64.

    Sums run over blocks of 64 and then over blocks: how a longer sum is split depends on the number of rows
    in NumPy, and on the number of threads in torch.
    """
    rows = packed.detach().numpy()
    blocks = rows.reshape(len(rows), -1, _BLOCK)
    return np.sqrt(np.einsum("sbk,sbk->sb", blocks, blocks).astype(np.float64).sum(axis=1))
