"""Streams of steps side by side."""

import numpy as np
import pytest

from modelwright.algorithms.parts.cohort import join_steps
from modelwright.base.errors import BadValue
from modelwright.base.step import Step


class Constant:
    def __init__(self, value):
        self.value = value

    def predict(self, features):
        return [np.full(len(rows), self.value) for rows in features]

    def state(self):
        return {"value": np.array([self.value])}


def stream(values, *, name="loss", model=None):
    for update, value in enumerate(values, start=1):
        offered = model if update == len(values) else None
        yield Step(update=update, metrics={name: np.array([value])}, model=offered)


def test_a_seed_that_has_ended_counts_as_nan():
    steps = list(join_steps([stream([1.0, 2.0]), stream([3.0])], [[0], [1]]))
    assert [step.update for step in steps] == [1, 2]
    np.testing.assert_array_equal(steps[0].metrics["loss"], [1.0, 3.0])
    np.testing.assert_array_equal(steps[1].metrics["loss"], [2.0, np.nan])


def test_metrics_that_only_some_have_are_nan_for_the_others():
    (step,) = join_steps([stream([1.0]), stream([2.0], name="gain")], [[1], [0]])
    np.testing.assert_array_equal(step.metrics["loss"], [np.nan, 1.0])
    np.testing.assert_array_equal(step.metrics["gain"], [2.0, np.nan])


def test_models_are_put_in_the_order_of_the_cohort():
    streams = [stream([1.0, 1.0], model=Constant(7.0)), stream([2.0], model=Constant(8.0))]
    first, last = join_steps(streams, [[1], [0]])
    assert first.model is None
    found = last.model.predict([np.zeros((2, 1)), np.zeros((3, 1))])
    assert [each.tolist() for each in found] == [[8.0, 8.0], [7.0, 7.0, 7.0]]
    assert last.model.state()["value"].tolist() == [8.0, 7.0]
    with pytest.raises(BadValue):
        last.model.predict([np.zeros((2, 1))])


def test_a_part_without_a_model_leaves_the_cohort_without_one():
    (step,) = join_steps([stream([1.0], model=Constant(7.0)), stream([2.0])], [[0], [1]])
    assert step.model is None
