"""Targets that are learnt in other units than they are measured in: logarithms, roots, scaled numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.sheet import values_of
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.watch.place import Place

__all__ = [
    "Units",
    "check_target_units",
    "lost_unit",
    "nearer_unit",
    "unit_finding",
    "units_between",
    "units_of",
]

Numbers = NDArray[np.float64]
Function = Callable[[Numbers], Numbers]

_ENOUGH = 20
_SAME, _EXACT = 1e-5, 1e-6
_FAR = 3.0
"""Widths of what was learnt by which all that is true lies outside of it, where units are in doubt."""

_OUTSIDE, _MISFIT_INSIDE, _MISFIT_OUTSIDE = 0.5, 0.5, 1.0
_FOLLOWS = 0.7
_INSIDE, _NO_NARROWER, _NO_WIDER = 0.9, 0.2, 2.0


@dataclass(frozen=True, slots=True)
class Units:
    """A function that leads from what a model says to what is measured.

    Attributes:
        name: Of what was done to the targets.
        there: From the unit that was learnt to that which is measured.
        back: The other way round.
    """

    name: str
    there: Function
    back: Function


_KNOWN = (
    Units("logarithm", np.exp, np.log),
    Units("logarithm of one more", np.expm1, np.log1p),
    Units("decimal logarithm", lambda each: np.power(10.0, each), np.log10),
    Units("binary logarithm", np.exp2, np.log2),
    Units("square root", np.square, np.sqrt),
    Units("inverse hyperbolic sine", np.sinh, np.arcsinh),
)


def units_between(output: Numbers, said: Numbers) -> Units | None:
    """Return what leads from a model's answers to what a metric was given; None where nothing known does.

    Where answers were cut off at a bound, the others decide.

    Args:
        output: (row,) what the model said.
        said: (row,) what the metric was given.
    """
    if len(output) != len(said) or len(output) < _ENOUGH or np.ptp(said) == 0 or np.ptp(output) == 0:
        return None
    bounded = (said == said.min()) | (said == said.max())
    inner = ~bounded if (~bounded).sum() >= _ENOUGH else np.ones(len(said), bool)
    if len(np.unique(said[inner])) < _ENOUGH:
        return None
    size = float(np.abs(said[inner]).max())
    with np.errstate(all="ignore"):
        off = [float(np.abs(each.there(output[inner]) - said[inner]).max()) for each in _KNOWN]
    off = [each if np.isfinite(each) else np.inf for each in off]
    if min(off) <= _SAME * size:
        return _KNOWN[off.index(min(off))]
    low, high = int(np.argmin(output)), int(np.argmax(output))
    if not (inner[low] and inner[high]):
        kept = np.flatnonzero(inner)
        low, high = int(kept[output[kept].argmin()]), int(kept[output[kept].argmax()])
    slope = (said[high] - said[low]) / (output[high] - output[low])
    shift = said[low] - slope * output[low]
    if slope <= 0 or np.abs(shift + slope * output[inner] - said[inner]).max() > _SAME * size:
        return None
    return Units("shift and scale", lambda each: shift + slope * each, lambda each: (each - shift) / slope)


def units_of(said: Any, output: Any) -> Units | None:
    """Return what leads from answers to what a metric was given; None where these are no numbers."""
    one, other = values_of(said), values_of(output)
    if one is None or other is None or one.dtype.kind != "f" or other.dtype.kind != "f":
        return None
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return None
    return units_between(other.astype(np.float64), one.astype(np.float64))


def check_target_units(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where answers are compared with targets of another unit than those that were learnt.

    All that is true lies far outside of what was learnt, and what one known function makes of it inside; or
    half of it lies outside, and answers are near to what the function makes of it, and far from it as it is.

    Args:
        studies: What was learnt and measured.
    """
    for study in reversed(studies):
        for measured in reversed(study.held_out()):
            name = lost_unit(study, measured)
            if name is None or measured.target is None:
                continue
            place = measured.score_place or measured.place
            yield unit_finding(study.name, name, study.target, measured.target, place)
            return


