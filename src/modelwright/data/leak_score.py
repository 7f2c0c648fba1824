"""How well one quantity, or several through trees, predict a target: 0 at chance, 1 without a mistake."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_bins", "deal_folds", "pick_rows", "rank_values", "score_bins", "score_forest"]

_FOREST_FOLDS = 3
_AT_LEAST = 5


def pick_rows(goal: NDArray[Any], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return at most `most` rows in order, rare ones among them.

    Half of the places are shared out among the classes alike, so that a rare class keeps all its rows or
    many; among numbers, the most common one and all others are such classes. The other half is random.

    Args:
        goal: (row,) class indices (int64), or numbers (float64).
        most: How many rows.
        generator: Draws them.
    """
    if len(goal) <= most:
        return np.arange(len(goal))
    found, codes, counts = np.unique(goal, return_inverse=True, return_counts=True)
    if goal.dtype != np.int64:
        found, codes = np.arange(2), (codes != counts.argmax()).astype(np.int64)
    order = generator.permutation(len(goal))
    order = order[np.argsort(codes[order], kind="stable")]
    place = np.arange(len(goal)) - np.searchsorted(codes[order], codes[order])
    first = place < most // (2 * len(found))
    rest = generator.permutation(order[~first])
    return np.sort(np.concatenate([order[first], rest[: most - int(first.sum())]]))


def deal_folds(goal: NDArray[Any], folds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each row, from 0; each class (int64) is spread over the folds evenly."""
    order = generator.permutation(len(goal))
    if goal.dtype == np.int64:
        order = order[np.argsort(goal[order], kind="stable")]
    fold = np.empty(len(goal), dtype=np.int64)
    fold[order] = np.arange(len(goal)) % folds
    return fold


def rank_values(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return mean ranks from 0; NaN ranks last."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + last - 1) / 2)[place]


def cut_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a bin for each row: one per value where they are few, else of equal size; one for NaN.

    Values are few where they come up five times on average, the most common one left out: a bin for each
    amount that one row has would tell nothing of the amounts of other rows.
    """
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    most = int(np.clip(len(values) // 8, 8, 256))
    rest = len(values) - int(counts.max())
    if len(counts) <= 8 or (len(counts) <= most and rest >= _AT_LEAST * (len(counts) - 1)):
        return codes
    known = ~np.isnan(values)
    ranks = rank_values(values)
    return np.where(known, (ranks * most // len(values)).astype(np.int64), most)


def score_bins(bins: NDArray[np.int64], goal: NDArray[Any], fold: NDArray[np.int64]) -> float:
    """Return how well bins alone predict `goal`, cross-validated: 0 at chance, 1 without a mistake.

    0 also where `goal` has one value only, which nothing can tell from another.

    Args:
        bins: (row,) bin of each row, from 0.
        goal: (row,) class indices without gaps (int64), or numbers (float64).
        fold: (row,) fold of each row, from 0.
    """
    if (goal == goal[0]).all():
        return 0.0
    width, folds = int(bins.max()) + 1, int(fold.max()) + 1
    if goal.dtype == np.int64:
        classes = int(goal.max()) + 1
        counts = np.bincount((fold * width + bins) * classes + goal, minlength=folds * width * classes)
        counts = counts.reshape(folds, width, classes)
        seen = counts.sum(axis=0) - counts
        weight = 1 / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        guess = (seen * weight).argmax(axis=2)
        hits = np.take_along_axis(counts, guess[..., None], axis=2)[..., 0]
        right = np.bincount(guess.ravel(), weights=hits.ravel(), minlength=classes)
        recall = right / np.bincount(goal, minlength=classes)
        return float((recall.mean() - 1 / classes) / (1 - 1 / classes))
    index = fold * width + bins
    counts = np.bincount(index, minlength=folds * width).reshape(folds, width)
    sums = np.bincount(index, weights=goal, minlength=folds * width).reshape(folds, width)
    seen, seen_sums = counts.sum(axis=0) - counts, sums.sum(axis=0) - sums
    overall = seen_sums.sum(axis=1, keepdims=True) / seen.sum(axis=1, keepdims=True)
    mean = np.where(seen > 0, seen_sums / np.maximum(seen, 1), overall)
    residual = goal - mean[fold, bins]
    return float(1 - np.square(residual).sum() / np.square(goal - goal.mean()).sum())


def score_forest(
    table: NDArray[Any],
    goal: NDArray[Any],
    fold: NDArray[np.int64],
    generator: np.random.Generator,
    *,
    trees: int,
) -> float:
    """Return the cross-validated score of a forest, or of one tree on all rows where `trees` is 1."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    classes = goal.dtype == np.int64
    options: dict[str, Any] = {"class_weight": "balanced"} if classes else {"max_features": 0.4}
    kind = RandomForestClassifier if classes else RandomForestRegressor
    guess = np.empty(len(goal), dtype=goal.dtype)
    folds = np.unique(fold) if trees == 1 else np.unique(fold)[:_FOREST_FOLDS]
    for number in folds:
        forest = kind(
            n_estimators=trees,
            bootstrap=trees > 1,
            min_samples_leaf=3 if trees == 1 else 1,
            random_state=int(generator.integers(2**31)),
            n_jobs=1,
            **options,
        )
        forest.fit(table[fold != number], goal[fold != number])
        guess[fold == number] = forest.predict(table[fold == number])
    done = np.isin(fold, folds)
    goal, guess = goal[done], guess[done]
    if (goal == goal[0]).all():
        return 0.0
    if not classes:
        return float(1 - np.square(goal - guess).sum() / np.square(goal - goal.mean()).sum())
    present = np.unique(goal)
    recall = np.mean([(guess[goal == label] == label).mean() for label in present])
    return float((recall - 1 / len(present)) / (1 - 1 / len(present)))
