"""Whose statistics rows were standardised with: an identity that holds for the rows they were taken of."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Held, Learner
from modelwright.doctor.sensors.rows.source_lines import prepares
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.watch.place import Place

__all__ = ["check_scales", "check_scales_of_study"]

_LEAST_ROWS, _LEAST_HELD, _LEAST_COLUMNS = 40, 16, 2
_DISTINCT = 0.95
_DIFFERENT = 5
"""Values that a column has at least, or it is no measured one."""

_EXACT, _TYPICAL = 2e-3, 3e-4
"""Misfit of each column, and of the median column: rounding of 32 bits where means are far from zero."""

_FEW = 3
"""Columns below which each must fit as the median of many does: two may fit by chance."""

_NEARER = 20.0
"""How much nearer the ends of a range must be: many even draws come close to both by themselves."""

_BETTER = 10.0
_LEAST_BETTER = 2
"""Columns that fit with measured rows, and not without them; one will do where all columns fit with them."""

_SHARE = 0.5
"""Share of the measured columns for which it must hold: others are left as they are, codes for example."""

_Misfit = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def check_scales(learner: Learner, scaled_at: Place | None) -> Iterator[Finding]:
    """Yield a finding where rows are standardised with statistics of rows that are then measured.

    Means of zero and deviations of one, least values of zero and largest of one: each is an identity for the
    rows whose statistics were used and for no others. What is learnt fits alone where all is well.

    Args:
        learner: A network with its rows.
        scaled_at: Where a scaler of scikit-learn was fitted, if one was.
    """
    sides = learner.learnt, learner.asked
    if not all(each.whole and not each.rows.full for each in sides):
        return
    known = Held(values=learner.learnt.rows.values, counts=learner.learnt.rows.counts, place=learner.place)
    yield from _check(learner.name, known, learner.held(), scaled_at or prepares(learner.place))


def check_scales_of_study(study: Study) -> Iterator[Finding]:
    """Yield the same of the columns that an estimator is given as numbers.

    Args:
        study: What it learnt from and was measured on; a scaler that was heard is looked at elsewhere.
    """
    sheet, held = study.sheet, [each for each in study.held_out() if each.sheet is not None]
    if sheet is None or study.distinct < _DISTINCT or not held:
        return
    sides: list[Held] = []
    for values, place in [(sheet.values, study.place)] + [(m.sheet.values, m.place) for m in held if m.sheet]:
        if values.shape[1] != len(sheet.numeric):
            return
        ones = np.ones(len(values), np.int64)
        sides.append(Held(values=values[:, sheet.numeric], counts=ones, place=place))
    yield from _check(study.name, sides[0], sides[1:], prepares(study.place))


def _check(name: str, own: Held, others: Sequence[Held], place: Place | None) -> Iterator[Finding]:
    held = [each for each in others if len(each.values) >= _LEAST_HELD]
    if not held or len(own.values) < _LEAST_ROWS:
        return
    known = own.values.astype(np.float64), own.counts
    # What is met last is what counts: rows to choose by may rightly be among those that were fitted on.
    groups = [_joined(held), held[-1]] if len(held) > 1 else held
    for words, misfit in _WAYS.items():
        alone = _misfits(misfit, *known)
        if alone is None:
            continue
        for group in groups:
            other = group.values.astype(np.float64), group.counts
            apart, both = _misfits(misfit, *other), _of_both(misfit, known, other)
            if apart is not None and _holds((alone < _EXACT) & (apart < _EXACT), alone, apart):
                yield _refitted(name, own, group, words, alone, apart, place)
                return
            if both is None or not _holds(both < _EXACT, both):
                continue
            # Of columns that fit either way the extremes, for example, are among the rows learnt from.
            only_both = ((both < _EXACT) & (alone > _BETTER * np.maximum(both, 1e-6))).sum()
            only_alone = ((alone < _EXACT) & (both > _BETTER * np.maximum(alone, 1e-6))).sum()
            least = 1 if (both[np.isfinite(both)] < _EXACT).all() else _LEAST_BETTER
            if only_both >= least and only_alone <= 0.1 * only_both:
                yield _seen(name, own, group, words, alone, both, place)
                return


def _seen(
    name: str,
    own: Held,
    group: Held,
    words: str,
    alone: NDArray[np.float64],
    both: NDArray[np.float64],
    place: Place | None,
) -> Finding:
    return Finding(
        kind="preparation-saw-held-out-rows",
        severity=Severity.WARNING,
        title=f"Together, the rows that {name} learnt from and those that it is measured on have "
        f"{words}, exactly; those that it learnt from have not.",
        evidence={
            "rows_learnt_from": len(own.values),
            "rows_measured": len(group.values),
            "misfit_of_columns_of_all_rows": _shown(both),
            "misfit_of_columns_of_rows_learnt_from": _shown(alone),
        },
        causes=(cause("scaler-fitted-on-all-rows", place or own.place),),
        next_check="compute means and deviations of the training rows only, after the split, and use "
        "them for both",
        subject=name,
    )


def _refitted(
    name: str,
    own: Held,
    group: Held,
    words: str,
    alone: NDArray[np.float64],
    apart: NDArray[np.float64],
    place: Place | None,
) -> Finding:
    return Finding(
        kind="preparation-fitted-anew-on-held-out-rows",
        severity=Severity.WARNING,
        title=f"The rows that {name} is measured on have {words}, exactly and by themselves, as "
        "those have that it learnt from: the same value means another thing there.",
        evidence={
            "rows_learnt_from": len(own.values),
            "rows_measured": len(group.values),
            "misfit_of_columns_of_rows_measured": _shown(apart),
            "misfit_of_columns_of_rows_learnt_from": _shown(alone),
        },
        causes=(cause("scaler-refitted-on-test", place or group.place),),
        next_check="keep mean and deviation of the training rows, and prepare the others with them",
        subject=name,
    )


def _shown(misfits: NDArray[np.float64]) -> list[float]:
    return misfits[np.isfinite(misfits)][:40].tolist()


def _holds(fits: NDArray[np.bool_], *misfits: NDArray[np.float64]) -> bool:
    """Return whether an identity holds for most of the measured columns, well within what rounding does."""
    measured = np.isfinite(misfits[0])
    if fits.sum() < max(_LEAST_COLUMNS, _SHARE * measured.sum()):
        return False
    typical = np.max if fits.sum() < _FEW else np.median
    return all(float(typical(each[fits])) < _TYPICAL for each in misfits)


def _joined(held: Sequence[Held]) -> Held:
    return Held(
        values=np.concatenate([each.values for each in held]),
        counts=np.concatenate([each.counts for each in held]),
        place=held[-1].place,
    )


def _multiplicities(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how often each row is among all rows, where the median row is there once."""
    return np.maximum(1.0, np.rint(counts / max(1.0, float(np.median(counts)))))


