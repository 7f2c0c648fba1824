"""The smallest input that shows a difference: fewer rows, steps and actions, then values of 0 and 1."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Axes, Inputs

__all__ = ["smallest"]

_MOST = 400


def smallest(
    inputs: Inputs,
    axes: Mapping[str, Axes],
    shows: Callable[[Inputs], bool],
    consistent: Callable[[Inputs], Inputs | None],
) -> Inputs:
    """Return the inputs cut down as far as they still show the difference.

    Args:
        inputs: Arrays and numbers that show it.
        axes: Input -> its axes.
        shows: Whether inputs show it.
        consistent: Makes cut inputs fit together again; None where they cannot.
    """
    left = _MOST

    def holds(trial: Inputs) -> Inputs | None:
        nonlocal left
        if left <= 0:
            return None
        left -= 1
        made = consistent(trial)
        return made if made is not None and shows(made) else None

    found = inputs
    for _ in range(3):
        before = found
        found = _fewer(found, axes, holds)
        found = _simpler(found, holds)
        if found is before or left <= 0:
            break
    return found


def _fewer(inputs: Inputs, axes: Mapping[str, Axes], holds: Callable[[Inputs], Inputs | None]) -> Inputs:
    names = list(dict.fromkeys(axis for each in axes.values() for axis in each))
    for axis in names:
        while (count := _length(inputs, axes, axis)) > 1:
            tries = [np.arange(count // 2), np.arange(count // 2, count)] if count > 3 else []
            tries += [np.delete(np.arange(count), at) for at in range(count - 1, -1, -1)]
            for kept in tries:
                cut = {
                    name: np.take(value, kept, axis=axes[name].index(axis))
                    if axis in axes.get(name, ())
                    else value
                    for name, value in inputs.items()
                }
                if (made := holds(cut)) is not None:
                    inputs = made
                    break
            else:
                break
    return inputs


def _length(inputs: Inputs, axes: Mapping[str, Axes], axis: str) -> int:
    for name, value in inputs.items():
        if axis in axes.get(name, ()):
            return int(np.shape(value)[axes[name].index(axis)])
    return 0


def _simpler(inputs: Inputs, holds: Callable[[Inputs], Inputs | None]) -> Inputs:
    for name in list(inputs):
        value: Any = inputs[name]
        if isinstance(value, np.ndarray) and value.size:
            for plain in (np.zeros_like(value), np.ones_like(value), *_rounded(value)):
                if not np.array_equal(plain, inputs[name]) and (made := holds({**inputs, name: plain})):
                    inputs = made
                    break
            else:
                inputs = _entries(inputs, name, holds)
        elif isinstance(value, float):
            for plain in (1.0, 0.5, round(value, 1)):
                if value == plain:
                    break
                if (made := holds({**inputs, name: plain})) is not None:
                    inputs = made
                    break
    return inputs


def _rounded(value: Any) -> list[Any]:
    return [np.round(value), np.round(value, 1)] if value.dtype.kind == "f" else []


def _entries(inputs: Inputs, name: str, holds: Callable[[Inputs], Inputs | None]) -> Inputs:
    if inputs[name].size > 12:
        return inputs
    for at in np.ndindex(inputs[name].shape):
        for plain in (0, 1):
            value = inputs[name].copy()
            if value[at] == plain:
                break
            value[at] = plain
            if (made := holds({**inputs, name: value})) is not None:
                inputs = made
                break
    return inputs
