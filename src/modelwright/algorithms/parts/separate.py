"""Models that were fitted seed by seed, as one model of the cohort."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["One", "SeparateModel"]


class One(Protocol):
    """The model of one seed."""

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return values (row,) or probabilities (row, class) for rows (row, *feature)."""
        ...

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return every learnt number by name."""
        ...


class SeparateModel:
    """One model per seed, as a `base.step.Model`."""

    def __init__(self, ones: Sequence[One]) -> None:
        self._ones = ones

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Predict for each seed; see `base.step.Model`."""
        if len(features) != len(self._ones):
            raise BadValue(
                "Predicting takes one array of rows per seed",
                got=f"{len(features)} arrays for {len(self._ones)} seeds",
            )
        return [one.predict(rows) for one, rows in zip(self._ones, features, strict=True)]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return every learnt number, name -> (seed, *shape), or (seed,) of arrays where shapes differ."""
        states = [one.state() for one in self._ones]
        return {name: _along_seeds([state[name] for state in states]) for name in states[0]}


def _along_seeds(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len({array.shape for array in arrays}) == 1:
        return np.stack(list(arrays))
    # Filled up to one shape, a seed's archive would depend on the others.
    ragged: NDArray[Any] = np.empty(len(arrays), dtype=object)
    for place, array in enumerate(arrays):
        ragged[place] = array
    return ragged