def _misfits(
    misfit: _Misfit, values: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Return how far each column is from the identity (column,), NaN for no measured ones."""
    weights = _multiplicities(counts)
    ways = [misfit(values, each) for each in (np.ones(len(values)), weights)]
    best = min(ways, key=lambda each: float(np.nanmedian(each)) if np.isfinite(each).any() else np.inf)
    return best if np.isfinite(best).sum() >= _LEAST_COLUMNS else None


def _of_both(
    misfit: _Misfit,
    known: tuple[NDArray[np.float64], NDArray[np.int64]],
    other: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> NDArray[np.float64] | None:
    values = np.concatenate([known[0], other[0]])
    ways: list[NDArray[np.float64]] = []
    for weigh in (np.ones_like, _multiplicities):
        weights = np.concatenate([weigh(side[1]).astype(np.float64) for side in (known, other)])
        ways.append(misfit(values, weights))
    best = min(ways, key=lambda each: float(np.nanmedian(each)) if np.isfinite(each).any() else np.inf)
    return best if np.isfinite(best).sum() >= _LEAST_COLUMNS else None


# ---- identities: how far each column is from them ----


def _measured(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    few = values[:500]
    different = np.array([len(np.unique(few[:, at])) >= _DIFFERENT for at in range(values.shape[1])], bool)
    return different & np.isfinite(values).all(axis=0)


# Means of zero alone are none: sets come centred from their source, scikit-learn's diabetes for example.
def _standardised(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    mean, deviation, rows = _moments(values, weights)
    # Pandas and torch divide by one row less: of two parts, each by itself, that are two.
    ways = [deviation * np.sqrt(rows / (rows - fewer)) for fewer in (0, 1, 2)]
    size = np.min([np.abs(each - 1) for each in ways], axis=0)
    return np.where(_measured(values), np.maximum(np.abs(mean), size), np.nan)


def _ranged(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1 or from -1 to 1, each end reached by one row: ends of many rows are bounds by nature."""
    low, high = values.min(axis=0), values.max(axis=0)
    away = np.minimum(np.abs(low), np.abs(low + 1)) + np.abs(high - 1)
    once = ((values == low).sum(axis=0) == 1) & ((values == high).sum(axis=0) == 1)
    return np.where(_measured(values) & once, _NEARER * away, np.nan)


def _moments(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    rows = float(weights.sum())
    mean = weights @ values / rows
    return mean, np.sqrt(weights @ np.square(values - mean) / rows), rows


_WAYS: dict[str, _Misfit] = {
    "means of zero and deviations of one": _standardised,
    "least values of zero and largest of one": _ranged,
}
