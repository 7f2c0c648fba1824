"""Can a classifier tell training rows from test rows?

Rows are described by pooled ranks of each feature and of the target, their squares, and products of pairs;
a ridge classifier learns to tell the sides apart and is scored by its cross-validated area under the ROC
curve (AUC). Beside it stands the column whose ranks differ most, which sees a change in one column of many.
The null is the same two scores after the sides were dealt again: row by row, or group by group where the
split keeps groups apart. The ridge's predictions are linear in the labels, so thousands of dealings cost a
few matrix products.

Source: classifier two-sample tests (Lopez-Paz and Oquab 2017), with an exact permutation null in place of
their asymptotic one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.split import Split

__all__ = ["SHIFT_LEVEL", "Shift", "check_shift", "measure_shift"]

SHIFT_LEVEL = 0.005
"""Chance of any alarm over all splits checked, where train and test are dealt alike."""
_SIDE_ROWS = 1000
_FOLDS = 5
_FIRST_DRAWS = 99
_DRAWS = 1999
_GIVE_UP = 0.1
_MOST_COLUMNS = 60
_PAIRS = 120
_RIDGE = 0.3
_PROMISING = ("random", "stratified", "grouped", "nested")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How well the sides of one split can be told apart.

    Attributes:
        auc: Cross-validated area under the ROC curve; 0.5 where they are alike.
        p_value: Twice the smaller of the next two.
        classifier_p_value: Share of dealings with as high an AUC, the observed one included.
        column_p_value: Share of dealings in which some column's mean ranks lie as far apart.
        draws: How many dealings were tried; fewer where the first showed that no alarm can come.
        columns: The columns that differ most by themselves: name -> AUC of that column alone.
        rows: How many rows of each side were looked at.
    """

    auc: float
    p_value: float
    classifier_p_value: float
    column_p_value: float
    draws: int
    columns: dict[str, float]
    rows: tuple[int, int]


def check_shift(
    dataset: Dataset, split: Split, generator: np.random.Generator, *, checked: int
) -> Iterator[Finding]:
    """Yield a finding where train and test of one split differ more than dealing explains.

    Kinds random, stratified, grouped and nested promise that both sides are alike, so a clear difference
    (AUC 0.6 or more) is severe. A split in time promises nothing: drift is what it is for, so it is a
    warning. Published parts promise nothing either, but an AUC of 0.9 or more means other units, other
    coding or another population: severe.

    Args:
        dataset: The data.
        split: One split of it.
        generator: For rows, folds and dealings.
        checked: How many splits are checked in all; the level is divided among them.
    """
    shift = measure_shift(dataset, split, generator)
    if shift is None or shift.p_value > SHIFT_LEVEL / checked:
        return
    promised = split.plan.kind in _PROMISING
    first, alone = next(iter(shift.columns.items()))
    apart = max(shift.auc, alone, 1 - alone)
    severe = apart >= 0.6 if promised else split.plan.kind == "column" and apart >= 0.9
    drift = Cause(what="the world changed between training and test rows")
    coding = Cause(what=f"{first} has another unit, coding or origin on one side")
    picked = Cause(what="test rows were chosen by something that the features show")
    yield Finding(
        kind="train-test-differ",
        severity=Severity.SEVERE if severe else Severity.WARNING,
        title=f"A classifier tells test rows from training rows (AUC {apart:.2f}); {first} differs most.",
        evidence={
            "auc": shift.auc,
            "p_value": shift.p_value,
            "classifier_p_value": shift.classifier_p_value,
            "column_p_value": shift.column_p_value,
            "level": SHIFT_LEVEL / checked,
            "draws": shift.draws,
            "columns": shift.columns,
            "train_rows": shift.rows[0],
            "test_rows": shift.rows[1],
            "split": split.identity[:12],
            "kind": split.plan.kind,
        },
        causes=(drift, coding, picked) if split.plan.kind == "time" else (coding, picked, drift),
        next_check=f"Draw {first} for both sides. If the difference is what you want to test "
        "against, accept the finding.",
        subject="split",
    )


