"""Gaussian naive Bayes against scikit-learn's and SciPy's normal densities."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB

from modelwright.algorithms import gaussian_naive_bayes
from modelwright.algorithms.gaussian_naive_bayes import Config, fit
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience


def run(cohort, **settings):
    (step,) = gaussian_naive_bayes.train(cohort.experience, cohort.seeds, Config(**settings))
    return step


@pytest.mark.parametrize("var_smoothing", [1e-9, 1e-3, 1.0])
@pytest.mark.parametrize("data", ["wine", "cancer", "digits"])
def test_probabilities_are_scikit_learn_s(data, var_smoothing, given):
    cohort = given(data, 2, ragged=True)
    step = run(cohort, var_smoothing=var_smoothing)
    table = cohort.experience.features.reshape(len(cohort.experience.features), -1).astype(np.float64)
    for place, rows in enumerate(cohort.experience.rows):
        target = cohort.experience.target[rows]
        oracle = GaussianNB(var_smoothing=var_smoothing).fit(table[rows], target)
        expected = oracle.predict_proba(table[cohort.held_out[place]])
        np.testing.assert_allclose(step.model.predict(cohort.tests())[place], expected, rtol=1e-9, atol=1e-12)
        state = {name: values[place] for name, values in step.model.state().items()}
        np.testing.assert_allclose(state["mean"], oracle.theta_, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(state["variance"], oracle.var_, rtol=1e-9)
        np.testing.assert_allclose(state["prior"], oracle.class_prior_, rtol=1e-12)
        found = oracle.predict_proba(table[rows])
        assert step.metrics["train_accuracy"][place] == pytest.approx(oracle.score(table[rows], target))
        assert step.metrics["certain_share"][place] == pytest.approx((found.max(axis=1) > 0.999).mean())
        if found.min() > 1e-15:
            assert step.metrics["train_loss"][place] == pytest.approx(log_loss(target, found), rel=1e-9)
        assert step.metrics["smallest_class"][place] == np.bincount(target).min()


def test_the_joint_density_is_a_product_of_normals():
    random = np.random.default_rng(0)
    table, target = random.normal(size=(40, 3)), random.integers(2, size=40)
    one = fit(table, target, 2, 1e-9)
    for label in (0, 1):
        own = table[target == label]
        density = norm(own.mean(axis=0), own.std(axis=0)).logpdf(table).sum(axis=1)
        np.testing.assert_allclose(one.log_joint(table)[:, label], np.log(len(own) / 40) + density, rtol=1e-6)


def test_a_class_without_rows_is_impossible_and_constant_features_decide_nothing(given):
    cohort = given("wine", 1)
    features = np.ones((8, 2), np.float32)
    experience = Experience(
        features=features,
        target=np.array([0, 0, 0, 1, 1, 1, 1, 1]),
        rows=(np.arange(8),),
        task="classification",
        classes=cohort.experience.classes,
    )
    (step,) = gaussian_naive_bayes.train(experience, cohort.seeds, Config())
    np.testing.assert_allclose(step.model.predict([features])[0], np.tile([3 / 8, 5 / 8, 0], (8, 1)))
    assert step.metrics["smallest_class"][0] == 0


def test_values_are_refused(given):
    with pytest.raises(BadValue, match="classification"):
        run(given("diabetes", 1))