def unit_finding(
    study: str, name: str, learnt: NDArray[Any], true: NDArray[Any], place: Place | None
) -> Finding:
    """Return what is said of a model, by name, that learnt in another unit than it is measured in."""
    return Finding(
        kind="predictions-in-another-unit",
        severity=Severity.SEVERE,
        title=f"{study} learnt the {name} of targets, and what it says is compared with targets themselves.",
        evidence={
            "learnt_from": float(learnt.min()),
            "learnt_to": float(learnt.max()),
            "true_from": float(true.min()),
            "true_to": float(true.max()),
            "rows": len(true),
        },
        causes=(cause("predictions-not-rescaled", place),),
        next_check="turn predictions back into the unit of the targets before they are measured",
        subject=study,
    )


def lost_unit(study: Study, measured: Measurement) -> str | None:
    """Return what was done to targets before they were learnt, and not undone; None where nothing was."""
    if study.classes or study.target.dtype.kind not in "iuf" or len(study.target) < _ENOUGH:
        return None
    if measured.target is None or measured.target.dtype.kind not in "iuf" or len(measured.target) < _ENOUGH:
        return None
    if not measured.scores or measured.predicted is None:
        return None
    learnt, true = study.target.astype(np.float64), measured.target.astype(np.float64)
    width = float(np.ptp(learnt))
    if not np.isfinite(true).all() or width == 0 or np.ptp(true) == 0:
        return None
    if learnt.min() - _FAR * width < true.max() and true.min() < learnt.max() + _FAR * width:
        return nearer_unit(learnt, true, values_of(measured.predicted))
    deviations = learnt.std(), learnt.std(ddof=1)
    if abs(learnt.mean()) < _EXACT and min(abs(each - 1) for each in deviations) < _EXACT:
        return "standardised form"
    if abs(learnt.min()) < _EXACT and abs(learnt.max() - 1) < _EXACT:
        return "form from 0 to 1"
    with np.errstate(all="ignore"):
        for each in _KNOWN:
            made = each.back(true)
            inside = (made >= learnt.min()) & (made <= learnt.max())
            if inside.mean() > _INSIDE and _NO_NARROWER < np.ptp(made) / width < _NO_WIDER:
                return each.name
    said = values_of(measured.predicted)
    return "scaled form" if said is not None and _follows_inside(learnt, true, said) else None


def _follows_inside(learnt: Numbers, true: Numbers, said: NDArray[Any]) -> bool:
    """Return whether answers lie where targets were learnt, and rise and fall with what is true."""
    if len(said) != len(true) or said.dtype.kind != "f" or np.ptp(said) == 0:
        return False
    inside = (said >= learnt.min()) & (said <= learnt.max())
    return bool(inside.mean() > _INSIDE and np.corrcoef(said, true)[0, 1] > _FOLLOWS)


def nearer_unit(learnt: Numbers, true: Numbers, said: NDArray[Any] | None) -> str | None:
    """Return the function of what is true that answers are near to, where they are far from it itself.

    Near and far are misfits below half, and above, those of the best constant answer.
    """
    outside = float(((true < learnt.min()) | (true > learnt.max())).mean())
    if said is None or len(said) != len(true) or said.dtype.kind != "f" or outside < _OUTSIDE:
        return None
    if _misfit(true, said) < _MISFIT_OUTSIDE:
        return None
    with np.errstate(all="ignore"):
        made = [(each.name, each.back(true)) for each in _KNOWN]
    misfits = [(_misfit(one, said), name) for name, one in made if np.isfinite(one).all() and np.ptp(one) > 0]
    misfit, name = min(misfits, default=(np.inf, ""))
    return name if misfit < _MISFIT_INSIDE else None


def _misfit(true: Numbers, said: NDArray[Any]) -> float:
    """Return the mean absolute error of answers over that of the median."""
    return float(np.abs(true - said).sum() / max(np.abs(true - np.median(true)).sum(), 1e-12))
