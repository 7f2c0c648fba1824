"""Principal components against scikit-learn's, up to the sign, and against eigenvectors."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from modelwright.algorithms import principal_components
from modelwright.algorithms.principal_components import Config, decompose
from modelwright.base.errors import BadValue
from modelwright.data.experience import Experience


def course(cohort, **settings):
    return list(principal_components.train(cohort.experience, cohort.seeds, Config(**settings)))


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("data", "count"), [("wine", 5), ("digits", 12), ("diabetes", 10)])
def test_directions_and_shares_are_scikit_learn_s(data, count, standardize, given):
    cohort = given(data, 2, ragged=True)
    steps = course(cohort, components=count, standardize=standardize)
    assert [step.update for step in steps] == list(range(1, count + 1))
    table = cohort.experience.features.reshape(len(cohort.experience.features), -1).astype(np.float64)
    for place, rows in enumerate(cohort.experience.rows):
        x = StandardScaler(with_std=standardize).fit_transform(table[rows])
        oracle = PCA(count, svd_solver="full").fit(x)
        directions = steps[-1].model.state()["directions"][place]
        signs = np.sign((directions * oracle.components_).sum(axis=1))
        np.testing.assert_allclose(directions * signs[:, None], oracle.components_, atol=1e-7)
        for number, step in enumerate(steps, start=1):
            numbers = {name: values[place] for name, values in step.metrics.items()}
            assert numbers["component_share"] == pytest.approx(
                oracle.explained_variance_ratio_[number - 1], rel=1e-9
            )
            assert numbers["explained_share"] == pytest.approx(
                oracle.explained_variance_ratio_[:number].sum()
            )
            assert numbers["component_variance"] == pytest.approx(
                oracle.explained_variance_[number - 1], rel=1e-9
            )
            kept = oracle.components_[:number]
            lost = np.square(x - x @ kept.T @ kept).sum(axis=1).mean()
            assert numbers["reconstruction_error"] == pytest.approx(lost, rel=1e-7, abs=1e-9)
            if number < count:
                ratio = oracle.explained_variance_[number - 1] / oracle.explained_variance_[number]
                assert numbers["gap"] == pytest.approx(ratio, rel=1e-7)


def test_directions_are_eigenvectors_of_the_covariance_with_their_largest_entry_positive():
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 4)) * [3, 2, 1, 0.5]
    x -= x.mean(axis=0)
    found = decompose(x)
    covariance = x.T @ x / 39
    for direction, singular in zip(found.directions, found.singular, strict=True):
        np.testing.assert_allclose(covariance @ direction, singular**2 / 39 * direction, atol=1e-12)
        assert direction[np.abs(direction).argmax()] > 0
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(4), atol=1e-12)
    assert found.share(4) == pytest.approx(1)
    assert found.error(4) == 0
    assert found.gap(4) == np.inf


def test_rows_that_do_not_vary_have_no_shares(given):
    experience = Experience(
        features=np.ones((6, 2), np.float32),
        target=np.zeros(6),
        rows=(np.arange(6),),
        task="regression",
        columns=("a", "b"),
    )
    (step,) = principal_components.train(experience, given("wine", 1).seeds, Config(components=1))
    assert np.isnan(step.metrics["explained_share"][0])
    assert step.metrics["reconstruction_error"][0] == 0


def test_too_many_components_and_predictions_are_refused(given):
    cohort = given("wine", 1)
    with pytest.raises(BadValue, match=r"Nearest: principal_components\.components=13"):
        course(cohort, components=14)
    with pytest.raises(BadValue, match=r"question\.reported=true"):
        course(cohort)[-1].model.predict(cohort.tests())
