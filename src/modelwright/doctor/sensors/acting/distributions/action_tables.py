"""What networks of value distributions give: for each row and action, shares of atoms or quantiles."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.sensor import Operation

__all__ = ["ActionTables", "means_of_other_sizes", "quantile_tables", "share_tables", "shares_of"]

Numbers = NDArray[np.float64]

_SHARING = frozenset({"softmax", "log_softmax"})
_CHANGING = frozenset({"exp", "clamp", "clamp_min", "clip"})
_FEWEST_NUMBERS = 4
_MOST_NUMBERS = 300_000
_MOST_TABLES = 4
_MOST_WAITING = 8
_ONE = 1e-4


class ActionTables:
    """Keeps copies of shares that are computed beside or inside of networks, with the call they belong to."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, Numbers]] = []
        self._newest: dict[int, Any] = {}

    def forget(self) -> None:
        """Forget all."""
        self._waiting.clear()
        self._newest.clear()

    def called(self, seen: Seen, module: Any) -> None:
        """Give a call what was computed inside of it."""
        for root, table in self._waiting:
            if root is module and len(table) == seen.rows:
                seen.tables.append(table)
        self._waiting.clear()

    def computed(self, operation: Operation, newest: Seen | None) -> None:
        """Keep a table of shares (row, action, atom), as it comes from a softmax or is bounded after it."""
        if operation.name in _SHARING:
            pass
        elif operation.name not in _CHANGING or id(operation.argument(0, "input")) not in self._newest:
            return
        result: Any = operation.result
        if not hasattr(result, "dim") or result.dim() != 3 or result.numel() > _MOST_NUMBERS:
            return
        if result.shape[-1] < _FEWEST_NUMBERS:
            return
        self._newest = {id(result): result}  # held, so that no other tensor is taken for it
        if operation.inside:
            del self._waiting[: 1 - _MOST_WAITING]
            self._waiting.append((operation.root, _numbers(result)))
        elif newest is not None and newest.rows == result.shape[0] and len(newest.tables) < _MOST_TABLES:
            newest.tables.append(_numbers(result))


def share_tables(seen: Seen, places: int) -> Iterator[Numbers]:
    """Yield shares that a call may have given (row, action, atom), those computed from its output first.

    Args:
        seen: The call.
        places: Number of atoms.
    """
    for given in (*seen.tables, *seen.wide, *seen.outputs):
        for table in _arranged(given, places):
            yield from shares_of(table)


def quantile_tables(seen: Seen, places: int) -> Iterator[Numbers]:
    """Yield quantiles that a call may have given (row, action, quantile)."""
    for given in (*seen.wide, *seen.outputs):
        yield from _arranged(given, places)


def means_of_other_sizes(seen: Seen, actions: int, places: int) -> Iterator[Numbers]:
    """Yield means of quantiles (row, action) of a call that gave more or fewer of them than `places`."""
    for given in seen.wide:
        if places not in given.shape[1:]:
            if given.shape[2] == actions:
                yield given.mean(axis=1)
            elif given.shape[1] == actions:
                yield given.mean(axis=2)


def shares_of(given: Numbers) -> Iterator[Numbers]:
    """Yield the shares that numbers stand for: themselves, those they are logarithms of, or a softmax."""
    if given.min() >= 0.0 and np.abs(given.sum(axis=-1) - 1.0).max() < 0.1:
        yield given
        return
    if given.max() <= _ONE:
        shares = np.exp(given)
        if np.abs(shares.sum(axis=-1) - 1.0).max() < 0.1:
            yield shares
            return
    grown = np.exp(given - given.max(axis=-1, keepdims=True))
    yield grown / grown.sum(axis=-1, keepdims=True)


def _arranged(given: Numbers, places: int) -> Iterator[Numbers]:
    """Yield a network's numbers as (row, action, place)."""
    if given.ndim == 2:
        if given.shape[1] % places == 0:
            yield given.reshape(len(given), -1, places)
    elif given.shape[2] == places:
        yield given
        if given.shape[1] == places:
            yield given.transpose(0, 2, 1)
    elif given.shape[1] == places:
        yield given.transpose(0, 2, 1)


def _numbers(tensor: Any) -> Numbers:
    return tensor.detach().double().cpu().numpy()
