import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment.estimate import (
    estimated_difference,
    finite_scores,
    interquartile_mean,
    mean,
    median,
    normalized_scores,
    optimality_gap,
    probability_of_improvement,
    tasks_reached,
    turned,
)

ESTIMATORS = (mean, median, interquartile_mean, optimality_gap)
SCORES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=1, max_dims=2, max_side=9), elements=st.floats(-1e3, 1e3)
)


def atari(method: str) -> np.ndarray:
    """(run, game), games in alphabetical order."""
    with (Path(__file__).parent / "atari_100k.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    games = sorted({row["game"] for row in rows})
    runs = [
        [float(row["score"]) for row in rows if (row["method"], row["game"]) == (method, game)]
        for game in games
    ]
    return np.array(runs).T


def hundred_runs(method: str) -> np.ndarray:
    """(run, game), games in alphabetical order."""
    with (Path(__file__).parent / "atari_100k_hundred_runs.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return np.array([np.fromstring(row["scores"], sep=" ") for row in rows if row["method"] == method]).T


def human_normalised(method: str) -> np.ndarray:
    if method == "CURL":
        return hundred_runs(method)  # published so
    raw = hundred_runs(method) if method in ("DrQ(eps)", "SPR") else atari(method)
    return normalized_scores(raw, floor=atari("random")[0], ceiling=atari("human")[0])


@pytest.mark.parametrize(
    ("method", "runs", "superhuman", "printed"),
    [
        ("SimPLe", 5, 1, ("0.332", "0.134", "0.130", "0.729")),
        ("CURL", 100, 2, ("0.261", "0.092", "0.113", "0.768")),
        ("DrQ(eps)", 100, 3, ("0.465", "0.313", "0.280", "0.631")),
        ("SPR", 100, 6, ("0.616", "0.396", "0.337", "0.577")),
        ("IRIS", 5, 10, ("1.046", "0.289", "0.501", "0.512")),
    ],
)
def test_atari_100k_aggregates_are_those_of_the_iris_paper(
    method: str, runs: int, superhuman: int, printed: tuple[str, ...]
) -> None:
    scores = human_normalised(method)
    assert scores.shape == (runs, 26)
    assert tuple(f"{estimate(scores):.3f}" for estimate in ESTIMATORS) == printed
    assert tasks_reached(scores) == superhuman  # in Pong the mean of IRIS equals the human score


def test_the_small_numbers_of_rliable() -> None:
    x, y = [[1, 2], [2, 2], [1, 1], [2, 1]], [[1, 1], [2, 2], [3, 3]]
    assert interquartile_mean(x) == 1.5
    assert interquartile_mean(y) == 2
    assert probability_of_improvement(x, y) == pytest.approx(1 / 3)


def naive_interquartile_mean(scores: np.ndarray) -> float:
    kept = sorted(scores.ravel().tolist())
    for _ in range(scores.size // 4):
        kept = kept[1:-1]
    return sum(kept) / len(kept)


@given(SCORES)
def test_estimators_agree_with_their_naive_twins(scores: np.ndarray) -> None:
    close = {"rel": 1e-9, "abs": 1e-9}
    assert mean(scores) == pytest.approx(sum(scores.ravel()) / scores.size, **close)
    assert interquartile_mean(scores) == pytest.approx(naive_interquartile_mean(scores), **close)
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=None), **close)
    gap = sum(max(0.0, 1 - score) for score in scores.ravel()) / scores.size
    assert optimality_gap(scores) == pytest.approx(gap, **close)
    middle = scores if scores.ndim == 1 else [sum(task) / len(task) for task in scores.T]
    assert median(scores) == pytest.approx(float(np.median(middle)), **close)


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(scores: np.ndarray, random) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)
    for estimate in ESTIMATORS:
        assert estimate(scores[order]) == pytest.approx(estimate(scores), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("shape", [(7,), (6, 4), (5, 1), (1, 5)])
def test_estimates_of_many_samples_at_once_are_those_one_by_one(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    many, others = generator.normal(size=(3, 2, *shape)), generator.normal(size=(3, 2, 4, *shape[1:])).round()
    axis = -1 if len(shape) == 1 else (-2, -1)
    for estimate in ESTIMATORS:
        together = estimate(many, axis=axis)
        assert together.shape == (3, 2)
        for index in np.ndindex(3, 2):
            assert together[index] == pytest.approx(float(estimate(many[index])))
    together = probability_of_improvement(many.round(), others, axis=axis)
    for index in np.ndindex(3, 2):
        assert together[index] == pytest.approx(
            float(probability_of_improvement(many[index].round(), others[index]))
        )


@given(
    hnp.arrays(np.float64, (4, 3), elements=st.integers(-3, 3).map(float)),
    hnp.arrays(np.float64, (5, 3), elements=st.integers(-3, 3).map(float)),
)
def test_probability_of_improvement_is_mann_whitneys_share_averaged_over_tasks(
    x: np.ndarray, y: np.ndarray
) -> None:
    expected = np.mean([stats.mannwhitneyu(x[:, task], y[:, task]).statistic / 20 for task in range(3)])
    assert probability_of_improvement(x, y) == pytest.approx(expected)
    assert probability_of_improvement(y, x) == pytest.approx(1 - expected)
    assert probability_of_improvement(x, y, direction="minimize") == pytest.approx(1 - expected)
    assert probability_of_improvement(x[:, 0], y[:, 0]) == pytest.approx(
        stats.mannwhitneyu(x[:, 0], y[:, 0]).statistic / 20
    )


def test_a_metric_that_is_minimized_is_turned() -> None:
    assert estimated_difference([3.0, 5.0, 6.0], [4.0, 1.0, 4.0]) == pytest.approx(14 / 3 - 3)
    assert estimated_difference([3.0, 5.0, 6.0], [4.0, 1.0, 4.0], median) == 1.0
    assert estimated_difference([3.0, 5.0, 6.0], [4.0, 1.0, 4.0], median, direction="minimize") == -1.0
    assert turned([1.0, -2.0], "minimize").tolist() == [-1.0, 2.0]
    assert optimality_gap([0.5, 2.0], target=1.0, direction="minimize") == 0.5
    assert optimality_gap([0.5, 2.0], target=1.0, direction="maximize") == 0.25
    assert tasks_reached([[0.5, 2.0, 1.0]], target=1.0, direction="minimize") == 2
    # A loss from 2.3 (chance) down to 0.3 (reference).
    assert normalized_scores([2.3, 0.3, 1.3], floor=2.3, ceiling=0.3) == pytest.approx([0, 1, 0.5])


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [[]],
        3.0,
        np.zeros((2, 2, 2)),
        [1.0, float("nan")],
        [[1.0], [float("inf")]],
        ["a"],
        [[1.0, 2.0], [1.0]],
    ],
)
def test_scores_that_are_no_scores_are_refused(scores) -> None:
    for estimate in ESTIMATORS:
        with pytest.raises(BadValue):
            estimate(scores)
    with pytest.raises(BadValue):
        estimated_difference(scores, scores)
    with pytest.raises(BadValue):
        probability_of_improvement(scores, [1.0, 2.0])


