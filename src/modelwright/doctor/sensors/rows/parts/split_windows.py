"""Windows of one series that a split deals out at random: each overlaps with windows on the other side."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.sheet import mixed
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["SplitWindows"]

_FEWEST_ROWS, _MOST_ROWS, _MOST_CELLS = 60, 3000, 1_000_000
_FEWEST_COLUMNS = 4
"""Columns that hold, a row later, what stands beside them."""

_NEARLY_ALL, _DISTINCT = 0.95, 0.5
_SHIFTS = (1, -1, 2, -2, 3, -3)
"""Columns by which a window moves from row to row; below zero where the newest value comes first."""


class SplitWindows:
    """Remembers the first split that deals out windows at random."""

    def __init__(self) -> None:
        self._found: tuple[Place | None, int, int] | None = None
        self._heard = 0

    def split(self, estimation: Estimation) -> None:
        """Hear that rows are split."""
        if self._found is not None or self._heard > _MOST_ROWS:
            return
        self._heard += 1
        values = _values_of(estimation.given)
        if values is None or not _is_random(estimation, values):
            return
        shift = _shift_of(values)
        if shift:
            self._found = estimation.place, shift, len(values)

    def check(self) -> Iterator[Finding]:
        """Yield a finding where there was one."""
        if self._found is None:
            return
        place, shift, rows = self._found
        yield Finding(
            kind="times-interleaved",
            severity=Severity.WARNING,
            title="Rows that are split at random are windows of one series, each the one before it moved on: "
            "most numbers of a measured row stand in rows that are learnt from.",
            evidence={"rows": rows, "values_by_which_a_window_moves": abs(shift)},
            causes=(
                cause("random-split-of-time-series", place),
                cause("near-duplicates-across-split", place),
            ),
            next_check="split the series at a time first, and cut windows out of each part",
        )


def _values_of(given: Any) -> NDArray[np.float32] | None:
    """Return windows (row, step, number): of a table each column is a step; None of anything else."""
    if hasattr(given, "iloc"):
        given = (
            given.to_numpy()
            if given.ndim == 2 and all(kind.kind in "biuf" for kind in given.dtypes)
            else None
        )
    elif hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    if not isinstance(given, np.ndarray) or given.ndim not in (2, 3) or given.dtype.kind not in "iuf":
        return None
    if len(given) < _FEWEST_ROWS or given.shape[1] < _FEWEST_COLUMNS or given.size > _MOST_CELLS:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return given.reshape(*given.shape[:2], -1).astype(np.float32)


def _shift_of(values: NDArray[np.float32]) -> int:
    """Return by how many columns windows move from row to row; 0 where rows are no windows."""
    some = values[:_MOST_ROWS]
    flat = some.reshape(len(some), -1)
    distinct = np.array([len(np.unique(each)) for each in flat.T]).reshape(some.shape[1:]).max(axis=1)
    told = distinct > _DISTINCT * len(some)
    for shift in _SHIFTS:
        size = abs(shift)
        old, new = (some[:-1, size:], some[1:, :-size]) if shift > 0 else (some[:-1, :-size], some[1:, size:])
        same = (old == new).all(axis=2).mean(axis=0) > _NEARLY_ALL
        if (same & (told[size:] if shift > 0 else told[:-size])).sum() >= _FEWEST_COLUMNS:
            return shift
    return 0


def _is_random(estimation: Estimation, values: NDArray[np.float32]) -> bool:
    if estimation.by is not None:
        return bool(getattr(estimation.by, "shuffle", False)) or "ShuffleSplit" in estimation.name
    parts = estimation.output
    other = _values_of(parts[1]) if isinstance(parts, list | tuple) and len(parts) > 1 else None
    if other is None or other.shape[1:] != values.shape[1:]:
        return False
    order = {key: at for at, key in enumerate(mixed(values.reshape(len(values), -1)).tolist())}
    places = np.array([order.get(key, -1) for key in mixed(other.reshape(len(other), -1)).tolist()])
    return bool((places >= 0).all() and (np.diff(places) == 1).mean() < 1 - _NEARLY_ALL + _DISTINCT)
