"""Metrics against scikit-learn, on random data, on ties, and on what must not look good."""

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sk

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.metric import METRICS, Metric, find_metric

Array = np.ndarray[Any, Any]
OF_ROWS = [metric for metric in METRICS if metric.task != "control"]
NAMES = [metric.name for metric in OF_ROWS]
CLASSIFICATION = [metric for metric in METRICS if metric.task == "classification"]
REGRESSION = [metric for metric in METRICS if metric.task == "regression"]


def roc_auc(target: Array, probability: Array) -> float:
    """One against rest, by counting pairs: the share in which the class's row scores higher, ties half."""
    areas = []
    for label in range(probability.shape[1]):
        of, rest = probability[target == label, label], probability[target != label, label]
        areas.append(np.mean((of[:, None] > rest) + 0.5 * (of[:, None] == rest)))
    return float(np.mean(areas))


ORACLES: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(axis=1)),
    "balanced_accuracy": lambda y, p: sk.recall_score(
        y, p.argmax(axis=1), labels=np.unique(y), average="macro"
    ),
    "macro_f1": lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="macro", zero_division=0.0),
    "roc_auc": roc_auc,
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=range(p.shape[1])),
    "brier": lambda y, p: sk.brier_score_loss(y, p, labels=list(range(p.shape[1])), scale_by_half=False),
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
}


def random_classes(rng: np.random.Generator, rows: int, classes: int, ties: bool) -> tuple[Array, Array]:
    target = np.concatenate([np.arange(classes), rng.integers(classes, size=rows - classes)])
    rng.shuffle(target)
    if ties:
        # Few different numbers, many of them equal within a row and between rows.
        counts = rng.integers(0, 3, size=(rows, classes)) + (np.arange(classes) == 0)
        return target, counts / counts.sum(axis=1, keepdims=True)
    return target, rng.dirichlet(np.ones(classes), size=rows)


# --- against scikit-learn


def test_every_metric_has_an_oracle() -> None:
    assert set(ORACLES) == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("metric", CLASSIFICATION, ids=lambda metric: metric.name)
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_classification_metric_is_scikit_learns(metric: Metric, classes: int, ties: bool) -> None:
    rng = np.random.default_rng([classes, ties])
    for rows in (classes, 2 * classes + 1, 60, 500):
        target, probability = random_classes(rng, rows, classes, ties)
        assert metric.compute(target, probability) == pytest.approx(
            ORACLES[metric.name](target, probability), rel=1e-12
        )


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("ties", [False, True])
def test_the_area_under_the_curve_is_scikit_learns_too(classes: int, ties: bool) -> None:
    target, probability = random_classes(np.random.default_rng(3), 200, classes, ties)
    given_to = probability[:, 1] if classes == 2 else probability
    expected = sk.roc_auc_score(target, given_to, multi_class="ovr", average="macro")
    assert find_metric("roc_auc").compute(target, probability) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", REGRESSION, ids=lambda metric: metric.name)
@pytest.mark.parametrize("rounded", [False, True], ids=["", "ties"])
def test_a_regression_metric_is_scikit_learns(metric: Metric, rounded: bool) -> None:
    rng = np.random.default_rng(11)
    for rows in (2, 7, 500):
        target = rng.normal(1e3, 20, size=rows)
        value = target + rng.normal(size=rows)
        if rounded:
            target, value = target.round(-1), value.round(-1)
        assert metric.compute(target, value) == pytest.approx(ORACLES[metric.name](target, value), rel=1e-12)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "accuracy", "log_loss", "brier"])
def test_a_class_without_held_out_rows_counts_as_it_does_in_scikit_learn(name: str) -> None:
    rng = np.random.default_rng(5)
    for present in ([0, 2], [1], [3]):
        target = rng.choice(present, size=40)
        probability = rng.dirichlet(np.ones(4), size=40)
        assert find_metric(name).compute(target, probability) == pytest.approx(
            ORACLES[name](target, probability), rel=1e-12
        )


