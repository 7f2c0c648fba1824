import json
import math

import pytest

from modelwright.base.errors import BadValue
from modelwright.experiment.interval import Interval


def interval(low: float, high: float, estimate: float | None = None) -> Interval:
    return Interval(
        low=low, high=high, level=0.95, estimate=(low + high) / 2 if estimate is None else estimate
    )


def test_an_interval_answers_the_three_questions_with_strict_inequalities() -> None:
    it = interval(0.1, 0.3)
    assert it.beyond(0.09)
    assert not it.beyond(0.1)
    assert it.short_of(0.31)
    assert not it.short_of(0.3)
    assert it.inside(0.09, 0.31)
    assert not it.inside(0.1, 0.31)
    assert not it.inside(0.09, 0.3)
    assert it.width == pytest.approx(0.2)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["low", "high", "estimate"])
def test_limits_that_are_not_finite_are_refused(field: str, broken: float) -> None:
    values = {"low": 0.0, "high": 1.0, "estimate": 0.5, field: broken}
    with pytest.raises(BadValue, match="finite"):
        Interval(level=0.95, **values)


def test_limits_in_the_wrong_order_and_impossible_levels_are_refused() -> None:
    with pytest.raises(BadValue, match="at most its upper limit"):
        interval(0.3, 0.1)
    with pytest.raises(BadValue, match="between 0 and 1"):
        Interval(low=0, high=1, level=1.0, estimate=0.5)


@pytest.mark.parametrize(
    ("it", "text"),
    [
        (interval(0.0153, 0.0271), "0.0212 (95% interval 0.0153 to 0.0271)"),
        (interval(-12.34, 30.2), "9 (95% interval -12 to 30)"),
        (interval(0.5, 0.5), "0.5 (95% interval 0.5 to 0.5)"),
        (interval(-0.004, 0.0039), "-0.0001 (95% interval -0.0040 to 0.0039)"),
        (interval(-0.3, 0.30001), "0.00 (95% interval -0.30 to 0.30)"),
    ],
)
def test_numbers_are_shown_to_the_digits_that_the_width_can_tell(it: Interval, text: str) -> None:
    assert it.text() == text


def test_a_record_comes_back_from_json_as_it_was() -> None:
    it = interval(0.125, 1.0)
    assert Interval(**json.loads(json.dumps(it.record()))) == it
