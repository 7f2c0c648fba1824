"""Boundaries that a sum never crosses with given probability, however long one watches: conjugate mixtures.

For a sum S_t with intrinsic time V_t (for instance its variance) let exp(lambda S_t - psi(lambda) V_t) be a
supermartingale for every lambda of a family. Mixed over lambda with density f it stays one,

    m(s, v) = integral exp(lambda s - psi(lambda) v) f(lambda) d lambda,

and m(S_t, V_t) ever reaches 1 / alpha with probability at most alpha. The boundary is the s with
m(s, v) = 1 / alpha. Each density f has a precision `rho`, chosen to make the boundary tight at one v.

The betting rule is sharper for the few seeds of an experiment; these serve counts and long streams.

Source: Howard, Ramdas, McAuliffe and Sekhon (2021), *Time-uniform, nonparametric, nonasymptotic confidence
sequences*, Annals of Statistics 49: the normal, gamma-exponential, gamma-Poisson and beta-binomial
mixtures and the polynomial stitched boundary.
"""

import math
from collections.abc import Callable
from typing import cast

from modelwright.base.errors import BadValue

__all__ = [
    "bernoulli_interval",
    "best_precision",
    "beta_binomial_bound",
    "beta_binomial_log_mixture",
    "gamma_exponential_bound",
    "gamma_exponential_log_mixture",
    "gamma_poisson_bound",
    "gamma_poisson_log_mixture",
    "normal_bound",
    "normal_log_mixture",
    "poly_stitching_bound",
]


def best_precision(v_opt: float, alpha: float, *, sides: int = 2) -> float:
    """Return the precision rho that makes the normal mixture's boundary about tightest at time `v_opt`."""
    if not v_opt > 0:
        raise BadValue("The time to be tight at is above 0", got=v_opt)
    if not 0 < alpha * (3 - sides) < 1:
        raise BadValue("alpha is above 0 and below 1 (one-sided: below 1/2)", got=alpha)
    threshold = -2 * math.log(alpha * (3 - sides))
    return v_opt / (threshold + math.log1p(threshold))


def normal_log_mixture(s: float, v: float, rho: float, *, sides: int = 2) -> float:
    """Return log m(s, v) for sub-Gaussian sums, lambda normal with precision rho (one-sided: half-normal)."""
    from scipy.special import log_ndtr

    both = 0.5 * math.log(rho / (v + rho)) + s * s / (2 * (v + rho))
    return both if sides == 2 else both + math.log(2) + float(log_ndtr(s / math.sqrt(v + rho)))


def normal_bound(v: float, alpha: float, rho: float, *, sides: int = 2) -> float:
    """Return the boundary of a sub-Gaussian sum at intrinsic time v."""
    if sides == 2:
        return math.sqrt((v + rho) * (math.log1p(v / rho) - 2 * math.log(alpha)))
    return _bound(lambda s: normal_log_mixture(s, v, rho, sides=1), v, alpha)


def gamma_exponential_log_mixture(s: float, v: float, rho: float, c: float) -> float:
    """Return log m(s, v) for sub-exponential sums of scale c."""
    from scipy.special import gammainc

    shape, time, sum_ = rho / c**2, (v + rho) / c**2, (c * s + v + rho) / c**2
    start = shape * math.log(shape) - math.lgamma(shape) - math.log(gammainc(shape, shape))
    return start + math.lgamma(time) + math.log(gammainc(time, sum_)) - time * math.log(sum_) + sum_ - shape


def gamma_exponential_bound(v: float, alpha: float, rho: float, c: float) -> float:
    """Return the one-sided boundary of a sub-exponential sum at intrinsic time v."""
    return _bound(lambda s: gamma_exponential_log_mixture(s, v, rho, c), v, alpha)


def gamma_poisson_log_mixture(s: float, v: float, rho: float, c: float) -> float:
    """Return log m(s, v) for sub-Poisson sums of scale c."""
    from scipy.special import gammaincc

    shape, time, sum_ = rho / c**2, (v + rho) / c**2, (c * s + v + rho) / c**2
    start = shape * math.log(shape) - math.lgamma(shape) - math.log(gammaincc(shape, shape))
    return start + math.lgamma(sum_) + math.log(gammaincc(sum_, time)) - sum_ * math.log(time) + time - shape


def gamma_poisson_bound(v: float, alpha: float, rho: float, c: float) -> float:
    """Return the one-sided boundary of a sub-Poisson sum at intrinsic time v."""
    return _bound(lambda s: gamma_poisson_log_mixture(s, v, rho, c), v, alpha)