def measure_shift(dataset: Dataset, split: Split, generator: np.random.Generator) -> Shift | None:
    """Return how far the sides of a split can be told apart.

    None where a side has fewer than ten rows, or no column varies.
    """
    if min(len(split.train), len(split.test)) < 2 * _FOLDS:
        return None
    train, test = (
        rows if len(rows) <= _SIDE_ROWS else generator.choice(rows, _SIDE_ROWS, replace=False)
        for rows in (split.train, split.test)
    )
    rows = np.concatenate([train, test])
    side = np.repeat([0.0, 1.0], [len(train), len(test)])
    base, names, targets = _base(dataset, rows)
    if not names:
        return None
    design = _design(base, targets, generator)
    units = _units(dataset, split, rows)
    fold = _fold(units, len(rows), generator)
    score = _Scorer(design, fold)
    observed = np.array([score(side[:, None])[0], _largest_gap(base, side[:, None])[0]])
    above, draws = np.zeros(2), 0
    for count in (_FIRST_DRAWS, _DRAWS - _FIRST_DRAWS):
        dealt = _dealings(side, units, count, generator)
        null = np.stack([score(dealt), _largest_gap(base, dealt)])
        above += (null >= observed[:, None] - 1e-12).sum(axis=1)
        draws += count
        if ((1 + above) / (1 + draws)).min() > _GIVE_UP:
            break
    p_values = (1 + above) / (1 + draws)
    single = _auc(base, side[:, None].repeat(base.shape[1], axis=1))
    most = np.argsort(-np.abs(single - 0.5), kind="stable")[:5]
    return Shift(
        auc=float(observed[0]),
        p_value=float(min(1.0, 2 * p_values.min())),
        classifier_p_value=float(p_values[0]),
        column_p_value=float(p_values[1]),
        draws=draws,
        columns={names[place]: float(single[place]) for place in most},
        rows=(len(train), len(test)),
    )


def _largest_gap(base: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each column of `labels`, how far the sides' mean ranks lie apart at most in any column."""
    ones = labels.sum(axis=0)
    return np.abs(base.T @ labels).max(axis=0) * len(labels) / np.maximum(ones * (len(labels) - ones), 1)


def _base(dataset: Dataset, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], list[str], int]:
    """Return standardized pooled ranks of features and target, their names, and how many are the target's."""
    table = dataset.table()[rows].astype(np.float64)
    names = list(dataset.feature_names)
    gaps = np.isnan(table)
    holed = np.flatnonzero(gaps.any(axis=0) & ~gaps.all(axis=0))
    ranks = np.column_stack([_ranks(table[:, place]) for place in range(table.shape[1])])
    parts = [ranks, gaps[:, holed] * 1.0]
    names += [f"{names[place]} is missing" for place in holed]
    features = len(names)
    if dataset.task == "classification" and len(dataset.classes) <= 20:
        first = 1 if len(dataset.classes) == 2 else 0  # the other class says the same
        parts.append((dataset.target[rows][:, None] == np.arange(first, len(dataset.classes))) * 1.0)
        names += [f"target is {label}" for label in dataset.classes[first:]]
    else:
        parts.append(_ranks(dataset.target[rows].astype(np.float64))[:, None])
        names.append("target")
    base = np.column_stack(parts)
    live = np.flatnonzero(base.std(axis=0) > 1e-9)
    return _standard(base[:, live]), [names[place] for place in live], int((live >= features).sum())


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean ranks in [-0.5, 0.5]; missing values sit in the middle."""
    known = ~np.isnan(values)
    ranks = np.zeros(len(values))
    if known.any():
        _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        ranks[known] = ((last - counts + last) / 2 / last[-1] - 0.5)[place]
    return ranks


def _standard(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-9)


def _design(base: NDArray[np.float64], targets: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return base columns (features by their main axes where they are many), squares, and products of pairs.

    Args:
        base: (row, column); the target's columns come last.
        targets: How many those are. Their products with features show a changed relation to the target.
        generator: Chooses pairs where there are too many.
    """
    axes, target = base[:, : base.shape[1] - targets], base[:, base.shape[1] - targets :]
    if axes.shape[1] > _MOST_COLUMNS:
        _, _, directions = np.linalg.svd(axes, full_matrices=False)
        axes = _standard(axes @ directions[:_MOST_COLUMNS].T)
    within = np.column_stack(np.triu_indices(axes.shape[1], 1))
    across = np.indices((axes.shape[1], targets)).reshape(2, -1).T
    within, across = (
        pairs if len(pairs) <= _PAIRS else pairs[generator.choice(len(pairs), _PAIRS, replace=False)]
        for pairs in (within, across)
    )
    parts = [axes, target, np.square(axes), np.square(target)]
    parts += [axes[:, within[:, 0]] * axes[:, within[:, 1]], axes[:, across[:, 0]] * target[:, across[:, 1]]]
    design = np.column_stack(parts)
    return _standard(design[:, design.std(axis=0) > 1e-9])


