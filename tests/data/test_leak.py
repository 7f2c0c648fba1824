"""The scores behind leak findings, beside naive twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, r2_score

from modelwright.data.leak_score import cut_bins, score_bins


def naive_class_score(bins: np.ndarray, goal: np.ndarray, fold: np.ndarray) -> float:
    classes = int(goal.max()) + 1
    guess = np.empty(len(goal), dtype=int)
    for row in range(len(goal)):
        other = fold != fold[row]
        known = other & (bins == bins[row])
        votes = [
            (known & (goal == label)).sum() * (1 / max((other & (goal == label)).sum(), 1))
            for label in range(classes)
        ]
        guess[row] = int(np.argmax(votes))
    return (balanced_accuracy_score(goal, guess) - 1 / classes) / (1 - 1 / classes)


def naive_value_score(bins: np.ndarray, goal: np.ndarray, fold: np.ndarray) -> float:
    guess = np.empty(len(goal))
    for row in range(len(goal)):
        other = fold != fold[row]
        known = other & (bins == bins[row])
        guess[row] = goal[known].mean() if known.any() else goal[other].mean()
    return r2_score(goal, guess)


@hypothesis_settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(12, 60), width=st.integers(1, 8), classes=st.integers(2, 4)
)
def test_scores_of_bins_agree_with_naive_twins(seed: int, rows: int, width: int, classes: int) -> None:
    draw = np.random.default_rng(seed)
    bins = draw.integers(0, width, rows)
    fold = draw.permutation(rows) % 3
    labels = np.concatenate(
        [np.arange(classes), np.arange(classes), draw.integers(0, classes, rows - 2 * classes)]
    )
    values = draw.normal(size=rows)
    assert score_bins(bins, labels, fold) == pytest.approx(naive_class_score(bins, labels, fold), abs=1e-12)
    assert score_bins(bins, values, fold) == pytest.approx(naive_value_score(bins, values, fold), abs=1e-9)


def test_scores_are_zero_at_chance_and_one_without_a_mistake() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 3000)
    fold = draw.permutation(3000) % 5
    assert score_bins(labels, labels, fold) == 1
    assert abs(score_bins(draw.integers(0, 3, 3000), labels, fold)) < 0.05
    values = labels.astype(float)
    assert score_bins(labels, values, fold) == pytest.approx(1)
    assert abs(score_bins(draw.integers(0, 3, 3000), values, fold)) < 0.02


def test_bins_keep_the_order_hold_equal_values_together_and_set_gaps_apart() -> None:
    draw = np.random.default_rng(0)
    values = np.round(draw.normal(size=500), 2)
    values[::50] = np.nan
    bins = cut_bins(values)
    known = ~np.isnan(values)
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(bins[known][order]) >= 0).all()
    assert len({(value, place) for value, place in zip(values[known], bins[known], strict=True)}) == len(
        np.unique(values[known])
    )
    assert len(np.unique(bins[~known])) == 1
    assert not np.isin(bins[~known], bins[known]).any()
    few = cut_bins(np.array([3.0, 1.0, np.nan, 3.0, np.nan]))
    assert few.tolist() == [1, 0, 2, 1, 2]
