"""k-means against scikit-learn's from the same centres, and its parts against their definitions."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from modelwright.algorithms import k_means
from modelwright.algorithms.k_means import Config, assign, move_centres, squared_distances, start_centres
from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds
from modelwright.data.experience import Experience


def course(cohort, **settings):
    return list(k_means.train(cohort.experience, cohort.seeds, Config(**settings)))


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(("data", "clusters"), [("wine", 3), ("digits", 10), ("diabetes", 7)])
def test_from_the_same_centres_it_ends_where_scikit_learn_ends(data, clusters, standardize, given):
    cohort = given(data, 3, ragged=True)
    steps = course(cohort, clusters=clusters, standardize=standardize)
    table = cohort.experience.features.reshape(len(cohort.experience.features), -1).astype(np.float64)
    for place, rows in enumerate(cohort.experience.rows):
        scale = StandardScaler(with_mean=standardize, with_std=standardize).fit(table[rows])
        x = scale.transform(table[rows])
        start = start_centres(x, clusters, cohort.seeds[place].generator("start"))
        oracle = KMeans(clusters, init=start, n_init=1, tol=0, algorithm="lloyd").fit(x)
        inertia = [step.metrics["inertia"][place] for step in steps]
        last = [number for number in inertia if not np.isnan(number)]
        assert (np.diff(last) <= 1e-9 * last[0]).all()
        centres = steps[-1].model.state()["centres"][place]
        again = KMeans(clusters, init=scale.transform(centres), n_init=1, tol=0, algorithm="lloyd").fit(x)
        assert last[-1] == pytest.approx(again.inertia_, rel=1e-9)
        if data == "digits" and not standardize:
            # Whole-numbered pixels lie equally near to two centres; then rounding decides, here and there.
            assert last[-1] == pytest.approx(oracle.inertia_, rel=1e-3)
            continue
        assert last[-1] == pytest.approx(oracle.inertia_, rel=1e-9)
        np.testing.assert_allclose(
            scale.transform(centres), oracle.cluster_centers_, atol=1e-6 if standardize else 1e-4
        )
        labels, _ = assign(x, scale.transform(centres))
        assert np.array_equal(labels, oracle.labels_)


def test_a_seed_that_has_ended_is_absent_while_others_go_on(given):
    steps = course(given("wine", 5), clusters=4)
    lengths = [
        sum(not step.absent.get("inertia", np.zeros(5, bool))[place] for step in steps) for place in range(5)
    ]
    assert len(set(lengths)) > 1
    assert max(lengths) == len(steps)
    for place, length in enumerate(lengths):
        moved = [step.metrics["moved"][place] for step in steps]
        assert moved[length - 1] == 0
        assert all(share > 0 for share in moved[: length - 1])
        assert np.isnan(moved[length:]).all()


def test_no_row_is_nearer_to_another_centre_and_centres_are_means():
    random = np.random.default_rng(0)
    rows, centres = random.normal(size=(50, 3)), random.normal(size=(4, 3))
    cluster, distance = assign(rows, centres)
    for row, own, far in zip(rows, cluster, distance, strict=True):
        naive = [float(np.sum((row - centre) ** 2)) for centre in centres]
        assert own == int(np.argmin(naive))
        assert far == pytest.approx(min(naive))
    moved = move_centres(rows, cluster, distance, 4)
    for number in range(4):
        np.testing.assert_allclose(moved[number], rows[cluster == number].mean(axis=0))
    assert assign(np.zeros((1, 1)), np.array([[1.0], [-1.0]]))[0][0] == 0


def test_an_empty_cluster_takes_the_furthest_row_of_a_cluster_that_can_spare_it():
    rows = np.array([[0.0], [1.0], [2.0], [50.0], [90.0], [100.0]])
    cluster = np.array([0, 0, 0, 1, 2, 2])
    distance = np.array([0.0, 1.0, 4.0, 99.0, 25.0, 25.0])
    # Row 3 lies furthest but is all that cluster 1 has; then come rows 4 and 5, of which one must stay.
    moved = move_centres(rows, cluster, distance, 5)
    np.testing.assert_allclose(moved[:, 0], [0.5, 50.0, 100.0, 90.0, 2.0])
    before = distance.sum()
    assert assign(rows, moved)[1].sum() < before


def test_equal_rows_leave_clusters_empty_and_end():
    experience = Experience(
        features=np.ones((6, 2), np.float32),
        target=np.arange(6) % 2,
        rows=(np.arange(6),),
        task="classification",
        classes=("a", "b"),
    )
    steps = list(k_means.train(experience, derive_seeds("same", 1), Config(clusters=3)))
    assert len(steps) == 1
    assert steps[-1].metrics["inertia"][0] == 0
    assert steps[-1].metrics["smallest_cluster"][0] == 0
    assert np.isnan(steps[-1].metrics["explained_share"][0])


def test_the_next_centre_is_drawn_in_proportion_to_the_squared_distance():
    rows = np.array([[0.0], [1.0], [3.0]])
    generator = np.random.default_rng(0)
    draws = [tuple(start_centres(rows, 2, generator)[:, 0]) for _ in range(6000)]
    counts = {pair: draws.count(pair) / len(draws) for pair in set(draws)}
    expected = {
        (0, 1): 1 / 10, (0, 3): 9 / 10, (1, 0): 1 / 5, (1, 3): 4 / 5, (3, 0): 9 / 13, (3, 1): 4 / 13,
    }  # fmt: skip
    assert counts.keys() == expected.keys()
    for pair, share in expected.items():
        assert counts[pair] == pytest.approx(share / 3, abs=0.02)


def test_distances_keep_their_digits_where_rows_lie_close_together():
    rows = 1e8 + np.array([[0.0], [1.0]])
    assert squared_distances(rows, rows).tolist() == [[0, 1], [1, 0]]


def test_a_limit_of_steps_is_kept_and_the_share_is_that_of_the_spread(given):
    cohort = given("digits", 2)
    steps = course(cohort, clusters=10, iterations=3, standardize=False)
    assert len(steps) == 3
    for place, rows in enumerate(cohort.experience.rows):
        x = cohort.experience.features[rows].reshape(len(rows), -1).astype(np.float64)
        spread = np.square(x - x.mean(axis=0)).sum()
        share = 1 - steps[-1].metrics["inertia"][place] / spread
        assert steps[-1].metrics["explained_share"][place] == pytest.approx(share)


def test_more_clusters_than_rows_and_predictions_are_refused(given):
    cohort = given("wine", 1)
    with pytest.raises(BadValue, match=r"Nearest: k_means\.clusters=133"):
        course(cohort, clusters=500)
    with pytest.raises(BadValue, match=r"question\.reported=true"):
        course(cohort)[-1].model.predict(cohort.tests())
