"""Passes over rows that are measured: which rows, with which weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwright.doctor.watch.place import Place

__all__ = ["Pass", "apart", "key_of", "weights_of"]

_MOST_COLUMNS = 64
_LARGEST_BATCH = 4_000_000
_SALTS = np.random.default_rng(0).integers(0, 2**62, _MOST_COLUMNS, dtype=np.uint64) * np.uint64(
    2
) + np.uint64(1)


@dataclass(slots=True)
class Pass:
    """One pass over rows without gradients, by one loader or from one line.

    Attributes:
        who: id of the model.
        model: Name of its class.
        step: Optimizer steps taken before.
        weights: Some numbers of each parameter.
        source: Number of the data set whose loader gave the rows; -1 where no loader did.
        turn: Number of the loader's turn.
        places: Lines of the user's that led to the model, innermost first.
        rows: Keys of rows, until it is closed.
        count: Different rows.
        mark: The same for the same rows in whatever order.
        known: Targets that were known, over which `loss` and `right` are sums.
        classes: Whether targets are classes, so that `right` counts.
    """

    who: int
    model: str
    step: int
    weights: tuple[float, ...]
    source: int
    turn: int
    places: tuple[Place, ...]
    rows: set[int] = field(default_factory=set[int])
    count: int = 0
    mark: int = 0
    known: int = 0
    loss: float = 0.0
    right: int = 0
    classes: bool = False

    def close(self) -> set[int]:
        """Know the rows by their number and mark from now on, and return them."""
        self.count, self.mark = self.told()
        rows, self.rows = self.rows, set()
        return rows

    def told(self) -> tuple[int, int]:
        """Return how many rows there are so far, and their mark."""
        return len(self.rows), hash((len(self.rows), sum(self.rows)))

    @property
    def mean(self) -> float:
        """Loss of one target."""
        return self.loss / self.known


def weights_of(model: Any) -> tuple[float, ...]:
    """Return three numbers of each parameter: other weights have others."""
    found: list[float] = []
    for each in list(model.parameters())[:64]:
        if each.numel() and not each.is_sparse and not each.is_complex():
            flat = each.detach().reshape(-1)
            found += [float(flat[at]) for at in {0, flat.numel() // 2, flat.numel() - 1}]
    return tuple(found)


def key_of(values: Any) -> list[int] | None:
    """Return a key for each row of a tensor or an array (row, ...); None without rows, or with too many."""
    size = int(np.prod(values.shape))
    if not len(values.shape) or not 2 <= size <= _LARGEST_BATCH or getattr(values, "is_sparse", False):
        return None
    flat = values.reshape(values.shape[0], -1)
    flat = flat[:, :: -(-flat.shape[1] // _MOST_COLUMNS)][:, :_MOST_COLUMNS]
    numbers = flat.detach().cpu().double().numpy() if hasattr(flat, "detach") else flat.astype(np.float64)
    bits = np.ascontiguousarray(numbers + 0.0).view(np.uint64)
    bits = bits ^ (bits >> np.uint64(29))  # what is a whole number has no low bits
    return (bits @ _SALTS[: bits.shape[1]]).tolist()


def apart(places: Sequence[Place], others: Sequence[Place]) -> Place | None:
    """Return the outermost line that led to one pass and not to the other, else the innermost of all."""
    for mine, theirs in zip(reversed(places), reversed(others), strict=False):
        if mine != theirs:
            return mine
    return places[0] if places else None
