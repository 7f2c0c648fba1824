"""Evidence that something changed: both bounds hold by simulation, and a wrong start breaks one."""

from math import exp

import numpy as np
import pytest
from scipy.stats import binom

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.change_detector import ChangeDetector

RUNS, LIMIT = 150, 20.0


def payments(rng: np.random.Generator, steps: int, rate: float) -> np.ndarray:
    """Of a bet on yes at odds doubled, against a rate of 0.3."""
    q = 0.6 / 1.3
    return np.where(rng.random(steps) < rate, q / 0.3, (1 - q) / 0.7)


def first_alarm(rng: np.random.Generator, steps: int, change: int, *, forever: bool) -> int:
    detector = ChangeDetector(forever=forever)
    paid = np.concatenate([payments(rng, change, 0.3), payments(rng, steps - change, 0.7)])
    for step, each in enumerate(paid, start=1):
        detector.see(float(each))
        if detector.ever_reached(LIMIT):
            return step
    return steps + 1


def test_without_a_change_it_takes_as_long_as_promised_in_the_mean() -> None:
    rng = np.random.default_rng(0)
    lengths = [first_alarm(rng, 200, 200, forever=False) for _ in range(RUNS)]
    assert np.mean(lengths) + 3 * np.std(lengths) / RUNS**0.5 >= LIMIT


def test_over_the_whole_run_few_alarm_without_a_change() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(first_alarm(rng, 200, 200, forever=True) <= 200 for _ in range(RUNS))
    assert alarms <= binom.ppf(0.999, RUNS, 1 / LIMIT)


def test_a_full_share_at_every_start_breaks_that_bound() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(first_alarm(rng, 200, 200, forever=False) <= 200 for _ in range(RUNS))
    assert alarms > binom.ppf(0.999, RUNS, 1 / LIMIT)


@pytest.mark.parametrize("forever", [True, False])
def test_a_change_is_found_soon(forever: bool) -> None:
    rng = np.random.default_rng(2)
    delays = [first_alarm(rng, 200, 100, forever=forever) - 100 for _ in range(30)]
    assert np.median(delays) <= 45


def test_the_sum_is_that_of_its_recursion() -> None:
    detector, paid, sum_ = ChangeDetector(), [1.2, 0.5, 2.0], 0.0
    for each in paid:
        detector.see(each)
        sum_ = each * (sum_ + 1)
    assert exp(detector.log_evidence) == pytest.approx(sum_)
    mixed = ChangeDetector(forever=True)
    assert mixed.log_evidence == 0.0
    for _ in range(9):
        mixed.see(1.0)  # nothing is won or lost, so all shares together stay 1
    assert mixed.log_evidence == pytest.approx(0.0)


def test_a_negative_payment_is_refused() -> None:
    with pytest.raises(BadValue):
        ChangeDetector().see(-1.0)