def test_ties_within_a_row_go_to_the_first_class() -> None:
    even = np.full((2, 2), 0.5)
    assert find_metric("accuracy").compute(np.array([0, 1]), even) == 0.5
    assert find_metric("accuracy").compute(np.array([1, 1]), even) == 0.0
    assert find_metric("roc_auc").compute(np.array([0, 1]), even) == 0.5


# --- closed forms and bounds


@pytest.mark.parametrize("metric", CLASSIFICATION, ids=lambda metric: metric.name)
def test_certain_and_right_is_best_and_certain_and_wrong_is_worst(metric: Metric) -> None:
    target = np.array([0, 1, 1, 0])
    right, wrong = np.eye(2)[target], np.eye(2)[1 - target]
    best, worst = (metric.low, metric.high) if metric.direction == "minimize" else (metric.high, metric.low)
    assert metric.compute(target, right) == pytest.approx(best, abs=1e-12)
    if metric.name == "log_loss":
        assert metric.compute(target, wrong) == pytest.approx(-math.log(np.finfo(np.float64).eps))
    else:
        assert metric.compute(target, wrong) == pytest.approx(worst, abs=1e-12)


@pytest.mark.parametrize("metric", REGRESSION, ids=lambda metric: metric.name)
def test_exact_values_are_best(metric: Metric) -> None:
    target = np.array([1.0, 2.0, 4.0])
    assert metric.compute(target, target) == (metric.low if metric.direction == "minimize" else metric.high)
    assert find_metric("rmse").compute(np.array([0.0, 0.0]), np.array([3.0, 4.0])) == pytest.approx(12.5**0.5)
    assert find_metric("mae").compute(np.array([0.0, 0.0]), np.array([3.0, -4.0])) == 3.5
    assert find_metric("r2").compute(target, np.full(3, target.mean())) == pytest.approx(0)


@given(st.integers(2, 4), st.integers(1, 30), st.data())
@settings(max_examples=60)
def test_no_prediction_leaves_the_bounds(classes: int, more: int, data: st.DataObject) -> None:
    rows = classes + more
    target = np.array(
        [*range(classes), *data.draw(st.lists(st.integers(0, classes - 1), min_size=more, max_size=more))]
    )
    raw = data.draw(arrays.arrays(np.float64, (rows, classes), elements=st.floats(0.0, 1.0)))
    probability = (raw + 1e-9) / (raw + 1e-9).sum(axis=1, keepdims=True)
    for metric in CLASSIFICATION:
        value = metric.compute(target, probability)
        assert metric.low is not None
        assert metric.low <= value
        assert metric.high is None or value <= metric.high + 1e-12


@pytest.mark.parametrize("metric", OF_ROWS, ids=lambda metric: metric.name)
def test_the_order_of_rows_does_not_matter_and_inputs_are_left_alone(metric: Metric) -> None:
    rng = np.random.default_rng(2)
    target, prediction = random_classes(rng, 50, 3, True)
    if metric.task == "regression":
        target, prediction = rng.normal(size=50), rng.normal(size=50)
    before = target.copy(), prediction.copy()
    order = rng.permutation(50)
    assert metric.compute(target, prediction) == pytest.approx(
        metric.compute(target[order], prediction[order])
    )
    np.testing.assert_array_equal(target, before[0])
    np.testing.assert_array_equal(prediction, before[1])


# --- precision


