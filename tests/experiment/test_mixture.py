import math

import numpy as np
import pytest
from scipy.integrate import quad
from ville import BernoulliCS

from modelwright.base.errors import BadValue
from modelwright.experiment.mixture import (
    bernoulli_interval,
    best_precision,
    beta_binomial_bound,
    beta_binomial_log_mixture,
    gamma_exponential_bound,
    gamma_exponential_log_mixture,
    gamma_poisson_bound,
    gamma_poisson_log_mixture,
    normal_bound,
    normal_log_mixture,
    poly_stitching_bound,
)

TWO, ONE = best_precision(100, 0.05), best_precision(100, 0.05, sides=1)

# The constants of the tests of confseq (Howard et al.), at v = v_opt = 100, alpha = 0.05, s = 10.
PUBLISHED = [
    ("precision", TWO, 12.60056),
    ("two-sided normal bound", normal_bound(100, 0.05, TWO), 30.35209),
    ("two-sided normal mixture", normal_log_mixture(10, 100, TWO), -0.6510052),
    ("one-sided normal bound", normal_bound(100, 0.05, ONE, sides=1), 27.66071),
    ("one-sided normal mixture", normal_log_mixture(10, 100, ONE, sides=1), -0.06502391),
    ("gamma-exponential bound", gamma_exponential_bound(100, 0.05, ONE, 2), 33.02017),
    ("gamma-exponential mixture", gamma_exponential_log_mixture(10, 100, ONE, 2), -0.2490165),
    ("gamma-Poisson bound", gamma_poisson_bound(100, 0.05, ONE, 2), 30.1949),
    ("gamma-Poisson mixture", gamma_poisson_log_mixture(10, 100, ONE, 2), -0.06991219),
    ("two-sided beta-binomial bound", beta_binomial_bound(100, 0.05, TWO, 0.2, 0.8), 31.4308),
    ("two-sided beta-binomial mixture", beta_binomial_log_mixture(10, 100, TWO, 0.2, 0.8), -0.6941012),
    ("one-sided beta-binomial bound", beta_binomial_bound(100, 0.05, ONE, 0.2, 0.8, sides=1), 28.41238),
    (
        "one-sided beta-binomial mixture",
        beta_binomial_log_mixture(10, 100, ONE, 0.2, 0.8, sides=1),
        -0.07134019,
    ),
    ("stitched bound", poly_stitching_bound(100, 0.05, v_min=10, c=3), 64.48755),
    ("stitched bound, negative scale", poly_stitching_bound(100, 0.05, v_min=10, c=-1), 28.99389),
]


@pytest.mark.parametrize(("name", "found", "printed"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_constants_are_the_published_ones_to_every_printed_digit(
    name: str, found: float, printed: float
) -> None:
    digits = len(str(printed).split(".")[1])
    assert round(found, digits) == printed, name


@pytest.mark.parametrize(
    ("successes", "trials", "t_opt", "printed"),
    [(700, 1000, 100, (0.651629, 0.745949)), (15, 50, 50, (0.129556, 0.511896))],
)
def test_success_rates_have_the_published_limits(
    successes: int, trials: int, t_opt: float, printed: tuple[float, float]
) -> None:
    found = bernoulli_interval(successes, trials, 0.05, t_opt=t_opt)
    # Printed cut off, not rounded, after six digits.
    assert tuple(math.floor(limit * 1e6) / 1e6 for limit in found) == printed


def test_the_normal_mixture_is_the_integral_that_it_stands_for() -> None:
    s, v, rho = 12.0, 40.0, 5.0

    def weighted(slope: float) -> float:
        density = math.sqrt(rho / (2 * math.pi)) * math.exp(-rho * slope**2 / 2)
        return math.exp(slope * s - slope**2 * v / 2) * density

    assert normal_log_mixture(s, v, rho) == pytest.approx(math.log(quad(weighted, -5, 5)[0]), rel=1e-8)
    assert normal_log_mixture(s, v, rho, sides=1) == pytest.approx(
        math.log(2 * quad(weighted, 0, 5)[0]), rel=1e-8
    )


def test_a_random_walk_crosses_the_normal_bounds_at_most_as_often_as_stated() -> None:
    walk = np.cumsum(np.random.default_rng(1).standard_normal((20_000, 300)), axis=1)
    two = np.array([normal_bound(float(v), 0.05, best_precision(50, 0.05)) for v in range(1, 301)])
    assert 0.02 < (np.abs(walk) > two).any(axis=1).mean() <= 0.05
    one = np.array(
        [normal_bound(float(v), 0.05, best_precision(50, 0.05, sides=1), sides=1) for v in range(1, 301)]
    )
    assert 0.02 < (walk > one).any(axis=1).mean() <= 0.05


def test_success_rates_at_the_edges_have_limits_that_hold_them() -> None:
    assert bernoulli_interval(0, 20, 0.05, t_opt=20)[0] == 0
    assert bernoulli_interval(20, 20, 0.05, t_opt=20)[1] == 1
    low, high = bernoulli_interval(20, 20, 0.05, t_opt=20)
    assert 0.5 < low < 1
    assert high == 1


def test_success_rates_are_close_to_those_of_ville() -> None:
    x = (np.random.default_rng(5).random(400) < 0.3).astype(float)
    reference = BernoulliCS(alpha=0.05)
    reference.update(x)
    low, high = reference.interval()
    found = bernoulli_interval(float(x.sum()), 400, 0.05, t_opt=400)
    assert found == pytest.approx((low, high), abs=0.03)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(BadValue, match="above 0"):
        best_precision(0, 0.05)
    for alpha in (0.0, 0.5):
        with pytest.raises(BadValue, match="alpha"):
            best_precision(10, alpha, sides=1)
    for successes, trials in ((-1, 10), (11, 10), (0, 0)):
        with pytest.raises(BadValue, match="Successes"):
            bernoulli_interval(successes, trials, 0.05, t_opt=10)
