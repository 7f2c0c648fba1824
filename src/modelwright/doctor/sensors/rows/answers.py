"""Which part of a model's answer a metric was given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import values_of

__all__ = ["column_of", "cuts", "is_part", "one_each", "scores_of"]


def one_each(output: Any) -> NDArray[Any] | None:
    """Return one prediction a row; of two probabilities the second."""
    if getattr(output, "ndim", 0) == 2 and output.shape[1] == 2:
        return np.asarray(output)[:, 1]
    return values_of(output) if hasattr(output, "shape") else None


def is_part(said: Any, output: Any) -> bool:
    """Return whether predictions are what a model gave, a column of it, or the largest of its columns."""
    if said is None:
        return False
    if said is output:
        return True
    one, all_of = values_of(said), np.asarray(output) if hasattr(output, "shape") else None
    if all_of is None:
        return False
    if one is None:
        many = np.asarray(said)
        return many.shape == all_of.shape and bool((many == all_of).all())
    if all_of.ndim == 1:
        if len(one) != len(all_of):
            return False
        if one.dtype.kind in "bi" and all_of.dtype.kind == "f":
            return False
        return bool((one == all_of).all())
    if all_of.ndim == 2 and len(one) == len(all_of):
        if any((one == all_of[:, at]).all() for at in range(all_of.shape[1])):
            return True
        return one.dtype.kind in "iu" and bool((one == all_of.argmax(axis=1)).all())
    return False


def column_of(said: Any, output: Any) -> int:
    """Return the column of a model's output that predictions are; -1 for none, or for all that there is."""
    one, all_of = values_of(said), np.asarray(output) if hasattr(output, "shape") else None
    if one is None or all_of is None or all_of.ndim != 2 or len(one) != len(all_of):
        return -1
    return next((at for at in range(all_of.shape[1]) if (one == all_of[:, at]).all()), -1)


def scores_of(output: Any) -> NDArray[np.float64] | None:
    """Return one score for each row of two classes, the larger the surer of the second; None else."""
    one = one_each(output)
    if one is None or one.dtype.kind != "f":
        return None
    return one.astype(np.float64)


def cuts(said: Any, output: Any) -> bool:
    """Return whether classes are a model's scores, cut at one value: the rows above it are the ones."""
    one = values_of(said)
    scores = scores_of(output) if one is not None and one.dtype.kind in "biu" else None
    if one is None or scores is None or len(one) != len(scores):
        return False
    values = np.unique(one)
    if len(values) != 2 or len(np.unique(scores)) < 3:
        return False
    above = one == values[1]
    return bool(scores[above].min() > scores[~above].max())
