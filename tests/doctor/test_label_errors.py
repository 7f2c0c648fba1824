"""Labels that are wrong at random, beside classes that overlap by nature."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine, make_moons

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.labels.label_errors import check_label_errors
from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.sensors.rows.study import Study

_Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


def _judged(rows: NDArray[np.float64], labels: NDArray[np.int64]) -> list[Finding]:
    study = Study(
        name="Model",
        rows=np.arange(len(labels)),
        lineage=frozenset(),
        target=labels,
        classes=True,
        place=None,
        sheet=Sheet(rows.astype(np.float32), None, None, np.ones(rows.shape[1], bool), {}),
        distinct=1.0,
    )
    return list(check_label_errors(study))


def _flipped(
    labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    wrong = generator.random(len(labels)) < share
    return np.where(wrong, (labels + generator.integers(1, classes, len(labels))) % classes, labels), wrong


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.12, 0.2])
def test_labels_flipped_at_random_are_found_and_the_rows_are_those(share: float, seed: int) -> None:
    images, digits = load_digits(return_X_y=True)
    labels, wrong = _flipped(digits.astype(np.int64), share, seed)
    (found,) = _judged(images, labels)
    assert found.kind == "label-errors"
    assert found.causes[0].name == "label-noise"
    assert found.evidence["share_contradicted_of_the_surest_quarter"] == pytest.approx(share, abs=0.05)
    assert wrong[found.evidence["rows_most_suspicious"]].mean() > 0.9


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine, load_iris])
def test_sets_with_checked_labels_raise_nothing(load: object) -> None:
    assert callable(load)
    rows, labels = load(return_X_y=True)
    assert _judged(rows, labels.astype(np.int64)) == []


def test_a_weak_relation_is_no_error_of_labels() -> None:
    rows, values = load_diabetes(return_X_y=True)
    assert _judged(rows, (values > np.median(values)).astype(np.int64)) == []


def _overlapping(seed: int) -> _Rows:
    generator = np.random.default_rng(seed)
    count = int(generator.choice([200, 600, 1500]))
    rows = generator.normal(size=(count, int(generator.integers(2, 12))))
    strength = generator.uniform(0.5, 6)
    match seed % 4:
        case 0:
            labels = generator.random(count) < 1 / (1 + np.exp(-strength * rows[:, 0]))
        case 1:
            labels = generator.random(count) < 0.5
            rows[:, 0] += strength / 1.5 * labels
        case 2:
            labels = np.sin(strength / 2 * rows[:, 0]) + 0.5 * generator.normal(size=count) > 0
        case _:
            rows, labels = make_moons(count, noise=strength / 10, random_state=seed)
    return rows, np.asarray(labels).astype(np.int64)


@pytest.mark.parametrize("seed", range(40))
def test_classes_that_overlap_raise_nothing(seed: int) -> None:
    assert _judged(*_overlapping(seed)) == []
