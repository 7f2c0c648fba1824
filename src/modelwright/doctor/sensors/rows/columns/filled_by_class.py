"""Columns whose gaps were filled by the class of their row: each of a few values is of one class."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.sensors.rows.tables.frames import filled_by_class

__all__ = ["check_filled_by_class"]

_LEAST = 10
"""Rows that share a value with which gaps may have been filled, at least."""

_MEASURED = 0.5
"""Share of the other values that differ, or the column is no measured one."""

_BY_CHANCE = 1e-9
"""Probability that classes fall so, were they drawn, up to which it is no chance."""

_MOST_CLASSES = 5


def check_filled_by_class(study: Study, measured: Measurement) -> Iterator[Finding]:
    """Yield a finding where the values that many rows share each belong to one class, and to each its own.

    Args:
        study: What was learnt.
        measured: Rows with their targets.
    """
    if not study.classes or study.sheet is None or measured.sheet is None or measured.target is None:
        return
    classes = np.concatenate([study.target.astype(str), measured.target.astype(str)])
    names, codes = np.unique(classes, return_inverse=True)
    if not 2 <= len(names) <= _MOST_CLASSES:
        return
    values = np.concatenate([study.sheet.values, measured.sheet.values])
    for at in np.flatnonzero(study.sheet.numeric).tolist():
        found = _of_one_class(values[:, at], codes, len(names))
        if found:
            name = study.sheet.names[at] if study.sheet.names else f"column {at}"
            told = {float(value): [str(names[code])] for value, code in found.items()}
            yield filled_by_class(name, study.place, told)
            return


def _of_one_class(column: NDArray[np.float32], codes: NDArray[np.int64], classes: int) -> dict[float, int]:
    """Return the class of each value that many rows share; empty where that is no filling by class."""
    values, which, counts = np.unique(column, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts >= max(_LEAST, 0.005 * len(column)))
    others = int(counts.sum() - counts[shared].sum())
    if len(shared) != classes or others < _MEASURED * len(column):
        return {}
    if len(values) - len(shared) < _MEASURED * others or not np.isfinite(values).all():
        return {}
    shares = np.bincount(codes, minlength=classes) / len(codes)
    told: dict[float, int] = {}
    chance = 1.0
    for value in shared.tolist():
        own = np.unique(codes[which == value])
        if len(own) != 1:
            return {}
        told[float(values[value])] = int(own[0])
        chance *= float(shares[own[0]]) ** int(counts[value])
    return told if len(set(told.values())) == classes and chance < _BY_CHANCE else {}