def _units(dataset: Dataset, split: Split, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return what was dealt as one: the group of each row where the split keeps groups apart, else None."""
    if dataset.groups is None or np.intersect1d(dataset.groups[split.train], dataset.groups[split.test]).size:
        return None
    return np.unique(dataset.groups[rows], return_inverse=True)[1]


def _fold(units: NDArray[np.int64] | None, rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
    if units is None:
        return generator.permutation(rows) % _FOLDS
    return (generator.permutation(units.max() + 1) % _FOLDS)[units]


def _dealings(
    side: NDArray[np.float64], units: NDArray[np.int64] | None, count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return `count` columns of sides dealt again, rows or whole groups."""
    own = side if units is None else np.bincount(units, weights=side) / np.bincount(units)
    dealt = generator.permuted(np.repeat(own[:, None], count, axis=1), axis=0)
    return dealt if units is None else dealt[units]


class _Scorer:
    """AUC of out-of-fold ridge predictions for any number of label columns at once."""

    def __init__(self, design: NDArray[np.float64], fold: NDArray[np.int64]) -> None:
        self.parts: list[tuple[NDArray[np.bool_], NDArray[np.float64]]] = []
        for number in np.unique(fold):
            test = fold == number
            known = design[~test]
            centre = known.mean(axis=0)
            known = known - centre
            if known.shape[0] < known.shape[1]:
                gram = known @ known.T + _RIDGE * len(known) * np.eye(len(known))
                hat = (design[test] - centre) @ known.T @ np.linalg.inv(gram)
            else:
                gram = known.T @ known + _RIDGE * len(known) * np.eye(known.shape[1])
                hat = (design[test] - centre) @ np.linalg.solve(gram, known.T)
            self.parts.append((test, hat))

    def __call__(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one AUC per column of `labels` (row, dealing)."""
        scores = np.empty_like(labels)
        for test, hat in self.parts:
            known = labels[~test]
            scores[test] = hat @ (known - known.mean(axis=0))
        return _auc(scores, labels)


def _auc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of each column; ties count half."""
    order = np.argsort(scores, axis=0)
    ranks = np.empty_like(scores)
    place = np.arange(1, len(scores) + 1, dtype=np.float64)[:, None]
    np.put_along_axis(ranks, order, np.broadcast_to(place, scores.shape), axis=0)
    ordered = np.take_along_axis(scores, order, axis=0)
    for column in np.flatnonzero((np.diff(ordered, axis=0) == 0).any(axis=0)):
        _, inverse, counts = np.unique(scores[:, column], return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        ranks[:, column] = ((2 * last - counts + 1) / 2)[inverse]
    ones = labels.sum(axis=0)
    zeros = len(labels) - ones
    return ((ranks * labels).sum(axis=0) - ones * (ones + 1) / 2) / np.maximum(ones * zeros, 1)
