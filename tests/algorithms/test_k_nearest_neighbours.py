"""k-nearest neighbours against scikit-learn's; equally near rows are taken in their order."""

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelwright.algorithms import k_nearest_neighbours
from modelwright.algorithms.k_nearest_neighbours import Config, nearest, weigh
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience


def run(cohort, **settings):
    (step,) = k_nearest_neighbours.train(cohort.experience, cohort.seeds, Config(**settings))
    return step


def oracle(task, neighbours, weights, *, standardize):
    kind = KNeighborsClassifier if task == "classification" else KNeighborsRegressor
    one = kind(neighbours, weights=weights, algorithm="kd_tree")
    return make_pipeline(StandardScaler(), one) if standardize else one


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("neighbours", [1, 5, 12])
@pytest.mark.parametrize("data", ["wine", "cancer", "diabetes"])
def test_predictions_are_scikit_learn_s(data, neighbours, weights, standardize, given):
    cohort = given(data, 2, ragged=True)
    step = run(cohort, neighbours=neighbours, weights=weights, standardize=standardize)
    table = cohort.experience.features.astype(np.float64)
    for place, rows in enumerate(cohort.experience.rows):
        one = oracle(cohort.experience.task, neighbours, weights, standardize=standardize)
        one.fit(table[rows], cohort.experience.target[rows])
        test = table[cohort.held_out[place]]
        expected = one.predict(test) if data == "diabetes" else one.predict_proba(test)
        # Bundled rows differ from one another, so no two distances tie but by whole-numbered features.
        same = np.isclose(step.model.predict(cohort.tests())[place], expected, rtol=1e-7, atol=1e-9)
        assert same.mean() == 1.0 if standardize else same.mean() > 0.98


@pytest.mark.parametrize("data", ["wine", "diabetes"])
def test_the_left_out_score_is_that_of_leaving_one_out(data, given):
    cohort = given(data, 1)
    step = run(cohort, neighbours=3, standardize=False)
    rows = cohort.experience.rows[0]
    x, y = cohort.experience.features[rows].astype(np.float64), cohort.experience.target[rows]
    one = oracle(cohort.experience.task, 3, "uniform", standardize=False)
    found = cross_val_predict(one, x, y, cv=LeaveOneOut())
    if data == "wine":
        assert step.metrics["left_out_accuracy"][0] == pytest.approx((found == y).mean())
    else:
        assert step.metrics["left_out_rmse"][0] == pytest.approx(np.sqrt(np.square(found - y).mean()))
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    apart.sort(axis=1)
    assert step.metrics["nearest_distance"][0] == pytest.approx(apart[:, 0].mean())
    assert step.metrics["furthest_distance"][0] == pytest.approx(apart[:, 2].mean())


def test_of_equally_near_rows_the_first_are_taken():
    examples = np.array([[1.0], [-1.0], [1.0], [5.0], [-1.0]])
    places, distances = nearest(np.array([[0.0]]), examples, 3)
    assert places.tolist() == [[0, 1, 2]]
    assert distances.tolist() == [[1, 1, 1]]
    # Long enough that a sort which does not keep equal numbers in their order would show.
    many = np.tile(examples, (60, 1))
    places, _ = nearest(np.array([[0.0]]), many, 200)
    assert places[0].tolist() == [place for place in range(300) if place % 5 != 3][:200]
    own, _ = nearest(examples, examples, 1, own=True)
    assert own[:, 0].tolist() == [2, 4, 0, 0, 1]


def test_rows_are_compared_in_parts_that_do_not_show(monkeypatch):
    random = np.random.default_rng(0)
    rows, examples = random.normal(size=(23, 3)), random.normal(size=(11, 3))
    whole, squares = nearest(rows, examples, 4), nearest(examples, examples, 4, own=True)
    monkeypatch.setattr(k_nearest_neighbours, "_NUMBERS_AT_ONCE", 25)
    for found, expected in (
        (nearest(rows, examples, 4), whole),
        (nearest(examples, examples, 4, own=True), squares),
    ):
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_a_row_that_is_an_example_is_answered_by_it_alone():
    found = weigh(np.array([[0.0, 2.0, 0.0], [1.0, 2.0, 4.0]]), "distance")
    np.testing.assert_allclose(found, [[1, 0, 1], [1, 0.5, 0.25]])


def test_more_neighbours_than_other_rows_are_refused(given):
    wine = given("wine", 1).experience
    few = Experience(
        features=wine.features,
        target=wine.target,
        rows=(np.arange(5),),
        task="classification",
        classes=wine.classes,
    )
    with pytest.raises(BadValue, match=r"Nearest: k_nearest_neighbours\.neighbours=4"):
        next(iter(k_nearest_neighbours.train(few, given("wine", 1).seeds, Config())))
