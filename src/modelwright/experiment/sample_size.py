"""How many seeds a design needs before it can see its smallest effect.

Differences d_i = candidate - baseline are paired by seed, turned so that more is better, and judged by
the two-sided t test at level alpha. The claim is one-sided, so "supported" is the upper tail alone:

    T = mean(d) / (s sqrt(1/n + rho)),   supported where T > t_{1 - alpha/2, n-1}
    T ~ noncentral t (n-1, effect / (spread sqrt(1/n + rho)))

rho is zero where seeds are independent. Where every seed trains on an overlapping draw of the same data,
rho = test rows / train rows (Nadeau and Bengio 2003, Machine Learning 52), the differences share a part
that more seeds do not average away, and power stays below Phi(effect / (spread sqrt(rho)) - z_{1 - alpha/2}).

Other sources: Cohen 1992 (Psychological Bulletin 112) for two samples; Noether 1987 (JASA 82) in the use
of Bouthillier et al. 2021 (MLSys) for the probability of improvement.
"""

import math
from typing import Literal, cast

import numpy as np

from modelwright.base.errors import BadValue

__all__ = ["noether_size", "paired_t_power", "seeds_needed", "sign_flip_seeds", "two_sample_size"]

_SMALLEST_LEVEL = 2.0**-1000


def _require(rule: str, holds: bool, got: object) -> None:
    if not holds:
        raise BadValue(rule, got=got)


def _require_share(**shares: float) -> None:
    for name, value in shares.items():
        _require(f"{name} lies strictly between 0 and 1", 0 < value < 1, f"{name}={value}")


def _require_count(name: str, value: object, low: int) -> None:
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= low)
    _require(f"{name} is a whole number, at least {low}", fits, f"{name}={value!r}")


def _require_spread(spread: float, inflation: float) -> None:
    _require(
        "The spread of the paired differences is a positive, finite number",
        0 < spread < math.inf,
        f"spread={spread}",
    )
    _require("inflation is a finite number, at least 0", 0 <= inflation < math.inf, f"inflation={inflation}")


def _lower_tail(freedom: float, shift: float, alpha: float) -> float:
    """Return P(T < -t_{1 - alpha/2}) for a noncentral t."""
    from scipy.special import nctdtr, stdtrit

    if shift > 8:
        # Below Phi(-8) < 1e-15, since T < 0 needs a normal draw below -shift; SciPy underflows to NaN there.
        return 0.0
    return float(nctdtr(freedom, shift, stdtrit(freedom, alpha / 2)))


def paired_t_power(effect: float, spread: float, seeds: int, alpha: float, inflation: float = 0.0) -> float:
    """Return the probability that a paired t test with `seeds` seeds says "supported".

    Args:
        effect: True mean difference beyond the margin, in the metric's unit, turned so that more is better.
            May be 0 (the power is then alpha / 2, the chance of a false "supported") or negative.
        spread: Standard deviation of the differences between seeds, in the metric's unit. With `inflation`
            it is what the sample standard deviation estimates: the part that differs between seeds.
        seeds: Number of paired differences, at least 2.
        alpha: Two-sided level of the test.
        inflation: Nadeau and Bengio's rho; the variance of the mean is spread^2 (1 / seeds + rho).

    Raises:
        BadValue: for a value outside its rule.
    """
    _require("effect is a finite number", math.isfinite(effect), f"effect={effect}")
    _require_spread(spread, inflation)
    _require_count("seeds", seeds, 2)
    _require_share(alpha=alpha)
    # By symmetry the upper tail of T is the lower tail of -T.
    return _lower_tail(seeds - 1, -effect / (spread * math.sqrt(1 / seeds + inflation)), alpha)


def seeds_needed(
    effect: float,
    spread: float,
    power: float,
    alpha: float,
    inflation: float = 0.0,
    *,
    sequential_inflation: float = 1.0,
    smallest: int = 3,
    largest: int = 10_000,
) -> int:
    """Return the fewest seeds with which a paired t test reaches `power` at `effect`.

    Args:
        effect: Smallest mean difference beyond the margin that the design must see, above 0.
        spread: Standard deviation of the differences between seeds.
        power: Wanted probability of "supported" when `effect` is true.
        alpha: Two-sided level of the test.
        inflation: Nadeau and Bengio's rho, see `paired_t_power`.
        sequential_inflation: Largest size of a sequential design over that of the fixed design of equal
            power (Jennison and Turnbull's R, at least 1); multiplies the fixed number of seeds.
        smallest: Fewest seeds to return, at least 2.
        largest: Most seeds that could be paid for.

    Raises:
        BadValue: for a value outside its rule; and where no affordable number of seeds reaches the power,
            naming the highest power that can be attained.
    """
    _require("effect is a finite number above 0", 0 < effect < math.inf, f"effect={effect}")
    _require_share(power=power)
    _require(
        "sequential_inflation is a finite number, at least 1",
        1 <= sequential_inflation < math.inf,
        f"sequential_inflation={sequential_inflation}",
    )
    _require_count("smallest", smallest, 2)
    _require_count("largest", largest, smallest)

    affordable = math.floor(largest / sequential_inflation)
    if affordable < 2 or paired_t_power(effect, spread, affordable, alpha, inflation) < power:
        raise _out_of_reach(effect, spread, power, alpha, inflation, largest=largest, affordable=affordable)
    # The power grows with the seeds (a larger shift, more degrees of freedom), so bisection is exact.
    low, high = 1, affordable
    while high - low > 1:
        middle = (low + high) // 2
        if paired_t_power(effect, spread, middle, alpha, inflation) >= power:
            high = middle
        else:
            low = middle
    return max(smallest, math.ceil(sequential_inflation * high))


