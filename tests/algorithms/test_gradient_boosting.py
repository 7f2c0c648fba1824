"""Gradient boosting against scikit-learn's, round by round, and its parts against calculus."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from modelwright.algorithms import gradient_boosting
from modelwright.algorithms.gradient_boosting import (
    Config,
    first_scores,
    leaf_values,
    losses,
    negative_gradient,
)
from modelwright.data.experience import Experience


def course(cohort, **settings):
    return list(gradient_boosting.train(cohort.experience, cohort.seeds, Config(**settings)))


def flat(cohort, rows):
    return cohort.experience.features[rows].reshape(len(rows), -1)


def oracle_course(cohort, place, states, **settings):
    """Return scikit-learn's losses round by round, (state, round), and its last predictions."""
    classes = len(cohort.experience.classes)
    kind = GradientBoostingClassifier if classes else GradientBoostingRegressor
    rows = cohort.experience.rows[place]
    fitted = [
        kind(random_state=state, **settings).fit(flat(cohort, rows), cohort.experience.target[rows])
        for state in range(states)
    ]
    # scikit-learn's loss of two classes is twice the log loss.
    losses = np.array([one.train_score_ / (2 if classes == 2 else 1) for one in fitted])
    test = flat(cohort, cohort.held_out[place])
    return losses, [one.predict_proba(test) if classes else one.predict(test) for one in fitted]


@pytest.mark.parametrize(
    "bounds", [{}, {"learning_rate": 1.0, "max_depth": 2}, {"min_samples_leaf": 4, "max_depth": 4}], ids=str
)
def test_losses_of_values_round_by_round_are_scikit_learn_s(bounds, given):
    diabetes = given("diabetes", 2, ragged=True)
    steps = course(diabetes, rounds=15, **bounds)
    for place in range(2):
        expected, predictions = oracle_course(diabetes, place, 1, n_estimators=15, **bounds)
        found = [step.metrics["train_loss"][place] for step in steps]
        np.testing.assert_allclose(found, expected[0], rtol=1e-9)
        # Where two questions are equally good scikit-learn draws one, and few held-out rows tell them apart.
        prediction = steps[-1].model.predict(diabetes.tests())[place]
        assert np.isclose(prediction, predictions[0], rtol=1e-9).mean() > 0.95


@pytest.mark.parametrize("data", ["cancer", "wine", "digits"])
def test_losses_of_classes_round_by_round_are_scikit_learn_s(data, given):
    cohort = given(data, 1)
    bounds = {"min_samples_leaf": 25, "max_depth": 2}
    rounds = 4 if data == "digits" else 12
    expected, predictions = oracle_course(cohort, 0, 2, n_estimators=rounds, **bounds)
    # In leaves this large, equally good questions part the training rows alike, whichever is drawn.
    np.testing.assert_allclose(*expected, rtol=1e-12)
    steps = course(cohort, rounds=rounds, **bounds)
    found = [step.metrics["train_loss"][0] for step in steps]
    np.testing.assert_allclose(found, expected[0], rtol=1e-9)
    close = np.isclose(steps[-1].model.predict(cohort.tests())[0], predictions[0], atol=1e-9).all(axis=1)
    assert close.mean() > 0.95


@pytest.mark.parametrize("data", ["cancer", "wine"])
def test_with_equally_good_questions_the_course_stays_within_what_scikit_learn_draws(data, given):
    cohort = given(data, 1)
    expected, _ = oracle_course(cohort, 0, 8, n_estimators=10)
    found = np.array([step.metrics["train_loss"][0] for step in course(cohort, rounds=10)])
    spread = expected.max(axis=0) - expected.min(axis=0)
    assert (np.abs(found - expected.mean(axis=0)) <= 2 * spread + 1e-12).all()
    np.testing.assert_allclose(found, expected.mean(axis=0), rtol=0.05)


@pytest.mark.parametrize("classes", [0, 2, 3, 5])
def test_the_negative_gradient_is_that_of_finite_differences(classes):
    random = np.random.default_rng(0)
    scores = random.normal(size=(20, max(1, classes if classes > 2 else 1)))
    target = random.integers(classes, size=20) if classes else random.normal(size=20)
    found = negative_gradient(scores, target, classes)
    for part in range(scores.shape[1]):
        shift = np.zeros_like(scores)
        shift[:, part] = 1e-6
        slope = (losses(scores + shift, target, classes) - losses(scores - shift, target, classes)) / 2e-6
        # The loss of values is half the square.
        np.testing.assert_allclose(found[:, part], -slope / (1 if classes else 2), atol=1e-8)


