"""What tells observations that are shown as before from observations that are shown scaled."""

import numpy as np
import pytest

from modelwright.doctor.sensors.acting.seeing.observation_statistics import is_as_before
from modelwright.doctor.sensors.acting.seeing.scaling_rules import Pairs, rule_of


@pytest.mark.parametrize(("stays", "again"), [(False, False), (True, False), (False, True)])
def test_a_policy_that_stays_in_a_corner_still_sees_what_was_shown_before(stays: bool, again: bool) -> None:
    rng = np.random.default_rng(0)
    shown = rng.normal([15.0, 20.0, 0.0], [6.0, 2.0, 3.0], (400, 3))
    given = (shown - [15.0, 20.0, 0.0]) / [6.0, 2.0, 3.0]
    rule = rule_of(Pairs(given, shown, np.arange(400), np.zeros(400, np.int64)))
    assert rule is not None
    after = rng.normal([8.0, 19.0, 1.0], [1.2, 0.4, 0.5], (300, 3)) if stays else shown[::-1][:300]
    after = (after - [15.0, 20.0, 0.0]) / [6.0, 2.0, 3.0] if again else after
    assert is_as_before(after, shown, rule) is not again