def beta_binomial_log_mixture(
    s: float, v: float, rho: float, low: float, high: float, *, sides: int = 2
) -> float:
    """Return log m(s, v) for sums of centred two-point variables on [-low, high] (sub-Bernoulli).

    Args:
        s: The sum.
        v: Intrinsic time, low * high for each term.
        rho: Precision, as for the normal mixture.
        low: How far a term can fall below its mean.
        high: How far a term can rise above it.
        sides: 2, or 1 for sums that are large.
    """
    excess = max(rho - low * high, 1e-3 * low * high)
    span = low + high
    cut = 1.0 if sides == 2 else high / span
    likelihood = v / (low * high) * math.log(span)
    likelihood -= (v + high * s) / (high * span) * math.log(low) + (v - low * s) / (low * span) * math.log(
        high
    )
    mixed = _log_beta((excess + v - low * s) / (low * span), (excess + v + high * s) / (high * span), cut)
    return likelihood + mixed - _log_beta(excess / (low * span), excess / (high * span), cut)


def beta_binomial_bound(
    v: float, alpha: float, rho: float, low: float, high: float, *, sides: int = 2
) -> float:
    """Return the boundary of a sub-Bernoulli sum at intrinsic time v."""
    top = v / low  # no sum can be larger
    mixture: Callable[[float], float] = lambda s: beta_binomial_log_mixture(s, v, rho, low, high, sides=sides)  # noqa: E731
    return top if mixture(top) < -math.log(alpha) else _bound(mixture, v, alpha, top)


def poly_stitching_bound(
    v: float, alpha: float, *, v_min: float, c: float = 0.0, power: float = 1.4, ratio: float = 2.0
) -> float:
    """Return the stitched boundary, of the law of the iterated logarithm's order, of a sub-gamma sum.

    Args:
        v: Intrinsic time.
        alpha: Probability of ever crossing.
        v_min: Time from which on the boundary holds.
        c: Scale of the sub-gamma sum; 0 for sub-Gaussian.
        power: Exponent of the error spent over epochs, above 1.
        ratio: Length of an epoch relative to the one before, above 1.
    """
    from scipy.special import zeta

    time = max(v, v_min)
    spent = power * math.log(math.log(ratio * time / v_min))
    level = spent + math.log(float(zeta(power)) / (alpha * math.log(ratio) ** power))
    width = (ratio**0.25 + ratio**-0.25) / math.sqrt(2)
    drift = (math.sqrt(ratio) + 1) / 2 * c * level
    return math.sqrt(width**2 * time * level + drift**2) + drift


def bernoulli_interval(successes: float, trials: int, alpha: float, *, t_opt: float) -> tuple[float, float]:
    """Return limits for a success rate that hold at every number of trials at once.

    Args:
        successes: How many trials succeeded.
        trials: How many there were, at least 1.
        alpha: Probability of ever missing the rate.
        t_opt: Number of trials at which the limits are to be tight.

    Source: Howard et al. (2021), inversion of the two-sided beta-binomial mixture.
    """
    from scipy.optimize import brentq

    if not (trials >= 1 and 0 <= successes <= trials):
        raise BadValue(
            "Successes are between 0 and the number of trials, at least 1", got=(successes, trials)
        )
    rate = successes / trials

    def excess(p: float) -> float:
        variance = p * (1 - p)
        rho = best_precision(variance * t_opt, 0.05)
        s, v = (rate - p) * trials, variance * trials
        return beta_binomial_log_mixture(s, v, rho, p, 1 - p) + math.log(alpha)

    edge = 1e-12
    inner = min(max(rate, edge), 1 - edge)
    low = 0.0 if successes == 0 else cast("float", brentq(excess, edge, inner, xtol=1e-13))
    high = 1.0 if successes == trials else cast("float", brentq(excess, inner, 1 - edge, xtol=1e-13))
    return low, high


def _log_beta(a: float, b: float, cut: float) -> float:
    from scipy.special import betainc, betaln

    whole = float(betaln(a, b))
    return whole if cut == 1.0 else whole + math.log(betainc(a, b, cut))


def _bound(mixture: Callable[[float], float], v: float, alpha: float, top: float | None = None) -> float:
    """Return the s at which the mixture, which grows with s, reaches 1 / alpha."""
    from scipy.optimize import brentq

    if top is None:
        top = max(v, 1.0)
        while mixture(top) < -math.log(alpha):
            top *= 2
    return cast("float", brentq(lambda s: mixture(s) + math.log(alpha), 0.0, top, xtol=1e-10))
