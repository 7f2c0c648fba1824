"""The classifier that tells train from test, beside scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from modelwright.data import shift
from modelwright.data.dataset import Dataset
from modelwright.data.split import Split, SplitPlan
from modelwright.data.twins import find_twins


@pytest.mark.parametrize("columns", [3, 80])
def test_out_of_fold_predictions_are_a_ridge_regression_s(columns: int) -> None:
    draw = np.random.default_rng(0)
    design = draw.normal(size=(90, columns))
    fold = draw.permutation(90) % 5
    labels = (draw.random((90, 4)) < 0.4).astype(float)
    expected = []
    for place in range(4):
        scores = np.empty(90)
        for number in range(5):
            test = fold == number
            ridge = Ridge(alpha=shift._RIDGE * (~test).sum()).fit(design[~test], labels[~test, place])
            scores[test] = (design[test] - design[~test].mean(axis=0)) @ ridge.coef_
        expected.append(roc_auc_score(labels[:, place], scores))
    np.testing.assert_allclose(shift._Scorer(design, fold)(labels), expected, atol=1e-9)


def test_the_area_under_the_curve_counts_ties_half() -> None:
    draw = np.random.default_rng(0)
    scores = np.round(draw.normal(size=(70, 20)), 1)
    scores[:, 0] = draw.normal(size=70)
    labels = (draw.random((70, 20)) < 0.3).astype(float)
    expected = [roc_auc_score(labels[:, place], scores[:, place]) for place in range(20)]
    np.testing.assert_allclose(shift._auc(scores, labels), expected, atol=1e-12)


def test_groups_are_dealt_whole_where_the_split_keeps_them_apart() -> None:
    draw = np.random.default_rng(0)
    units = np.repeat(np.arange(10), 6)
    side = np.isin(units, [2, 5, 7]).astype(float)
    dealt = shift._dealings(side, units, 50, draw)
    for column in dealt.T:
        assert all(len(np.unique(column[units == unit])) == 1 for unit in range(10))
        assert column.sum() == 18
    assert len(np.unique(dealt, axis=1).T) > 20


def test_a_side_with_few_rows_or_idle_columns_is_left_alone() -> None:
    dataset = Dataset(
        name="idle",
        features=np.ones((40, 2), dtype=np.float32),
        target=np.zeros(40, dtype=np.int64),
        task="classification",
        classes=("a",),
        columns=("x", "y"),
    )
    rows = np.arange(40)
    for count in (5, 20):
        split = Split(train=rows[count:], test=rows[:count], plan=SplitPlan(), dataset=dataset.identity)
        assert shift.measure_shift(dataset, split, np.random.default_rng(0)) is None


def test_twins_are_what_pandas_calls_duplicates() -> None:
    import pandas as pd

    draw = np.random.default_rng(0)
    table = draw.integers(0, 3, size=(200, 3)).astype(np.float32)
    table[table == 2] = np.nan
    table[table == 0] *= np.where(draw.random((table == 0).sum()) < 0.5, -1, 1)
    twins = find_twins(table)
    frame = pd.DataFrame(table + 0)
    np.testing.assert_array_equal(twins.repeats, frame.duplicated().to_numpy())
    sizes = frame.groupby([0, 1, 2], dropna=False).transform("size")
    np.testing.assert_array_equal(twins.size, sizes.to_numpy())
    assert len(np.unique(twins.cluster)) == len(frame.drop_duplicates())
