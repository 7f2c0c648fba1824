"""Standardisation against scikit-learn's."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from modelwright.algorithms.parts.scale import Scale


def test_it_is_scikit_learns_on_each_seeds_rows(given):
    wine = given("wine", 3, ragged=True).experience
    scale = Scale.fit(wine.features, wine.rows)
    for place, rows in enumerate(wine.rows):
        oracle = StandardScaler().fit(wine.features[rows].astype(np.float64))
        np.testing.assert_allclose(scale.mean[place], oracle.mean_, rtol=1e-12)
        np.testing.assert_allclose(scale.deviation[place], oracle.scale_, rtol=1e-10)


def test_rows_that_are_not_a_seeds_own_do_not_count(given):
    wine = given("wine", 1).experience
    changed = wine.features.copy()
    outside = np.setdiff1d(np.arange(len(changed)), wine.rows[0])
    changed[outside] = 1e9
    before, after = Scale.fit(wine.features, wine.rows), Scale.fit(changed, wine.rows)
    assert np.array_equal(before.mean, after.mean)
    assert np.array_equal(before.deviation, after.deviation)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e8, 1e-20])
def test_a_column_that_does_not_vary_is_only_centred(value):
    table = np.full((50, 2), value, np.float32)
    table[:, 1] = np.arange(50)
    scale = Scale.fit(table, [np.arange(50)])
    assert scale.deviation[0, 0] == 1.0
    assert scale.deviation[0, 1] > 10


def test_channels_share_one_mean():
    images = np.random.default_rng(0).normal(3, 2, size=(20, 3, 4, 5)).astype(np.float32)
    scale = Scale.fit(images, [np.arange(10)], axes=(0, 2, 3))
    assert scale.mean.shape == (1, 3, 1, 1)
    assert scale.mean[0, 1, 0, 0] == pytest.approx(images[:10, 1].astype(np.float64).mean())


def test_switched_off_it_changes_nothing():
    scale = Scale.fit(np.ones((5, 2)), [np.arange(5)], active=False)
    assert not scale.mean.any()
    assert (scale.deviation == 1).all()