def test_a_broken_score_is_named_with_its_place() -> None:
    with pytest.raises(BadValue, match=r"nan at index \(1, 0\), and 1 more"):
        finite_scores([[1.0, 2.0], [float("nan"), float("nan")]])


@pytest.mark.parametrize(
    "ask",
    [
        lambda: estimated_difference(np.ones((3, 2)), np.ones((3, 4))),
        lambda: probability_of_improvement(np.ones((3, 2)), np.ones((3, 4))),
        lambda: probability_of_improvement(np.ones(3), np.ones((3, 3))),
        lambda: tasks_reached([1.0, 2.0]),
        lambda: normalized_scores(np.ones((3, 2)), [0.0, 1.0], [1.0, 1.0]),
        lambda: normalized_scores(np.ones((3, 2)), [0.0, 0.0, 0.0], 1.0),
        lambda: normalized_scores([1.0], float("nan"), 1.0),
    ],
)
def test_scores_that_do_not_fit_together_are_refused(ask) -> None:
    with pytest.raises(BadValue):
        ask()


def test_a_wrong_direction_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Nearest: maximize"):
        estimated_difference([1.0], [2.0], direction="maximise")  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", [mean, median, interquartile_mean, optimality_gap])
def test_an_axis_that_is_not_the_last_is_refused(estimator: Any) -> None:
    scores = np.arange(12.0).reshape(3, 4)
    with pytest.raises(BadValue, match="last axis"):
        estimator(scores, axis=0)
    assert estimator(scores, axis=-1).shape == estimator(scores, axis=1).shape == (3,)
    assert estimator(scores, axis=(-2, -1)).shape == ()
