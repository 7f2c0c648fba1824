"""Axes: places, ticks and labels."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.lab.page.scale import Scale, fit_scale

NUMBERS = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9)


def test_the_ends_of_a_scale_are_zero_and_one_and_the_middle_is_half() -> None:
    scale = Scale(low=-2, high=6)
    assert [scale.place(value) for value in (-2, 6, 2)] == [0, 1, 0.5]


def test_equal_ratios_are_equal_distances_on_a_logarithmic_scale() -> None:
    scale = Scale(low=1e-3, high=1e3, log=True)
    assert scale.place(1) == pytest.approx(0.5)
    assert scale.place(10) - scale.place(1) == pytest.approx(scale.place(1) - scale.place(0.1))
    assert scale.ticks(10) == pytest.approx([1e-3, 1e-2, 0.1, 1, 10, 100, 1000])


def test_what_lies_outside_is_kept_at_the_edge_and_known_as_outside() -> None:
    scale = Scale(low=0, high=1)
    assert (scale.inside(-3), scale.inside(7)) == (0, 1)
    assert not scale.holds(7)
    assert Scale(low=1, high=10, log=True).inside(-1) == 0


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_a_fitted_scale_holds_its_values_with_room_and_has_round_ticks(values: list[float]) -> None:
    scale = fit_scale(values)
    assert all(0 < scale.place(value) < 1 for value in values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert all(-1e-6 < scale.place(tick) < 1 + 1e-6 for tick in ticks)
    steps = [late - early for early, late in itertools.pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    lead = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(lead - step) for step in (1, 2, 5, 10)) < 1e-3


@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_labels_of_different_ticks_differ(values: list[float]) -> None:
    scale = fit_scale(values)
    labels = scale.labels(scale.ticks())
    assert len(set(labels)) == len(labels)


def test_labels_have_the_digits_of_their_step_and_no_negative_zero() -> None:
    scale = Scale(low=-0.011, high=0.011)
    ticks = scale.ticks(4)
    assert scale.labels(ticks) == ["-0.010", "-0.005", "0.000", "0.005", "0.010"]
    assert Scale(low=0, high=2000).labels([0.0, 1000.0, 2000.0]) == ["0", "1,000", "2,000"]


def test_an_axis_of_one_value_or_none_can_be_drawn() -> None:
    assert fit_scale([3.0, 3.0]).holds(3.0)
    assert fit_scale([0.0]).place(0.0) == 0.5
    assert fit_scale([math.nan, math.inf]) == Scale(low=0.0, high=1.0)


def test_an_axis_is_logarithmic_only_where_it_may_be_and_three_decades_are_spanned() -> None:
    assert fit_scale([1e-4, 1.0], may_log=True).log
    assert not fit_scale([1e-4, 1.0]).log
    assert not fit_scale([0.1, 1.0], may_log=True).log
    assert not fit_scale([0.0, 1e9], may_log=True).log


EXTREMES = (0.0, 5e-324, 1e-300, 1.0, 1e300, 1.7e308, -5e-324, -1e300, -1.7e308, 1.7976931348623157e308)


@pytest.mark.parametrize("may_log", [False, True])
@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_numbers_at_the_ends_of_what_a_float_holds_have_places_and_ticks(may_log: bool, count: int) -> None:
    for values in itertools.combinations_with_replacement(EXTREMES, 2):
        scale = fit_scale(values, may_log=may_log)
        assert all(0 <= scale.place(value) <= 1 and scale.holds(value) for value in values), values
        ticks = scale.ticks(count)
        assert 1 <= len(ticks) <= 12, values
        assert all(-1e-6 < scale.place(tick) < 1 + 1e-6 for tick in ticks), values
        labels = scale.labels(ticks)
        assert len(set(labels)) == len(labels), values
        assert max(map(len, labels)) <= 14, values
    assert fit_scale((1e-300, 1.7e308), may_log=True).place(1.0) == pytest.approx(0.5, abs=0.03)
    assert fit_scale((-1.7e308, 1.7e308)).place(0.0) == pytest.approx(0.5)
