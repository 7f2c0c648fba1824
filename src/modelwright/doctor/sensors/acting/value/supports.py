"""Atoms of value distributions: evenly spaced numbers that shares are multiplied by."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.way import Fit
from modelwright.doctor.watch.sensor import Operation

__all__ = ["Supports"]

Numbers = NDArray[np.float64]

_MULTIPLIES = frozenset(
    {"mul", "__mul__", "rmul", "__rmul__", "matmul", "__matmul__", "rmatmul", "__rmatmul__", "einsum", "mv"}
)
_FEWEST = 5
_MOST = 1001
_MOST_LOOKS = 4000
_MOST_FACTORS = 12
_EVEN = 1e-3


class Supports:
    """Hears products with evenly spaced numbers, and factors that may be discounts.

    Attributes:
        factors: Numbers below one that tensors were multiplied by, in order.
    """

    def __init__(self) -> None:
        self._known: dict[int, Numbers] = {}
        self._looked: set[tuple[int, int]] = set()
        self.factors: list[float] = []

    def heard(self, operation: Operation) -> None:
        """Look at what is multiplied."""
        if operation.name not in _MULTIPLIES or len(self._looked) >= _MOST_LOOKS:
            return
        for each in operation.args[:3]:
            if isinstance(each, float):
                if 0.3 < each < 1.0 and len(self.factors) < _MOST_FACTORS and each not in self.factors:
                    self.factors.append(each)
            elif hasattr(each, "stride") and hasattr(each, "dim") and 1 <= each.dim() <= 4:
                self._look(each)

    def _look(self, tensor: Any) -> None:
        sizes = [size for size, step in zip(tensor.shape, tensor.stride(), strict=True) if size > 1 and step]
        if len(sizes) != 1 or not _FEWEST <= sizes[0] <= _MOST or tensor.requires_grad:
            return
        key = (tensor.data_ptr(), sizes[0])
        if key in self._looked or not tensor.is_floating_point():
            return
        self._looked.add(key)
        small = tensor.detach()
        for axis in reversed(range(small.dim())):
            if small.shape[axis] == 1 or not small.stride(axis):
                small = small.select(axis, 0)
        numbers = small.double().cpu().numpy()
        steps = np.diff(numbers)
        if steps.min() > 0 and np.ptp(steps) <= _EVEN * float(steps.mean()):
            self._known[len(numbers)] = np.linspace(numbers[0], numbers[-1], len(numbers))

    def of(self, places: int) -> Numbers | None:
        """Return the atoms, where so many are known."""
        return self._known.get(places)

    def fitted(self, found: Fit, target: Numbers) -> None:
        """Take note of targets that a right way gives."""
