"""Two columns that change places between the rows that are learnt from and those that are measured."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Study

__all__ = ["check_exchanged"]

_FEWEST, _MOST_COLUMNS = 50, 64
_DIFFERENT = 1e-8
"""p-value up to which a column is not the same on both sides."""

_SAME = 0.01
"""p-value from which on it may be the same as another one."""


def check_exchanged(study: Study, measured: Measurement) -> Iterator[Finding]:
    """Yield a finding where one column is distributed as another one was, and that one as the first.

    Args:
        study: What was learnt.
        measured: Rows that are asked about.
    """
    if study.sheet is None or measured.sheet is None:
        return
    sides = [each.astype(np.float64) for each in (study.sheet.values, measured.sheet.values)]
    plain = np.flatnonzero(study.sheet.numeric)
    plain = plain[
        [all(np.isfinite(side[:, at]).all() and np.ptp(side[:, at]) > 0 for side in sides) for at in plain]
    ]
    if min(map(len, sides)) < _FEWEST or not 3 <= len(plain) <= _MOST_COLUMNS:
        return
    learnt, held = (_Side(side[:, plain]) for side in sides)
    moved = [at for at in range(len(plain)) if _same(learnt, held, {at: at}) < _DIFFERENT]
    for at, one in enumerate(moved):
        for other in moved[at + 1 :]:
            if (
                _same(learnt, held, {one: other, other: one}) > _SAME
                and _same(learnt, learnt, {one: other, other: one}) < _DIFFERENT
            ):
                yield _finding(study, measured, int(plain[one]), int(plain[other]))
                return


class _Side:
    """Columns and how their ranks go together.

    Args:
        values: (row, column).
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values
        ranks = np.argsort(np.argsort(values, axis=0), axis=0).astype(np.float64)
        together: Any = np.corrcoef(ranks, rowvar=False)
        self.turned: NDArray[np.float64] = np.arctanh(np.clip(together, -0.999, 0.999))


def _same(learnt: _Side, held: _Side, places: Mapping[int, int]) -> float:
    """Return a bound of the p-value that columns are, on the other side, those at these places.

    They differ in how they are distributed, or in how they go together with others.
    """
    from scipy.stats import ks_2samp, norm

    told: list[float] = []
    spread = np.sqrt(1.1 / (len(learnt.values) - 3) + 1.1 / (len(held.values) - 3))  # of ranks
    others = [at for at in range(learnt.values.shape[1]) if at not in places]
    for one, other in places.items():
        both: Any = ks_2samp(learnt.values[:, one], held.values[:, other])
        told.append(float(both.pvalue))
        apart = np.abs(learnt.turned[one, others] - held.turned[other, others])
        told += (2 * norm.sf(apart / spread)).tolist()
    return min(told) * len(told)


def _finding(study: Study, measured: Measurement, one: int, other: int) -> Finding:
    assert study.sheet is not None
    names = study.sheet.names or tuple(f"column {at}" for at in range(study.sheet.values.shape[1]))
    return Finding(
        kind="measured-outside-of-what-was-learnt",
        severity=Severity.WARNING,
        title=f"In the measured rows, {names[one]} has the values that {names[other]} had where "
        f"{study.name} learnt, and the other way round.",
        evidence={"columns": [names[one], names[other]], "rows_measured": len(measured.rows)},
        causes=(cause("preprocessing-differs-at-evaluation", measured.place),),
        next_check="print names and means of the columns on both sides; order them by name before fit and "
        "predict",
        subject=names[one],
    )