def test_a_leaf_of_values_lowers_the_loss_most_and_of_classes_by_a_step_of_newton():
    random = np.random.default_rng(1)
    y = random.normal(size=30)
    residual = negative_gradient(np.zeros((30, 1)), y, 0)[:, 0]
    leaf = random.integers(1, 4, size=30)
    found = leaf_values(residual, leaf, 6, 0)
    assert (found[[0, 4, 5]] == 0).all()
    for node in (1, 2, 3):
        best = minimize_scalar(lambda step, node=node: np.square(y[leaf == node] - step).sum()).x
        assert found[node] == pytest.approx(best, abs=1e-6)
    labels = random.integers(2, size=30)
    scores = random.normal(size=(30, 1))
    residual = negative_gradient(scores, labels, 2)[:, 0]

    def loss(step, node):
        own = leaf == node
        return losses(scores[own] + step, labels[own], 2).sum()

    found = leaf_values(residual, leaf, 4, 2)
    for node in (1, 2, 3):
        slope = (loss(1e-4, node) - loss(-1e-4, node)) / 2e-4
        bend = (loss(1e-4, node) - 2 * loss(0.0, node) + loss(-1e-4, node)) / 1e-8
        assert found[node] == pytest.approx(-slope / bend, rel=1e-4)


def test_a_leaf_of_several_classes_is_friedman_s_equation_34():
    random = np.random.default_rng(2)
    residual, leaf = random.uniform(-0.9, 0.9, size=40), random.integers(3, size=40)
    found = leaf_values(residual, leaf, 3, 4)
    for node in range(3):
        own = residual[leaf == node]
        expected = 3 / 4 * own.sum() / (np.abs(own) * (1 - np.abs(own))).sum()
        assert found[node] == pytest.approx(expected)
    assert leaf_values(np.zeros(2), np.zeros(2, np.int64), 1, 3)[0] == 0


def test_it_starts_at_the_best_constant(given):
    target = np.array([0, 0, 0, 1, 2, 2])
    np.testing.assert_allclose(np.exp(first_scores(target, 3)), [3 / 6, 1 / 6, 2 / 6])
    assert first_scores(np.array([0, 1, 1, 1]), 2)[0] == pytest.approx(np.log(3))
    assert first_scores(np.array([1.0, 5.0]), 0)[0] == 3
    assert np.isfinite(first_scores(target, 5)).all()
    constant = np.tile(first_scores(target, 3), (6, 1))
    assert np.abs(negative_gradient(constant, target, 3).mean(axis=0)).max() < 1e-12


def test_subsamples_come_from_the_seed_and_what_they_leave_out_is_measured(given):
    cohort = given("cancer", 2)
    same = Experience(
        features=cohort.experience.features,
        target=cohort.experience.target,
        rows=(cohort.experience.rows[0],) * 3,
        task="classification",
        classes=cohort.experience.classes,
    )
    seeds = (cohort.seeds[0], cohort.seeds[0], cohort.seeds[1])
    steps = list(gradient_boosting.train(same, seeds, Config(rounds=20, subsample=0.5)))
    first, again, other = np.array([step.metrics["train_loss"] for step in steps]).T
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    gain = np.array([step.metrics["out_of_bag_gain"][0] for step in steps])
    assert gain[0] > 0.05
    assert np.isfinite(gain).all()
    assert "out_of_bag_gain" not in course(cohort, rounds=1)[0].metrics


def test_the_state_is_enough_to_predict_with(given):
    cohort = given("wine", 1)
    *_, last = course(cohort, rounds=4)
    state = {name: values[0] for name, values in last.model.state().items()}
    rows = cohort.tests()[0]
    scores = np.tile(state["first_score"], (len(rows), 1))
    for number, start in enumerate(state["first_node"]):
        node = np.zeros(len(rows), np.int64)
        for _ in range(3):
            at = start + node
            left = rows[np.arange(len(rows)), state["feature"][at]] <= state["threshold"][at]
            branch = np.where(left, state["left"][at], state["right"][at])
            node = np.where(state["feature"][at] >= 0, branch, node)
        scores[:, number % 3] += state["value"][start + node]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(last.model.predict([rows])[0], expected, rtol=1e-12)
