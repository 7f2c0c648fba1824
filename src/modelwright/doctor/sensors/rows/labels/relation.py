"""Whether inputs say of targets, among rows that are learnt, what they say among those that are measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.sheet import mixed

__all__ = ["Relation", "relation_of", "standing_for"]

Numbers = NDArray[np.float64]

_FEWEST, _MOST_ROWS, _MOST_COLUMNS, _MOST_CLASSES = 150, 2000, 300, 20
_MUCH, _HARDLY, _PART, _DEVIATIONS = 0.5, 0.1, 0.5, 2.0
"""Correlations, of rows left out, that are much and hardly any; a part of much that is not enough; standard
errors that chance may make."""

_MOVED, _NARROWER, _WIDER = 0.5, 0.5, 2.0
"""Deviations by which a column's mean may differ, and the ratio of its deviations, between both parts."""

_SAME_COLUMNS = 0.8
_SHARE_APART = 0.15


@dataclass(frozen=True, slots=True)
class Relation:
    """Correlations between targets of rows that were left out and what a linear model says of them.

    Attributes:
        learnt: The model learnt one half of the learnt rows, and was asked of the other: the smaller and the
            larger of two, with halves as rows come and with halves that were drawn. Windows that overlap
            tell of each other where halves are drawn.
        measured: The same of the measured rows.
        across: It learnt from the learnt rows, and was asked of the measured ones.
    """

    learnt: tuple[float, float]
    measured: tuple[float, float]
    across: float
    rows_learnt: int
    rows_measured: int

    @property
    def lost_in(self) -> str:
        """`learnt` or `measured`, where nothing of it is left there alone; empty where all is well."""
        chance = [_DEVIATIONS / np.sqrt(each) for each in (self.rows_learnt, self.rows_measured)]
        none = [max(_HARDLY, each) for each in chance]
        # What is learnt of nothing points anywhere: of few columns, by chance, nearly where it should.
        if self.measured[0] >= _MUCH and self.learnt[1] <= none[0]:
            return "learnt" if self.across <= _PART * self.measured[0] else ""
        return "measured" if self.learnt[0] >= _MUCH and max(self.measured[1], self.across) <= none[1] else ""


def relation_of(
    learnt: NDArray[np.floating], target: Numbers, held: NDArray[np.floating], true: Numbers
) -> Relation | None:
    """Return how inputs and targets go together in both parts; None where the parts are unlike each other.

    Args:
        learnt: (row, column) what was learnt from.
        target: (row, one or class) what `standing_for` makes of its targets.
        held: (row, column) what was measured.
        true: (row, one or class) what is true of it.
    """
    if min(len(learnt), len(held)) < _FEWEST or learnt.shape[1] != held.shape[1]:
        return None
    sides = [_some(learnt, target), _some(held, true)]
    if min(len(one) for one, _ in sides) < _FEWEST:
        return None
    if not _alike(sides[0][1], sides[1][1]).all():
        return None
    (one, target), (other, true) = sides
    varies = (one.std(axis=0) > 0) & (other.std(axis=0) > 0)
    kept = np.flatnonzero(varies & _alike(one, other))
    if not len(kept) or len(kept) < _SAME_COLUMNS * varies.sum():
        return None
    kept = kept[:: -(-len(kept) // _MOST_COLUMNS)]
    mean, deviation = one[:, kept].mean(axis=0), one[:, kept].std(axis=0)
    one, other = (one[:, kept] - mean) / deviation, (other[:, kept] - mean) / deviation
    return Relation(
        _within(one, target),
        _within(other, true),
        _correlation(true, _told(one, target, other)),
        len(one),
        len(other),
    )


def standing_for(
    target: NDArray[np.generic], true: NDArray[np.generic], classes: bool
) -> list[Numbers] | None:
    """Return targets of both parts as numbers (row, one or class); None where they are not of one kind."""
    if not classes:
        if target.dtype.kind not in "biuf" or true.dtype.kind not in "biuf":
            return None
        numbers = [each.astype(np.float64)[:, None] for each in (target, true)]
        return numbers if all(np.isfinite(each).all() for each in numbers) else None
    if target.dtype.kind != true.dtype.kind:
        return None
    found = np.unique(target)
    if not 2 <= len(found) <= _MOST_CLASSES or not np.isin(true, found).all():
        return None
    found = found[1:] if len(found) == 2 else found
    sides = [(each[:, None] == found).astype(np.float64) for each in (target, true)]
    apart = np.abs(sides[0].mean(axis=0) - sides[1].mean(axis=0))
    return (
        sides if apart.max() <= _SHARE_APART and all((each.std(axis=0) > 0).all() for each in sides) else None
    )


def _some(values: NDArray[np.floating], target: Numbers) -> tuple[Numbers, Numbers]:
    step = -(-len(values) // _MOST_ROWS)
    # A row that comes again would tell of itself among those that were left out.
    own = np.sort(np.unique(mixed(np.ascontiguousarray(values[::step], np.float32)), return_index=True)[1])
    table, known = values[::step][own].astype(np.float64), target[::step][own]
    whole = np.isfinite(table)
    filled = np.where(whole, table, 0.0)
    middle = filled.sum(axis=0) / np.maximum(whole.sum(axis=0), 1)
    return np.where(whole, table, middle), known


def _alike(one: Numbers, other: Numbers) -> NDArray[np.bool_]:
    """Return which columns lie about where they lie in the other part (column,)."""
    deviations = one.std(axis=0), other.std(axis=0)
    near = np.abs(one.mean(axis=0) - other.mean(axis=0)) <= _MOVED * np.maximum(*deviations)
    return near & (deviations[1] >= _NARROWER * deviations[0]) & (deviations[1] <= _WIDER * deviations[0])


def _within(values: Numbers, target: Numbers) -> tuple[float, float]:
    """Return the correlation of each half with what the other one says of it, the smaller one first."""
    drawn = np.random.default_rng(0).permutation(len(values))
    found: list[float] = []
    for order in (np.arange(len(values)), drawn):
        halves = np.array_split(order, 2)
        told = np.zeros_like(target)
        for one, other in (halves, halves[::-1]):
            told[other] = _told(values[one], target[one], values[other])
        found.append(_correlation(target, told))
    return min(found), max(found)


def _told(values: Numbers, target: Numbers, asked: Numbers) -> Numbers:
    """Return what a linear model says, held back by as much as it has columns."""
    middle, centre = values.mean(axis=0), target.mean(axis=0)
    own = values - middle
    weights = np.linalg.solve(
        own.T @ own + (1.0 + own.shape[1]) * np.eye(own.shape[1]), own.T @ (target - centre)
    )
    return (asked - middle) @ weights


def _correlation(true: Numbers, told: Numbers) -> float:
    one, other = (each - each.mean(axis=0) for each in (true, told))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / size if size > 0 else 0.0
