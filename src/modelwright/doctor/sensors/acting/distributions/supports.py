"""Atoms of value distributions: evenly spaced numbers that shares are multiplied by."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation
from modelwright.doctor.watch.tensors import without_copies

__all__ = ["Supports"]

Numbers = NDArray[np.float64]

_MULTIPLIES = frozenset(
    {"mul", "__mul__", "rmul", "__rmul__", "matmul", "__matmul__", "rmatmul", "__rmatmul__", "einsum", "mv"}
)
_BOUNDS = ("clamp", "clamp_min", "clip")
_FEWEST = 5
_MOST = 1001
_MOST_LOOKS = 4000
_MOST_FACTORS = 12
_EVEN = 1e-3
_MOST_CROSSWISE = 20
_LEAST_OFF = 0.05
_NEARLY = 0.1


class Supports:
    """Hears products with evenly spaced numbers, and factors that may be discounts.

    Attributes:
        factors: Numbers below one that tensors were multiplied by, in order.
        crosswise: Products of atoms with shares that sum to one along another axis than the atoms' -> places
            of the softmax that made them, each with how many actions and atoms there are.
    """

    def __init__(self) -> None:
        self._known: dict[int, Numbers] = {}
        self._looked: set[tuple[int, int]] = set()
        self._aside: tuple[Any, Place | None] | None = None
        self._made: dict[int, Place | None] = {}
        self.factors: list[float] = []
        self.crosswise: list[tuple[Place | None, int, int]] = []

    def heard(self, operation: Operation) -> None:
        """Look at what is multiplied, and at what shares are made of."""
        if operation.name == "linspace":
            self._made[operation.result.numel()] = operation.place
            return
        if operation.name == "softmax":
            self._aside = (operation.result, operation.place) if _is_aside(operation) else None
            return
        if operation.name in _BOUNDS and self._aside and operation.argument(0, "input") is self._aside[0]:
            self._aside = (operation.result, self._aside[1])
        if operation.name not in _MULTIPLIES or len(self._looked) >= _MOST_LOOKS:
            return
        tensors = [each for each in operation.args[:3] if hasattr(each, "stride") and hasattr(each, "dim")]
        for each in operation.args[:3]:
            if isinstance(each, float) and 0.3 < each < 1.0 and len(self.factors) < _MOST_FACTORS:
                self.factors += [each] if each not in self.factors else []
        if len(tensors) == 2:
            self._look(tensors[0], tensors[1])
            self._look(tensors[1], tensors[0])

    def _look(self, tensor: Any, shares: Any) -> None:
        """Look whether shares are multiplied by evenly spaced numbers along their last axis."""
        if not 1 <= tensor.dim() <= 4 or shares.dim() < 2 or tensor.requires_grad:
            return
        sizes = [size for size, step in zip(tensor.shape, tensor.stride(), strict=True) if size > 1 and step]
        if len(sizes) != 1 or not _FEWEST <= sizes[0] <= _MOST or shares.shape[-1] != sizes[0]:
            return
        aside = self._aside is not None and self._aside[0] is shares
        if not aside and (tensor.data_ptr(), sizes[0]) in self._looked:
            return
        if not (aside or _sums_to_one(shares)):
            return
        self._take(tensor, sizes[0])
        if aside and sizes[0] in self._known and len(self.crosswise) < _MOST_CROSSWISE:
            sums = shares.detach().sum(dim=-1)
            if self._aside and float((sums - 1.0).abs().max()) > _LEAST_OFF:
                self.crosswise.append((self._aside[1], int(shares.shape[-2]), sizes[0]))

    def _take(self, tensor: Any, size: int) -> None:
        key = (tensor.data_ptr(), size)
        if key in self._looked or not tensor.is_floating_point():
            return
        self._looked.add(key)
        numbers = without_copies(tensor)
        steps = np.diff(numbers)
        if steps.min() > 0 and np.ptp(steps) <= _EVEN * float(steps.mean()):
            self._known[len(numbers)] = np.linspace(numbers[0], numbers[-1], len(numbers))

    def place_of(self, places: int) -> Place | None:
        """Return where so many evenly spaced numbers were made."""
        return self._made.get(places)

    def of(self, places: int) -> Numbers | None:
        """Return the atoms, where so many are known."""
        return self._known.get(places)


def _sums_to_one(shares: Any) -> bool:
    first = shares.detach().reshape(-1, shares.shape[-1])[0]
    return float(first.min()) >= 0.0 and abs(float(first.sum()) - 1.0) < _NEARLY


def _is_aside(operation: Operation) -> bool:
    """Return whether a softmax of networks' numbers runs over another axis than the last."""
    axis, result = operation.argument(1, "dim"), operation.result
    return isinstance(axis, int) and result.dim() >= 3 and axis % result.dim() != result.dim() - 1
