"""The two statistics of the benchmark: the sign-flip test of paired scores, and the bound of a rate."""

from collections.abc import Sequence
from itertools import product

from scipy.stats import beta

__all__ = ["rate_bound", "rate_interval", "sign_flip_p"]


def sign_flip_p(differences: Sequence[float], *, two_sided: bool = False) -> float:
    """Return the exact p-value of the sum of paired differences under flips of their signs.

    Fisher's randomisation test: where nothing differs, each difference is as likely as its negative, so the
    p-value is the share of all 2^n patterns of signs whose sum is at least that large.

    Args:
        differences: One number a pair; at most 20.
        two_sided: Whether sums are compared by their size.
    """
    observed = sum(differences)
    slack = 1e-12 * (1.0 + sum(abs(each) for each in differences))
    least = (abs(observed) if two_sided else observed) - slack
    count = 0
    for signs in product((1.0, -1.0), repeat=len(differences)):
        flipped = sum(sign * each for sign, each in zip(signs, differences, strict=True))
        count += (abs(flipped) if two_sided else flipped) >= least
    return count / 2 ** len(differences)


def rate_bound(count: int, runs: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of a rate (Clopper and Pearson 1934).

    At a count of 0 and 95% it is 1 - 0.05^(1/runs).
    """
    if count >= runs:
        return 1.0
    return float(beta.ppf(confidence, count + 1, runs - count))


def rate_interval(count: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval of a rate (Clopper and Pearson 1934)."""
    tail = (1.0 - confidence) / 2
    low = float(beta.ppf(tail, count, runs - count + 1)) if count > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, count + 1, runs - count)) if count < runs else 1.0
    return low, high
