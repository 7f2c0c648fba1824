"""What observations and actions look like, without a dependency on anybody's environment library."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["Box", "Discrete", "Space", "action_rows", "within"]


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


def within(space: Space, action: NDArray[Any]) -> NDArray[Any]:
    """Return what is done when an action is wanted: values are brought to the bounds of the space.

    A seed that has diverged wants what is no number, and does 0 or the bound next to it: the seeds beside it
    go on.
    """
    if not isinstance(space, Box):
        return action
    return np.clip(np.where(np.isfinite(action), action, 0.0), space.low, space.high)


def action_rows(action: NDArray[Any], space: Space, lead: tuple[int, int]) -> NDArray[Any]:
    """Return actions as rows, (seed * copy, *action), once they are seen to be actions at all.

    Values outside a Box's bounds pass: what they mean is the environment's matter, and to keep within is the
    learner's.

    Args:
        action: (seed, copy, *action).
        space: What can be done.
        lead: Numbers of seeds and of copies.

    Raises:
        BadValue: for another shape or type, numbers of no action, and values that are not finite.
    """
    shape = (*lead, *space.shape)
    if action.shape != shape:
        raise BadValue(f"Actions are one per copy, an array of shape {shape}", got=f"shape {action.shape}")
    rows = action.reshape(-1, *space.shape)
    if isinstance(space, Discrete):
        # As unsigned numbers, negative ones are far too large.
        known = rows.dtype.kind in "iu" and not np.count_nonzero(rows.astype(np.uint64) >= space.n)
        if not known:
            got = f"{np.unique(rows)[:5].tolist()} of type {rows.dtype}"
            raise BadValue(f"Actions are whole numbers from 0 to {space.n - 1}", got=got)
    elif rows.dtype.kind not in "fiu" or not np.isfinite(rows).all():
        odd = rows[~np.isfinite(rows)][:3].tolist() if rows.dtype.kind == "f" else ""
        raise BadValue("Actions are finite numbers", got=f"{odd} of type {rows.dtype}".strip())
    return rows
