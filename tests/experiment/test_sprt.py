import math

import numpy as np
import pytest
from scipy import stats

from modelwright.base.errors import BadValue
from modelwright.experiment.sprt import Sprt, bernoulli_log_ratios, normal_log_ratios


@pytest.mark.parametrize(
    ("alpha", "beta", "upper", "lower"),
    [(0.05, 0.05, "2.9444", "-2.9444"), (0.05, 0.20, "2.7726", "-1.5581"), (0.01, 0.01, "4.5951", "-4.5951")],
)
def test_the_bounds_are_walds(alpha: float, beta: float, upper: str, lower: str) -> None:
    test = Sprt(alpha=alpha, beta=beta)
    assert (f"{test.upper:.4f}", f"{test.lower:.4f}") == (upper, lower)


def test_log_ratios_are_those_of_the_densities() -> None:
    outcomes = np.array([1, 0, 0, 1])
    expected = stats.bernoulli.logpmf(outcomes, 0.7) - stats.bernoulli.logpmf(outcomes, 0.5)
    assert bernoulli_log_ratios(outcomes, chance0=0.5, chance1=0.7) == pytest.approx(expected)
    values = np.array([-1.0, 0.2, 3.0])
    expected = stats.norm.logpdf(values, 1.5, 0.8) - stats.norm.logpdf(values, 0.5, 0.8)
    assert normal_log_ratios(values, mean0=0.5, mean1=1.5, spread=0.8) == pytest.approx(expected)


def test_the_first_crossing_decides_and_later_results_do_not_matter() -> None:
    test = Sprt(alpha=0.05, beta=0.05)
    assert test.decide([1.0, 2.0, -50.0]).accepted == "H1"
    assert test.decide([1.0, 2.0, -50.0]).used == 2
    down = test.decide([1.0, -2.0, -2.0, 99.0])
    assert (down.accepted, down.used, down.log_ratio) == ("H0", 3, -3.0)
    on = test.decide([1.0, -1.0, 0.5])
    assert (on.accepted, on.used, on.log_ratio) == (None, 3, 0.5)
    # A bound that is met exactly is reached.
    assert test.decide([test.upper]).accepted == "H1"
    assert test.decide([test.lower]).accepted == "H0"


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_error_rates_and_sample_numbers_are_those_that_wald_promises(truth: float) -> None:
    alpha, beta, experiments = 0.05, 0.10, 3000
    test = Sprt(alpha=alpha, beta=beta)
    values = np.random.default_rng(4).normal(truth, 2.0, size=(experiments, 300))
    decisions = [test.decide(normal_log_ratios(row, mean0=0.0, mean1=1.0, spread=2.0)) for row in values]
    assert all(decision.accepted for decision in decisions)
    wrong = np.mean([decision.accepted != f"H{int(truth)}" for decision in decisions])
    bound = alpha / (1 - beta) if truth == 0 else beta / (1 - alpha)
    assert bound / 3 < wrong < bound + 3 * math.sqrt(bound / experiments)
    # Wald's approximation of the expected number of results ignores the excess over the bounds.
    error = alpha if truth == 0 else 1 - beta
    drift = (2 * truth - 1) / (2 * 2.0**2)
    expected = (error * test.upper + (1 - error) * test.lower) / drift
    assert expected < np.mean([decision.used for decision in decisions]) < 1.3 * expected


@pytest.mark.parametrize(
    "ask",
    [
        lambda: Sprt(alpha=0.0, beta=0.1),
        lambda: Sprt(alpha=0.5, beta=0.5),
        lambda: Sprt(alpha=0.05, beta=0.05).decide([]),
        lambda: Sprt(alpha=0.05, beta=0.05).decide([float("nan")]),
        lambda: Sprt(alpha=0.05, beta=0.05).decide([[1.0]]),
        lambda: bernoulli_log_ratios([0, 2], chance0=0.5, chance1=0.7),
        lambda: bernoulli_log_ratios([0, 1], chance0=0.5, chance1=0.5),
        lambda: bernoulli_log_ratios([0, 1], chance0=0.0, chance1=0.5),
        lambda: normal_log_ratios([0.0], mean0=1.0, mean1=1.0, spread=1.0),
        lambda: normal_log_ratios([0.0], mean0=1.0, mean1=2.0, spread=0.0),
    ],
)
def test_a_value_outside_its_rule_is_refused(ask) -> None:
    with pytest.raises(BadValue):
        ask()
