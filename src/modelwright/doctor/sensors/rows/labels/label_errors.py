"""Labels that their neighbours contradict where nothing else is unsure.

Where classes overlap, a model is wrong where it is unsure, and hardly ever where it is sure. Labels that
were written down wrong are contradicted everywhere alike: among the rows of which a model that has not seen
them is surest as often as among others. So rows are put in order of how sure such a model is, and the
mistakes of the surest quarter are compared with those of the two quarters after it. (Northcutt, Jiang &
Chuang 2021 count confident contradictions too, yet take those of overlapping classes for errors.)
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Study

__all__ = ["check_label_errors"]

_MOST_ROWS, _LEAST_ROWS, _MOST_CLASSES = 3000, 120, 30
_LEVEL = 1e-3
_LEAST_SHARE, _LEAST_MISTAKES = 0.05, 6
_SKILLS = ((0.3, 0.11), (0.45, 0.2))
"""Mistakes over those of naming the most frequent class -> the largest share of them that lies in the surest
quarter where two overlapping normal classes, or a logistic curve, make them."""

_FLAT = 0.6, 1.3
"""Mistakes of the next two quarters over those of the surest, where labels are wrong at random."""

_TOGETHER = 1.7
"""How much oftener than others the neighbours of a contradicted row are, where the model itself is wrong."""

_MEASURED = 5


def check_label_errors(study: Study) -> Iterator[Finding]:
    """Yield a warning where labels are contradicted as often by sure predictions as by others.

    Args:
        study: What a model learnt.
    """
    if study.sheet is None or not study.classes or not study.sheet.numeric.all():
        return
    target = study.target
    stride = -(-len(target) // _MOST_ROWS)
    values, (found, labels) = study.sheet.values[::stride], np.unique(target[::stride], return_inverse=True)
    counts = np.bincount(labels)
    if len(labels) < _LEAST_ROWS or not 2 <= len(found) <= _MOST_CLASSES or counts.max() > 0.9 * len(labels):
        return
    standard = _standard(values)
    if standard is None:
        return
    said, order = _surest_first(standard, labels, len(found))
    wrong = (said != labels)[order]
    quarter = len(wrong) // 4
    sure, others = int(wrong[:quarter].sum()), int(wrong[quarter : 3 * quarter].sum())
    skill = (sure + others) / (3 * quarter) / (1 - counts.max() / len(labels))
    share = next((share for most, share in _SKILLS if skill < most), None)
    if share is None or sure < max(_LEAST_MISTAKES, _LEAST_SHARE * quarter):
        return
    p_value = _tail(sure, sure + others, share)
    if p_value > _LEVEL or not _FLAT[0] <= others / (2 * sure) <= _FLAT[1]:
        return
    if _together(standard, order[: 3 * quarter], wrong[: 3 * quarter]) > _TOGETHER:
        return
    suspicious = order[: 3 * quarter][wrong[: 3 * quarter]]
    evidence: dict[str, object] = {
        "share_contradicted_of_the_surest_quarter": sure / quarter,
        "share_contradicted_of_the_next_two": others / (2 * quarter),
        "p_value_where_classes_only_overlap": p_value,
        "rows_learnt_from": len(target),
        "labels": [str(found[labels[at]]) for at in suspicious[:12].tolist()],
        "neighbours_say": [str(found[said[at]]) for at in suspicious[:12].tolist()],
    }
    if study.ordered:
        evidence["rows_most_suspicious"] = (suspicious[:40] * stride).tolist()
    else:
        evidence["first_columns_of_the_most_suspicious_rows"] = [
            [round(float(each), 6) for each in values[at, :6]] for at in suspicious[:6].tolist()
        ]
    yield Finding(
        kind="label-errors",
        severity=Severity.WARNING,
        title=f"About {sure / quarter:.0%} of the labels that {study.name} learns are contradicted by what "
        "is most alike, also where everything else agrees: they look written down wrong.",
        evidence=evidence,
        causes=(cause("label-noise", study.place), cause("class-conditional-label-noise", study.place)),
        next_check="look at the rows named, and at how their labels came about; measure on rows with "
        "labels that were checked",
        subject=study.name,
    )


def _standard(values: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return measured columns, standardised; None where most are codes: cells have odds of their own."""
    table = values.astype(np.float64)
    if not np.isfinite(table).all():
        return None
    different = np.array([len(np.unique(table[:, at])) for at in range(table.shape[1])])
    if (different >= _MEASURED).sum() < max(1, 0.6 * (different >= 2).sum()):
        return None
    if len(np.unique(table, axis=0)) < 0.95 * len(table):
        return None
    used = table[:, different >= 2]
    return (used - used.mean(axis=0)) / np.maximum(used.std(axis=0), 1e-12)


