"""Parts of data that loaders and subsets are made of: which rows, and whether any were asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelwright.doctor.sensors.loop.measuring.passes import key_of

__all__ = ["DataPart", "holds", "part_of"]

_MOST_ROWS = 60_000
_DEPTH, _FEW = 3, 8

DataPart = tuple[str, frozenset[int]]
"""What kind of rows it has, and a key for each: keys of the same kind can be compared."""


def part_of(data: Any) -> DataPart | None:
    """Return the rows of a data set, read from what it holds; None where that says nothing.

    A subset has places in its data set; others have arrays with one entry for each row, or whole numbers that
    say where each row is (or begins).

    Args:
        data: A loader's data set; nothing of it is called but its length.
    """
    try:
        count = len(data)
    except (TypeError, NotImplementedError, AttributeError):
        return None
    indices, inner = getattr(data, "indices", None), getattr(data, "dataset", None)
    if inner is not None:
        if indices is None or not 0 < len(indices) <= _MOST_ROWS:
            return part_of(inner) if indices is None else None
        try:
            places = frozenset(int(each) for each in indices)
            return f"{type(inner).__name__} of {len(inner)}", places
        except TypeError:
            return None
    if not 0 < count <= _MOST_ROWS:
        return None
    for name, values in _arrays(data):
        if len(values) != count:
            continue
        if values.ndim == 1 and values.dtype.kind in "iu" and len(np.unique(values)) == count:
            return f"{type(data).__name__}.{name}", frozenset(values.tolist())
        if values[0].size >= 2:
            keys = key_of(values)
            if keys is not None and len(set(keys)) > count / 2:
                return f"{type(data).__name__}.{name}{values.shape[1:]}", frozenset(keys)
    return None


def _arrays(data: Any) -> Iterator[tuple[str, Any]]:
    held: Mapping[str, Any] = getattr(data, "__dict__", {})
    for name, value in held.items():
        many: Any = value if isinstance(value, list | tuple) else (value,)
        for each in many[:_FEW]:
            numbers: Any = each.detach().cpu().numpy() if hasattr(each, "detach") else each
            if isinstance(numbers, np.ndarray) and numbers.ndim >= 1 and numbers.dtype.kind in "biuf":
                yield name, numbers


def holds(data: Any, part: Any, depth: int = _DEPTH) -> bool:
    """Return whether a data set is a part, or holds it."""
    if data is part:
        return True
    inner = getattr(data, "__dict__", {}) if depth else {}
    return any(
        holds(each, part, depth - 1)
        for value in inner.values()
        for each in (value[:_FEW] if isinstance(value, list | tuple) else (value,))
        if hasattr(each, "__getitem__") and hasattr(each, "__dict__")
    )
