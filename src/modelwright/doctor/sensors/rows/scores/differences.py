"""Metrics that are written down: a column beside an array of what a model said of its rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.answers import is_part
from modelwright.doctor.sensors.rows.scores.target_units import nearer_unit, unit_finding
from modelwright.doctor.sensors.rows.sheet import values_of
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Estimation

__all__ = ["Differences"]

_MOST, _MOST_ROWS, _ENOUGH = 8, 50_000, 20
_ROOM, _INSIDE = 0.1, 0.9
"""Widths of what was learnt by which answers may lie outside of it, and the share that lies inside."""


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    true: NDArray[np.float64]
    said: NDArray[np.float64]
    place: Place | None


class Differences:
    """Keeps the last columns that an array was taken off, or that were taken off an array."""

    def __init__(self) -> None:
        self._kept: list[_Difference] = []

    def hear(self, estimation: Estimation, outputs: Iterable[Any] | None = None) -> None:
        """Take note of a difference.

        Args:
            estimation: Of a column, and an array.
            outputs: What models gave, one of which the array must be; None where it may be a mean of them.
        """
        if outputs is not None and not any(is_part(estimation.target, each) for each in outputs):
            return
        true, said = values_of(estimation.given), values_of(estimation.target)
        if true is None or said is None or true.dtype.kind not in "iuf" or len(true) > _MOST_ROWS:
            return
        one, other = true.astype(np.float64), said.astype(np.float64)
        if np.isfinite(one).all() and np.isfinite(other).all():
            self._kept = [*self._kept[1 - _MOST :], _Difference(one, other, estimation.place)]

    def check(self, study: Study) -> Iterator[Finding]:
        """Yield a finding where answers, or their mean over models, are taken off targets of another unit.

        An array that is nowhere near to what a known function makes of the column is no answer.

        Args:
            study: What was learnt.
        """
        if study.classes or study.target.dtype.kind not in "iuf" or len(study.target) < _ENOUGH:
            return
        learnt = study.target.astype(np.float64)
        room = _ROOM * float(np.ptp(learnt))
        for each in reversed(self._kept):
            inside = (each.said >= learnt.min() - room) & (each.said <= learnt.max() + room)
            if len(each.true) < _ENOUGH or np.ptp(each.true) == 0 or inside.mean() < _INSIDE:
                continue
            name = nearer_unit(learnt, each.true, each.said)
            if name is not None:
                yield unit_finding(study.name, name, study.target, each.true, each.place)
                return
