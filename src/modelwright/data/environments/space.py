"""What observations and actions look like, without a dependency on anybody's environment library."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["Box", "Discrete", "Space"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrete:
    """One of the numbers 0 to n - 1.

    Attributes:
        n: How many there are.
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise BadValue("A discrete space has at least one element", got=self.n)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one element: a number."""
        return ()

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Numbers of elements are int64."""
        return np.dtype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
    """Arrays of numbers between two bounds.

    Attributes:
        low: Smallest values, of the space's shape; -inf where there is none.
        high: Largest values, of the same shape.
        dtype: float32, or uint8 for images.
    """

    low: NDArray[Any]
    high: NDArray[Any]
    dtype: "np.dtype[Any]" = field(default_factory=lambda: np.dtype(np.float32))

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or not (self.low <= self.high).all():
            raise BadValue(
                "A box's low and high have one shape, and low is nowhere above high",
                got=f"shapes {self.low.shape} and {self.high.shape}",
            )

    @staticmethod
    def of(low: float, high: float, shape: tuple[int, ...]) -> "Box":
        """Return the float32 box that has the same bounds everywhere."""
        return Box(low=np.full(shape, low, np.float32), high=np.full(shape, high, np.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one element."""
        return self.low.shape

    @property
    def bounded(self) -> bool:
        """Whether every number has a finite smallest and largest value."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())


Space = Box | Discrete
"""What can be observed or done."""
