"""Steps: one number per seed, counted from one."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base.errors import BadValue
from modelwright.base.step import Step

SEEDS = np.zeros(3)
FLAGS = np.array([True, False, False])


@given(st.integers(1, 10**12), st.dictionaries(st.text(), st.just(SEEDS), max_size=4))
def test_a_step_keeps_what_it_was_given(update: int, metrics: dict[str, np.ndarray]) -> None:
    step = Step(update=update, metrics=metrics)
    assert step.update == update
    assert step.metrics is metrics
    assert step.model is None
    assert step.absent == {}


def test_numbers_that_are_not_finite_are_a_steps_to_tell() -> None:
    told = np.array([np.nan, np.inf, 1.0])
    np.testing.assert_array_equal(Step(update=1, metrics={"loss": told}).metrics["loss"], told)


@pytest.mark.parametrize("update", [0, -1, float("nan"), -np.inf])
def test_a_step_follows_at_least_one_update(update: int) -> None:
    with pytest.raises(BadValue, match=re.escape(f"at least one update. Got {update}")):
        Step(update=update, metrics={})


@pytest.mark.parametrize(
    "metrics",
    [
        {"loss": 0.5},
        {"loss": np.float64(0.5)},
        {"loss": np.array(0.5)},
        {"loss": np.zeros((3, 1))},
        {"loss": np.zeros((1, 3)), "accuracy": SEEDS},
        {"loss": np.zeros(2), "accuracy": SEEDS},
        {"loss": np.zeros(0), "accuracy": SEEDS},
    ],
)
def test_metrics_of_another_shape_than_one_number_per_seed_are_refused(
    metrics: dict[str, np.ndarray],
) -> None:
    with pytest.raises(BadValue, match=re.escape("one number per seed, shape (seed,)")) as caught:
        Step(update=1, metrics=metrics)
    assert "loss" in str(caught.value)


def test_absent_numbers_are_flagged_per_seed() -> None:
    step = Step(update=1, metrics={"loss": SEEDS, "grade": SEEDS}, absent={"grade": FLAGS})
    assert step.absent["grade"] is FLAGS


@pytest.mark.parametrize(
    ("absent", "nearest"),
    [({"los": FLAGS}, "loss"), ({"loss": FLAGS[:2]}, "(3,)"), ({"loss": np.bool_(True)}, "(3,)")],
)
def test_flags_that_belong_to_no_metric_or_to_other_seeds_are_refused(
    absent: dict[str, np.ndarray], nearest: str
) -> None:
    with pytest.raises(BadValue, match=r"Absent numbers.*Nearest: " + re.escape(nearest)):
        Step(update=1, metrics={"loss": SEEDS}, absent=absent)


def test_a_step_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Step(update=1, metrics={}).update = 2  # type: ignore[misc]
