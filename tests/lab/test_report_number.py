"""Numbers as the report shows them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.experiment.interval import Interval
from modelwright.experiment.verdict import decide
from modelwright.lab.page.number import (
    decision_digits,
    fixed,
    general,
    show_bytes,
    show_count,
    show_joules,
    show_seconds,
    show_time,
    spread_digits,
)

SMALL = st.floats(-1, 1)


@given(SMALL, st.floats(1e-6, 1), st.floats(-0.5, 0.5), st.floats(1e-3, 0.5))
def test_a_reader_of_the_rounded_limits_comes_to_the_same_decision(
    low: float, width: float, margin: float, smallest: float
) -> None:
    interval = Interval(low=low, high=low + width, level=0.95, estimate=low + width / 2)
    digits = decision_digits(interval, (margin, smallest, -smallest))
    shown = [float(fixed(value, digits)) for value in (interval.low, interval.high)]
    gaps = [abs(limit - mark) for limit in (low, low + width) for mark in (margin, smallest, -smallest)]
    if min(gaps) > 1e-11:
        read = Interval(low=shown[0], high=max(shown), level=0.95, estimate=shown[0])
        assert decide(read, margin, smallest) == decide(interval, margin, smallest)


def test_a_limit_just_beyond_the_margin_keeps_the_digits_that_show_it() -> None:
    interval = Interval(low=0.01004, high=0.0301, level=0.95, estimate=0.02)
    digits = decision_digits(interval, (0.01,))
    assert fixed(interval.low, digits) == "0.01004"
    assert decision_digits(interval, ()) == 3


def test_numbers_without_a_value_are_said_in_words() -> None:
    assert fixed(None, 2) == "–"
    assert fixed(math.nan, 2) == "not a number"
    assert fixed(-math.inf, 2) == "-infinite"
    assert fixed(-0.0001, 2) == "0.00"


def test_digits_follow_the_spread_of_the_values() -> None:
    assert spread_digits([0.9711, 0.9744, None, math.nan]) == 5
    assert spread_digits([3.0, 17.0]) == 0
    assert spread_digits([]) == 0
    assert spread_digits([0.5, 0.5]) == 4
    assert spread_digits([1234.5, 99.25]) == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0042, "4.2 ms"),
        (0.5, "0.5 s"),
        (59.94, "59.9 s"),
        (119.9, "2 min 0 s"),
        (410.4, "6 min 50 s"),
        (9000, "2 h 30 min"),
    ],
)
def test_durations_have_units(value: float, shown: str) -> None:
    assert show_seconds(value) == shown


def test_other_quantities_have_units() -> None:
    assert show_bytes(512) == "512 B"
    assert show_bytes(25276510208) == "23.5 GiB"
    assert show_bytes(2**50) == "1.02e+03 TiB"
    assert show_joules(560) == "560 J"
    assert show_joules(36000) == "36 kJ (10 Wh)"
    assert show_count(1, "seed") == "1 seed"
    assert show_count(1200, "entry", "entries") == "1,200 entries"
    assert show_time("2026-11-21T02:45:44.848503Z") == "2026-11-21 02:45:44 UTC"
    assert show_time("yesterday") == "yesterday"
    assert [general(value) for value in (True, None, 0.1 + 0.2, "x", 3)] == ["yes", "–", "0.3", "x", "3"]


@pytest.mark.parametrize("low", [-1.7e308, -1e300, 0.0, 5e-324])
@pytest.mark.parametrize("high", [5e-324, 1e-300, 1e300, 1.7e308])
def test_numbers_at_the_ends_of_what_a_float_holds_are_short(low: float, high: float) -> None:
    interval = Interval(low=low, high=max(low, high), level=0.95, estimate=low)
    digits = decision_digits(interval, (0.02, 0.01, -0.01))
    for value in (low, high):
        assert len(fixed(value, digits)) <= 15
        assert len(fixed(value, spread_digits([low, high]))) <= 15


def test_a_number_too_small_to_write_out_is_not_called_zero() -> None:
    assert (fixed(1e-300, 12), fixed(1e-300, 3), fixed(0.0, 12)) == ("1e-300", "0.000", "0.000000000000")
    assert fixed(-1.7e308, 2) == "-1.7e+308"
