"""Estimators that say nothing of measured rows, where a plain linear model of the same rows says much."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Study

__all__ = ["check_beside_a_line"]

_FEWEST, _MOST_ROWS, _MOST_COLUMNS, _MOST_CLASSES = 60, 5000, 200, 20
_HARDLY, _MUCH = 0.1, 0.4
"""Skills: 0 is that of the best constant, or of chance, 1 is perfect."""

_BASELINES = ("Dummy",)
_SCALES_APART = 30.0


def check_beside_a_line(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where no model of the program says anything of measured rows, and a line would.

    Args:
        studies: What was learnt and measured.
    """
    told = [each for each in studies if not each.name.startswith(_BASELINES) and _last(each) is not None]
    if not told:
        return
    study = told[-1]
    measured = _last(study)
    assert measured is not None
    skills = [skill for each in told if (skill := _skill_of(each, _last(each))) is not None]
    if not skills or max(skills) > _HARDLY:
        return
    line = _line(study, measured)
    if line is None or line < _MUCH:
        return
    assert study.sheet is not None
    deviations = np.nanstd(study.sheet.values[:, study.sheet.numeric], axis=0)
    deviations = deviations[deviations > 0]
    names = ["weight-decay-too-high", "inputs-not-scaled"]
    if len(deviations) and deviations.max() > _SCALES_APART * deviations.min():
        names.reverse()
    yield Finding(
        kind="nothing-learnt",
        severity=Severity.WARNING,
        title=f"{study.name} says hardly more of measured rows than a constant would; a plain linear model "
        "of the same rows says much.",
        evidence={
            "skill": skills[-1],
            "skill_of_a_linear_model": line,
            "rows_learnt_from": len(study.rows),
            "rows_measured": len(measured.rows),
        },
        causes=tuple(cause(name, study.place) for name in names),
        next_check="fit a linear model to the same arrays; change one setting at a time, regularisation "
        "first, and scale the columns",
        subject=study.name,
    )


def _last(study: Study) -> Measurement | None:
    """Return the last rows of which both what is true and what was said are known."""
    known = [each for each in study.held_out() if each.target is not None and each.predicted is not None]
    return known[-1] if known and len(known[-1].rows) >= _FEWEST else None


def _skill_of(study: Study, measured: Measurement | None) -> float | None:
    if measured is None or measured.target is None or measured.predicted is None:
        return None
    return _skill(study, measured.target, measured.predicted)


def _skill(study: Study, true: NDArray[Any], said: NDArray[Any]) -> float | None:
    """Return balanced accuracy beyond chance, or the share of variance told; None where neither is."""
    if len(true) != len(said):
        return None
    if study.classes:
        classes = np.unique(true)
        if not 2 <= len(classes) <= _MOST_CLASSES or true.dtype.kind != said.dtype.kind:
            return None
        if not np.isin(said, study.target).all():
            return None  # probabilities, perhaps
        right = float(np.mean([(said[true == each] == each).mean() for each in classes]))
        return (right * len(classes) - 1) / (len(classes) - 1)
    if true.dtype.kind not in "biuf" or said.dtype.kind not in "biuf":
        return None
    one, other = true.astype(np.float64), said.astype(np.float64)
    if not np.isfinite(one).all() or not np.isfinite(other).all() or np.ptp(one) == 0:
        return None
    return 1 - float(np.square(one - other).sum() / np.square(one - one.mean()).sum())


def _line(study: Study, measured: Measurement) -> float | None:
    """Return the skill of a linear model."""
    from sklearn.linear_model import LogisticRegression, Ridge

    learnt, held = study.sheet, measured.sheet
    if (
        learnt is None
        or held is None
        or measured.target is None
        or learnt.values.shape[1:] != held.values.shape[1:]
    ):
        return None
    plain = np.flatnonzero(learnt.numeric)[:_MOST_COLUMNS]
    step = -(-len(learnt) // _MOST_ROWS)
    sides = [each.values[:, plain].astype(np.float64) for each in (learnt, held)]
    target = study.target[::step]
    sides[0] = sides[0][::step]
    if len(target) < _FEWEST or not len(plain):
        return None
    middle = np.nanmedian(sides[0], axis=0)
    sides = [np.where(np.isfinite(each), each, middle) for each in sides]
    mean, deviation = sides[0].mean(axis=0), sides[0].std(axis=0)
    kept = deviation > 0
    one, other = ((each - mean)[:, kept] / deviation[kept] for each in sides)
    if not kept.any() or not np.isfinite(one).all() or not np.isfinite(other).all():
        return None
    model: Any = LogisticRegression(max_iter=200) if study.classes else Ridge(1.0)
    if study.classes and len(np.unique(target)) < 2:
        return None
    model.fit(one, target)
    return _skill(study, measured.target, model.predict(other))