def _out_of_reach(
    effect: float,
    spread: float,
    power: float,
    alpha: float,
    inflation: float,
    *,
    largest: int,
    affordable: int,
) -> BadValue:
    from scipy.special import ndtr, ndtri

    rule = f"A power of {power:g} at an effect of {effect:g} must be within reach"
    if inflation > 0:
        limit = float(ndtr(effect / (spread * math.sqrt(inflation)) - ndtri(1 - alpha / 2)))
        if limit <= power:
            return BadValue(
                rule,
                got=f"overlap inflation {inflation:g}, which no number of seeds averages away",
                nearest=f"power {_rounded_down(limit)}, the limit for ever more seeds",
                next_step="ask for a larger effect, give training a larger share of the rows, or speak of a "
                "fixed split",
            )
    if affordable < 2:
        return BadValue(
            rule,
            got=f"at most {largest} seeds for a sequential design",
            nearest="no power: the fixed design inside it would have fewer than 2 seeds",
            next_step="allow more seeds",
        )
    reached = paired_t_power(effect, spread, affordable, alpha, inflation)
    return BadValue(
        rule,
        got=f"at most {largest} seeds",
        nearest=f"power {_rounded_down(reached)}, reached with all of them",
        next_step="allow more seeds, ask for a larger effect, or lower the spread",
    )


def _rounded_down(power: float) -> str:
    """Three decimals, never more than can be had."""
    return f"{math.floor(power * 1000) / 1000:.3f}"


def two_sample_size(effect_size: float, power: float, alpha: float) -> float:
    """Return the size of each of two equal, independent samples for a two-sided t test.

    For variants that share no seeds. Both tails count, as in Cohen's table.

    Args:
        effect_size: Cohen's d, the difference of the means in standard deviations; not 0.
        power: Wanted power, above alpha.
        alpha: Two-sided level.

    Returns:
        The size that solves the equation, a real number of at least 2; round it up.

    Raises:
        BadValue: for a value outside its rule.
    """
    from scipy.optimize import brentq

    _require(
        "effect_size is a finite number other than 0",
        math.isfinite(effect_size) and effect_size != 0,
        effect_size,
    )
    _require_share(power=power, alpha=alpha)
    _require("power is above alpha", power > alpha, f"power={power}, alpha={alpha}")

    def surplus(size: float) -> float:
        freedom = 2 * size - 2
        shift = abs(effect_size) * math.sqrt(size / 2)
        return _lower_tail(freedom, -shift, alpha) + _lower_tail(freedom, shift, alpha) - power

    if surplus(2.0) >= 0:
        return 2.0
    high = 4.0
    while surplus(high) < 0:
        high *= 2
        _require(
            "The effect is large enough to be found by 10^9 results", high < 1e9, f"effect_size={effect_size}"
        )
    return cast("float", brentq(surplus, high / 2, high, xtol=1e-9))


def noether_size(probability: float, power: float, alpha: float) -> float:
    """Return the pairs of runs that a one-sided test of the probability of improvement needs.

    Args:
        probability: P(candidate beats baseline) that must be told from 1/2; not 1/2 itself.
        power: Wanted power.
        alpha: One-sided level.

    Returns:
        ((z_{1-alpha} + z_{power}) / (sqrt(6) (probability - 1/2)))^2, a real number; round it up.

    Raises:
        BadValue: for a value outside its rule.
    """
    from scipy.special import ndtri

    _require_share(power=power, alpha=alpha)
    _require(
        "probability lies in [0, 1] and is not 1/2", 0 <= probability <= 1 and probability != 0.5, probability
    )
    quantiles = float(ndtri(1 - alpha) + ndtri(power))
    _require("power is above alpha", quantiles > 0, f"power={power}, alpha={alpha}")
    return (quantiles / (math.sqrt(6) * (probability - 0.5))) ** 2


def sign_flip_seeds(alpha: float, sides: Literal[1, 2] = 2) -> int:
    """Return the fewest seeds at which an exact sign-flip test can reach level `alpha` at all.

    n differences have 2^n sign patterns, so the smallest possible p-value is sides / 2^n.

    Args:
        alpha: Level of the test.
        sides: 2 for a two-sided test, 1 for a one-sided one.

    Raises:
        BadValue: for a value outside its rule.
    """
    _require("alpha lies strictly between 0 and 1", _SMALLEST_LEVEL <= alpha < 1, f"alpha={alpha}")
    _require("sides is 1 or 2", sides in (1, 2), sides)
    seeds = 1
    while sides * 2.0**-seeds > alpha:
        seeds += 1
    return seeds
