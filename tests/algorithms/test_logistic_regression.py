"""Logistic and softmax regression against scikit-learn at convergence."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from modelwright.algorithms import logistic_regression
from modelwright.algorithms.logistic_regression import Config
from modelwright.base.errors import BadValue

RULES = {
    "adam": {"learning_rate": 0.1, "schedule": "cosine", "updates": 1500},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.9, "updates": 3000},
}


@pytest.mark.parametrize(
    "l2", [1.0, pytest.param(10.0, marks=pytest.mark.slow), pytest.param(0.5, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("rule", ["adam", pytest.param("sgd", marks=pytest.mark.slow)])
@pytest.mark.parametrize("data", ["wine", "cancer"], ids=["three classes", "two classes"])
def test_on_all_rows_it_converges_to_the_probabilities_of_scikit_learn(data, rule, l2, given):
    cohort = given(data, 2, ragged=True)
    config = Config(batch_size=None, l2=l2, **RULES[rule])
    *_, last = logistic_regression.train(cohort.experience, cohort.seeds, config)
    found = last.model.predict(cohort.tests())
    for place, rows in enumerate(cohort.experience.rows):
        scale = StandardScaler().fit(cohort.experience.features[rows].astype(np.float64))
        x = scale.transform(cohort.experience.features[rows].astype(np.float64))
        oracle = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(
            x, cohort.experience.target[rows]
        )
        expected = oracle.predict_proba(scale.transform(cohort.tests()[place].astype(np.float64)))
        np.testing.assert_allclose(found[place], expected, atol=2e-4)
        coefficients = last.model.state()["weight"][place].T
        np.testing.assert_allclose(coefficients, oracle.coef_, atol=2e-3)
    assert (last.metrics["grad_norm"] < 1e-3).all()


def test_it_starts_at_the_loss_of_chance(given):
    digits = given("digits", 2)
    first = next(iter(logistic_regression.train(digits.experience, digits.seeds, Config())))
    np.testing.assert_allclose(first.metrics["train_loss"], np.log(10), rtol=1e-6)


def test_mini_batches_come_near_scikit_learn(given):
    digits = given("digits", 2)
    *_, last = logistic_regression.train(digits.experience, digits.seeds, Config())
    for place, probability in enumerate(last.model.predict(digits.tests())):
        np.testing.assert_allclose(probability.sum(axis=1), 1.0)
        truth = digits.experience.target[digits.held_out[place]]
        assert (probability.argmax(axis=1) == truth).mean() > 0.94


def test_values_are_refused(given):
    diabetes = given("diabetes", 1)
    with pytest.raises(BadValue, match="linear_regression"):
        next(iter(logistic_regression.train(diabetes.experience, diabetes.seeds, Config())))
