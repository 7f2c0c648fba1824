"""A count that tells classes far better than all other features: of what happened afterwards, perhaps."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.scores.reversed_scores import area_of
from modelwright.doctor.watch.place import Place

__all__ = ["check_lone_counts"]

_FEWEST_ROWS, _FEWEST_OF_CLASS, _MOST_CLASSES = 200, 20, 10
_FEWEST_COLUMNS, _MOST_COLUMNS = 4, 400
_TELLS, _OTHERS, _LITTLE = 0.9, 0.77, 0.6
"""Shares of pairs that the count orders rightly, at least; others, at most; and two of these, at least."""

_MOST_BESIDE = 2
_LEVELS = (4, 60)
_AT_AN_END = 0.3
_WHOLE = 1e-3


def check_lone_counts(
    values: NDArray[np.float32],
    names: Sequence[str],
    numeric: NDArray[np.bool_],
    target: NDArray[np.generic],
    place: Place | None,
) -> Iterator[Finding]:
    """Yield a count that tells a class from the others, where other features tell it, too, but far less.

    In tables of events that is what a count does that goes on after the outcome: calls, reminders, payments.
    Its most frequent value is its least or its largest (none, or all of them). Numbers on a scale are left:
    in data that were made up, one of them often tells nearly all.

    Args:
        values: (row, column)
        names: Of the columns.
        numeric: Which of them are numbers (column,).
        target: Classes (row,).
        place: Of the line that learns from them.
    """
    classes, sizes = np.unique(target, return_counts=True)
    known = np.flatnonzero(numeric & np.isfinite(values).all(axis=0)).tolist()
    if len(values) < _FEWEST_ROWS or not 2 <= len(classes) <= _MOST_CLASSES:
        return
    if not _FEWEST_COLUMNS <= len(known) <= _MOST_COLUMNS:
        return
    areas = np.full(values.shape[1], 0.5)
    for each in classes[sizes >= _FEWEST_OF_CLASS]:
        for at in known:
            area = area_of(values[:, at], target == each)
            areas[at] = max(areas[at], area, 1 - area)
    telling = np.flatnonzero(areas >= _TELLS).tolist()
    rest = np.sort([areas[at] for at in known if at not in telling])[::-1]
    if not 1 <= len(telling) <= _MOST_BESIDE or len(rest) < 2 or rest[0] > _OTHERS or rest[1] < _LITTLE:
        return
    counts = [at for at in telling if _is_count(values[:, at])]
    if not counts:
        return
    best = max(counts, key=lambda at: areas[at])
    area, others = float(areas[best]), float(rest[0])
    yield Finding(
        kind="feature-gives-target-away",
        severity=Severity.WARNING,
        title=f"{names[best]}, a count, tells {area:.0%} of pairs of classes apart, the best of the other "
        f"features {others:.0%}: does it count on after the outcome?",
        evidence={"feature": names[best], "area": area, "area_of_the_best_other": others},
        causes=(cause("target-proxy-feature", place),),
        next_check=f"ask whether {names[best]} is known when a prediction is needed; if not, drop it",
        subject=names[best],
    )


def _is_count(column: NDArray[np.float32]) -> bool:
    """Return whether values lie in even steps, however they are scaled, and one end is the most frequent."""
    found, times = np.unique(column, return_counts=True)
    if not _LEVELS[0] <= len(found) <= _LEVELS[1] or int(times.argmax()) not in (0, len(found) - 1):
        return False
    steps = np.diff(found.astype(np.float64))
    whole = steps / steps.min()
    even = bool((np.abs(whole - np.rint(whole)) <= _WHOLE * np.maximum(1.0, whole)).all())
    return even and float(times.max()) >= _AT_AN_END * len(column)
