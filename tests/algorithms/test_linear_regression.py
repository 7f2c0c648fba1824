"""Linear and ridge regression against scikit-learn, which solves the same problem in its own way."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelwright.algorithms import linear_regression
from modelwright.algorithms.linear_regression import Config
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience


def fit(given, **settings):
    *_, last = linear_regression.train(given.experience, given.seeds, Config(**settings))
    return last


def oracle(given, model):
    """Return the predictions of one scikit-learn model per seed, fitted in float64."""
    features, target = given.experience.features.astype(np.float64), given.experience.target
    return [
        model.fit(features[rows], target[rows]).predict(features[test])
        for rows, test in zip(given.experience.rows, given.held_out, strict=True)
    ]


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("l2", [0.0, 1e-3, 1.0, 100.0])
def test_the_closed_form_predicts_what_scikit_learn_predicts(l2, standardize, given):
    diabetes = given("diabetes", 3, ragged=True)
    step = fit(diabetes, l2=l2, standardize=standardize)
    model = Ridge(alpha=l2, solver="svd") if l2 else LinearRegression()
    expected = oracle(diabetes, make_pipeline(StandardScaler(), model) if standardize else model)
    for found, wanted in zip(step.model.predict(diabetes.tests()), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_closed_form_takes_the_shortest_solution_where_there_are_more_features_than_rows():
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(20, 50)).astype(np.float32), rng.normal(size=20)
    experience = Experience(features=features, target=target, rows=(np.arange(12),), task="regression")
    step = next(iter(linear_regression.train(experience, given_seed(), Config(standardize=False))))
    expected = LinearRegression().fit(features[:12].astype(np.float64), target[:12])
    np.testing.assert_allclose(
        step.model.predict([features[12:]])[0], expected.predict(features[12:]), rtol=1e-6
    )
    assert step.metrics["rank"][0] == 11
    assert step.metrics["train_loss"][0] < 1e-20


def given_seed():
    from modelwright.base.seed import derive_seeds

    return derive_seeds("one", 1)


@pytest.mark.parametrize("l2", [0.0, 30.0])
@pytest.mark.parametrize(
    "rule",
    [
        {"optimizer": "adam", "learning_rate": 0.1, "schedule": "cosine", "updates": 1100},
        pytest.param(
            {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.95, "updates": 6000},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["adam", "sgd"],
)
def test_descent_on_all_rows_ends_where_the_closed_form_is(rule, l2, given):
    diabetes = given("diabetes", 2, ragged=True)
    descent = fit(diabetes, solver="descent", batch_size=None, l2=l2, **rule)
    closed = fit(diabetes, l2=l2)
    for found, wanted in zip(
        descent.model.predict(diabetes.tests()), closed.model.predict(diabetes.tests()), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=2e-3)
    np.testing.assert_allclose(descent.metrics["train_rmse"], closed.metrics["train_rmse"], rtol=1e-4)


@pytest.mark.parametrize("l2", [0.0, 30.0])
def test_stochastic_gradient_comes_near_the_closed_form(l2, given):
    diabetes = given("diabetes", 2, ragged=True)
    rule = {"optimizer": "sgd", "learning_rate": 0.02, "batch_size": 32, "schedule": "cosine"}
    descent = fit(diabetes, solver="descent", l2=l2, updates=2500, **rule)
    closed = fit(diabetes, l2=l2)
    pairs = zip(descent.model.predict(diabetes.tests()), closed.model.predict(diabetes.tests()), strict=True)
    for place, (found, wanted) in enumerate(pairs):
        # The steps of single batches leave a spread that is small beside the error of the best line, 54.
        assert np.sqrt(np.square(found - wanted).mean()) < 3, place


def test_the_metrics_of_the_closed_form_are_what_they_say(given):
    diabetes = given("diabetes", 2)
    step = fit(diabetes, l2=5.0)
    for place, rows in enumerate(diabetes.experience.rows):
        x = StandardScaler().fit_transform(diabetes.experience.features[rows].astype(np.float64))
        y = diabetes.experience.target[rows]
        ridge = Ridge(alpha=5.0).fit(x, y)
        error = ridge.predict(x) - y
        assert step.metrics["train_loss"][place] == pytest.approx(np.mean(error**2), rel=1e-6)
        assert step.metrics["train_r2"][place] == pytest.approx(ridge.score(x, y), rel=1e-6)
        assert step.metrics["penalty"][place] == pytest.approx(5 / len(x) * np.sum(ridge.coef_**2), rel=1e-6)
        assert step.metrics["weight_norm"][place] == pytest.approx(np.linalg.norm(ridge.coef_), rel=1e-6)
    assert (step.metrics["grad_norm"] < 1e-8 * step.metrics["train_loss"]).all()
    assert (step.metrics["condition_number"] < 100).all()


def test_a_duplicate_column_shows_in_rank_and_condition(given):
    diabetes = given("diabetes", 1).experience
    features = np.concatenate([diabetes.features, diabetes.features[:, :1]], axis=1)
    twice = Experience(features=features, target=diabetes.target, rows=diabetes.rows, task="regression")
    (step,) = linear_regression.train(twice, given_seed(), Config())
    assert step.metrics["rank"][0] == 10
    assert step.metrics["condition_number"][0] > 1e8


def test_settings_of_an_update_are_refused_in_closed_form():
    with pytest.raises(BadValue, match="learning_rate"):
        Config(learning_rate=0.5)
    assert Config(learning_rate=0.5, solver="descent").learning_rate == 0.5


def test_classes_are_refused(given):
    wine = given("wine", 1)
    with pytest.raises(BadValue, match="regression"):
        next(iter(linear_regression.train(wine.experience, wine.seeds, Config())))