@pytest.mark.parametrize("metric", REGRESSION, ids=lambda metric: metric.name)
def test_single_precision_is_widened_before_it_is_squared(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    target = rng.normal(1e6, 1, size=100).astype(np.float32)
    value = (target + rng.normal(size=100)).astype(np.float32)
    expected = ORACLES[metric.name](target.astype(np.float64), value.astype(np.float64))
    assert metric.compute(target, value) == pytest.approx(expected, rel=1e-12)
    assert math.isfinite(find_metric("rmse").compute(target, np.full(100, 1e30, dtype=np.float32)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("metric", CLASSIFICATION, ids=lambda metric: metric.name)
def test_a_softmax_in_low_precision_counts_as_probabilities(metric: Metric, dtype: type) -> None:
    rng = np.random.default_rng(8)
    target = np.concatenate([np.arange(10), rng.integers(10, size=490)])
    logits = rng.normal(0, 3, size=(500, 10)).astype(dtype)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = (raised / raised.sum(axis=1, keepdims=True, dtype=dtype)).astype(dtype)
    exact = probability.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    assert metric.compute(target, probability) == pytest.approx(ORACLES[metric.name](target, exact), abs=2e-3)


# --- what must not look good


@pytest.mark.parametrize("metric", OF_ROWS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("share", ["one", "all"])
def test_a_prediction_that_is_not_finite_makes_the_metric_nan(metric: Metric, bad: float, share: str) -> None:
    target = np.array([0, 1, 2, 0, 1, 2])
    prediction = np.eye(3)[target] if metric.task == "classification" else target.astype(np.float64)
    assert math.isfinite(metric.compute(target, prediction))
    prediction[(slice(None) if share == "all" else 4)] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(metric.compute(target, prediction))


@pytest.mark.parametrize("name", ["rmse", "mae", "r2"])
def test_an_error_beyond_all_numbers_is_nan_without_a_warning(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = find_metric(name).compute(np.array([0.0, 1.0, -1.7e308]), np.array([1e200, 1e200, 1.7e308]))
    assert math.isnan(value)


@pytest.mark.parametrize("name", ["log_loss", "brier", "roc_auc"])
@pytest.mark.parametrize(
    "prediction",
    [
        [[0.0, 50.0], [50.0, 0.0]],
        [[0.9, 0.9], [0.9, 0.1]],
        [[-0.5, 1.5], [1.5, -0.5]],
        [[0.0, 0.0], [1.0, 0.0]],
    ],
    ids=["logits", "sum above one", "below zero", "sum of zero"],
)
def test_numbers_that_are_no_probabilities_do_not_pass_for_good_ones(
    name: str, prediction: list[list[float]]
) -> None:
    with pytest.raises(BadValue, match=rf"{name} needs probabilities"):
        find_metric(name).compute(np.array([1, 0]), np.array(prediction))


def test_metrics_of_classes_ask_for_the_likeliest_class_only() -> None:
    logits = np.array([[0.0, 50.0], [-3.0, -40.0]])
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert not find_metric(name).probabilities
        assert find_metric(name).compute(np.array([1, 0]), logits) == 1


@pytest.mark.parametrize("metric", OF_ROWS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_target_that_is_not_finite_is_refused(metric: Metric, bad: float) -> None:
    target = np.array([0.0, 1.0, bad])
    prediction = np.full((3, 2), 0.5) if metric.task == "classification" else np.zeros(3)
    with pytest.raises(BadValue, match=rf"target of {metric.name} is finite\. Got {bad}"):
        metric.compute(target, prediction)


@pytest.mark.parametrize("metric", CLASSIFICATION, ids=lambda metric: metric.name)
@pytest.mark.parametrize("bad", [-1, 2, 0.5])
def test_a_target_that_is_no_class_index_is_refused(metric: Metric, bad: float) -> None:
    with pytest.raises(
        BadValue, match=re.escape(f"class indices below 2, the number of columns. Got {bad}.")
    ):
        metric.compute(np.array([0, 1, bad]), np.full((3, 2), 0.5))


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_the_area_under_a_curve_of_one_class_is_refused_instead_of_warned_of(classes: int) -> None:
    probability = np.full((4, classes), 1 / classes)
    with pytest.raises(BadValue, match=rf"rows of every class.*Got rows of 1 of {classes}.*stratified"):
        find_metric("roc_auc").compute(np.zeros(4), probability)


def test_the_area_with_a_class_missing_is_refused() -> None:
    with pytest.raises(BadValue, match="Got rows of 2 of 3"):
        find_metric("roc_auc").compute(np.array([0, 2, 2]), np.full((3, 3), 1 / 3))


def test_explained_variance_needs_two_rows() -> None:
    with pytest.raises(BadValue, match="at least two held-out rows"):
        find_metric("r2").compute(np.array([1.0]), np.array([1.0]))


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((0,), (0, 2)),
    ((0,), (0,)),
    ((3,), (2, 2)),
    ((3,), (2,)),
    ((3, 1), (3, 2)),
    ((3, 1), (3,)),
    ((3,), (3, 2, 1)),
    ((), (1, 2)),
    ((), ()),
]


@pytest.mark.parametrize("metric", OF_ROWS, ids=lambda metric: metric.name)
@pytest.mark.parametrize(("target", "prediction"), SHAPES)
def test_shapes_that_do_not_fit_are_refused(
    metric: Metric, target: tuple[int, ...], prediction: tuple[int, ...]
) -> None:
    with pytest.raises(BadValue, match="at least one row and predictions of shape") as caught:
        metric.compute(np.zeros(target), np.ones(prediction))
    assert caught.value.got == f"target {target}, prediction {prediction}"


@pytest.mark.parametrize("metric", OF_ROWS, ids=lambda metric: metric.name)
def test_predictions_of_the_other_task_are_refused(metric: Metric) -> None:
    prediction = np.zeros(3) if metric.task == "classification" else np.full((3, 2), 0.5)
    with pytest.raises(BadValue, match=r"\(row, class\)" if metric.task == "classification" else r"\(row,\)"):
        metric.compute(np.array([0, 1, 0]), prediction)


@pytest.mark.parametrize("metric", OF_ROWS, ids=lambda metric: metric.name)
def test_what_is_no_number_is_refused(metric: Metric) -> None:
    with pytest.raises(BadValue, match="computed from numbers"):
        metric.compute(np.array(["cat", "dog"]), np.zeros(2))
    with pytest.raises(BadValue, match="computed from numbers"):
        metric.compute(np.zeros(2), np.array([object(), object()]))


# --- episodes


def test_a_return_is_the_mean_over_episodes_however_long_they_are() -> None:
    metric = find_metric("return")
    assert metric.compute_episodes(np.array([1, 500]), np.array([1.0, 500.0])) == 250.5
    assert metric.compute_episodes(np.array([3]), np.array([-2.5])) == -2.5
    assert (metric.task, metric.direction, metric.low, metric.high) == ("control", "maximize", None, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_makes_the_metric_nan(bad: float) -> None:
    assert math.isnan(find_metric("return").compute_episodes(np.ones(3), np.array([1.0, bad, 1.0])))


@pytest.mark.parametrize(("lengths", "returns"), [((0,), (0,)), ((2,), (3,)), ((2, 1), (2, 1)), ((), ())])
def test_episodes_without_a_length_and_a_return_each_are_refused(
    lengths: tuple[int, ...], returns: tuple[int, ...]
) -> None:
    with pytest.raises(BadValue, match="at least one episode, and a length and a return of each"):
        find_metric("return").compute_episodes(np.ones(lengths), np.ones(returns))


def test_rows_and_episodes_are_not_mistaken_for_one_another() -> None:
    with pytest.raises(BadValue, match=r"computed from episodes, not from rows.*compute_episodes"):
        find_metric("return").compute(np.zeros(3), np.zeros(3))
    with pytest.raises(BadValue, match=r"rmse is computed from rows, not from episodes.*Nearest: return"):
        find_metric("rmse").compute_episodes(np.ones(3), np.ones(3))


# --- finding one


def test_a_metric_is_found_by_its_name_and_a_wrong_name_by_its_nearest() -> None:
    for metric in METRICS:
        assert find_metric(metric.name) is metric
        assert metric.doc.endswith(".")
    with pytest.raises(UnknownName, match=r"No metric has this name\. Got acuracy\. Nearest: accuracy\."):
        find_metric("acuracy")