def _surest_first(
    values: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each row's class by the best of some models that have not seen it, and the surest rows first."""
    told = np.eye(classes)[labels]
    rows = len(values)
    scores = [_nearest(values, told, few) for few in (9, 25)]
    if 2 * values.shape[1] < rows:
        scores += [_linear(values, told, decay) for decay in (1.0, 0.1 * rows)]
    if 8 * values.shape[1] < rows:
        squares = np.square(values)
        squares = (squares - squares.mean(axis=0)) / np.maximum(squares.std(axis=0), 1e-12)
        scores.append(_linear(np.column_stack([values, squares]), told, 0.02 * rows))
    best = min(scores, key=lambda each: float((each.argmax(axis=1) != labels).mean()))
    ordered = np.sort(best, axis=1)
    return best.argmax(axis=1), np.argsort(ordered[:, -2] - ordered[:, -1], kind="stable")


def _together(values: NDArray[np.float64], rows: NDArray[np.int64], wrong: NDArray[np.bool_]) -> float:
    """Return the share of contradicted rows' five nearest that are contradicted, over that of all."""
    known, asked = values[rows], values[rows[wrong]]
    squares = np.square(known).sum(axis=1)
    apart = np.square(asked).sum(axis=1)[:, None] + squares - 2 * asked @ known.T
    apart[np.arange(len(asked)), np.flatnonzero(wrong)] = np.inf
    near = np.argpartition(apart, 5, axis=1)[:, :5]
    return float(wrong[near].mean() / wrong.mean())


def _linear(values: NDArray[np.float64], told: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Ridge regression of the classes, each row by the fit to all others (its closed form)."""
    design = np.column_stack([np.ones(len(values)), values])
    penalty = np.diag([1e-9, *[decay] * values.shape[1]])
    weights = np.linalg.solve(design.T @ design + penalty, design.T)
    own = np.einsum("rc,cr->r", design, weights)[:, None]
    return (design @ (weights @ told) - own * told) / (1 - np.minimum(own, 0.999))


def _nearest(values: NDArray[np.float64], told: NDArray[np.float64], few: int) -> NDArray[np.float64]:
    """Votes of the nearest other rows, nearer ones with more weight."""
    squares = np.square(values).sum(axis=1)
    votes = np.empty_like(told)
    for begin in range(0, len(values), 500):
        part = slice(begin, begin + 500)
        apart = squares[part, None] + squares - 2 * values[part] @ values.T
        apart[np.arange(len(apart)), np.arange(begin, begin + len(apart))] = np.inf
        near = np.argpartition(apart, few, axis=1)[:, :few]
        distance = np.sqrt(np.maximum(np.take_along_axis(apart, near, axis=1), 0))
        weight = 1 / (distance / np.maximum(distance.mean(axis=1, keepdims=True), 1e-12) + 0.3)
        votes[part] = (told[near] * weight[:, :, None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return votes


def _tail(hits: int, draws: int, share: float) -> float:
    """Return the probability of at least so many hits."""
    from scipy.stats import binom

    return float(binom.sf(hits - 1, draws, share))
