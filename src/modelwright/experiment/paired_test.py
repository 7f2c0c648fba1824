"""Classical tests for paired results, one look each.

The stopping rules decide verdicts; these answer single questions beside them and serve as references.

Sources:
    Nadeau and Bengio 2003, Inference for the Generalization Error (Machine Learning 52): the corrected t.
    Benavoli, Corani, Demsar and Zaffalon 2017, Time for a Change (JMLR 18): its Bayesian reading.
    McNemar 1947 (Psychometrika 12), with the continuity correction of Edwards 1948 (Psychometrika 13).
    Fisher 1935, The Design of Experiments, section 21: the sign-flip test.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment.estimate import finite_scores

__all__ = [
    "Alternative",
    "McNemarMethod",
    "PairedTest",
    "Posterior",
    "corrected_t_test",
    "correlated_t_posterior",
    "mcnemar_test",
    "sign_flip_test",
]

Alternative = Literal["two-sided", "greater", "less"]
McNemarMethod = Literal["exact", "chi-squared", "corrected"]

_MOST_FLIPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """The outcome of one test.

    Attributes:
        statistic: t, chi-squared, the smaller count, or the mean; each test says which.
        p_value: Probability of a statistic at least as extreme where there is no difference.
    """

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Where the true mean difference lies, as probabilities that sum to one.

    Attributes:
        better: Above the region of practical equivalence.
        equivalent: Inside it.
        worse: Below it.
    """

    better: float
    equivalent: float
    worse: float


def corrected_t_test(
    differences: ArrayLike, *, inflation: float, alternative: Alternative = "two-sided"
) -> PairedTest:
    """Return the paired t test with variance s^2 (1/n + inflation).

    Args:
        differences: (seed,) candidate - baseline on the same splits, at least 2.
        inflation: Test rows / train rows where the splits overlap (cross-validation, repeated draws from
            one data set); 0 is the ordinary paired t test.
        alternative: `greater` asks whether the mean is above 0.

    Returns:
        t and its p-value with n - 1 degrees of freedom.

    Raises:
        BadValue: for a value outside its rule, or differences that are all equal.
    """
    from scipy.special import stdtr

    mean, error, freedom = _corrected(differences, inflation)
    t = mean / error
    below, above = float(stdtr(freedom, t)), float(stdtr(freedom, -t))
    return PairedTest(statistic=t, p_value=_tail(alternative, below, above))


def correlated_t_posterior(differences: ArrayLike, *, inflation: float, rope: float = 0.0) -> Posterior:
    """Return the Bayesian correlated t test's posterior of the mean difference.

    With the reference prior the posterior is Student's t with n - 1 degrees of freedom around the mean,
    scaled by the corrected standard error.

    Args:
        differences: (seed,) candidate - baseline on the same splits, at least 2.
        inflation: Test rows / train rows where the splits overlap, else 0.
        rope: Half width of the region of practical equivalence, in the metric's unit.

    Raises:
        BadValue: for a value outside its rule, or differences that are all equal.
    """
    from scipy.special import stdtr

    if not 0 <= rope < math.inf:
        raise BadValue("The region of practical equivalence has a half width of at least 0", got=rope)
    mean, error, freedom = _corrected(differences, inflation)
    worse = float(stdtr(freedom, (-rope - mean) / error))
    better = float(stdtr(freedom, (mean - rope) / error))
    return Posterior(better=better, equivalent=max(0.0, 1 - better - worse), worse=worse)


def mcnemar_test(candidate_only: int, baseline_only: int, *, method: McNemarMethod = "exact") -> PairedTest:
    """Return McNemar's two-sided test of two classifiers on the same test rows.

    Args:
        candidate_only: Rows that only the candidate got right.
        baseline_only: Rows that only the baseline got right.
        method: `exact` (binomial; the statistic is the smaller count), `chi-squared`, or `corrected`
            (chi-squared with the continuity correction). Take `exact` below 25 such rows in all.

    Raises:
        BadValue: for counts that are no counts.
        UnknownName: for another method.
    """
    from scipy.special import bdtr, chdtrc

    for count in (candidate_only, baseline_only):
        if not count >= 0 or count % 1 != 0:
            raise BadValue("McNemar's test takes two counts of rows, whole numbers of at least 0", got=count)
    total = candidate_only + baseline_only
    smaller = min(candidate_only, baseline_only)
    match method:
        case "exact":
            p = min(1.0, 2 * float(bdtr(smaller, total, 0.5)))
            return PairedTest(statistic=float(smaller), p_value=p)
        case "chi-squared" | "corrected":
            # The correction never goes past zero: equal counts are no evidence at all.
            apart = max(abs(candidate_only - baseline_only) - (method == "corrected"), 0)
            chi2 = apart**2 / total if total else 0.0
            return PairedTest(statistic=chi2, p_value=float(chdtrc(1, chi2)))
        case _:
            raise UnknownName("method", str(method), ["exact", "chi-squared", "corrected"])


def sign_flip_test(differences: ArrayLike, *, alternative: Alternative = "two-sided") -> PairedTest:
    """Return the exact sign-flip test of the mean, for differences symmetric around 0 where nothing differs.

    All 2^n sign patterns count; each half of the seeds is summed once and the halves are matched by
    sorting, so 40 seeds take a second. Ties count against a difference.

    Args:
        differences: (seed,) candidate - baseline, 1 to 40.
        alternative: `greater` asks whether the mean is above 0.

    Returns:
        The mean and its p-value, a multiple of 2^-n.

    Raises:
        BadValue: for a value outside its rule.
    """
    array = _differences(differences)
    if array.size > _MOST_FLIPS:
        raise BadValue(
            f"The exact sign-flip test counts the patterns of at most {_MOST_FLIPS} seeds",
            got=f"{array.size} seeds",
            nearest="corrected_t_test with inflation=0, which is accurate with so many",
        )
    above, below = _share_at_least(array), _share_at_least(-array)
    return PairedTest(statistic=float(array.mean()), p_value=_tail(alternative, below, above))


def _share_at_least(array: NDArray[np.float64]) -> float:
    """Return the share of sign patterns whose sum is at least the observed one."""
    left, right = _signed_sums(array[: array.size // 2]), _signed_sums(array[array.size // 2 :])
    # Sums of the same numbers in another order differ by rounding; within it they are ties.
    rounding = 4 * array.size * np.finfo(np.float64).eps * np.abs(array).sum()
    short = np.searchsorted(np.sort(left), array.sum() - rounding - right, side="left")
    return float((left.size - short).sum()) / 2.0**array.size


def _signed_sums(array: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros(1)
    for value in array:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _tail(alternative: Alternative, below: float, above: float) -> float:
    match alternative:
        case "greater":
            return above
        case "less":
            return below
        case "two-sided":
            return min(1.0, 2 * min(below, above))
        case _:
            raise UnknownName("alternative", str(alternative), ["two-sided", "greater", "less"])


def _differences(differences: ArrayLike) -> NDArray[np.float64]:
    array = finite_scores(differences, "Differences")
    if array.ndim != 1:
        raise BadValue("Differences have shape (seed,), one for each seed", got=f"shape {array.shape}")
    return array


def _corrected(differences: ArrayLike, inflation: float) -> tuple[float, float, int]:
    """Return mean, corrected standard error, and degrees of freedom."""
    array = _differences(differences)
    if not 0 <= inflation < math.inf:
        raise BadValue("inflation is a finite number, at least 0", got=inflation)
    if array.size < 2 or np.ptp(array) == 0:
        raise BadValue(
            "A t test needs at least 2 differences that are not all equal",
            got=f"{array.size} of them, spread {np.ptp(array):g}",
            next_step="run more seeds, or take sign_flip_test",
        )
    error = float(array.std(ddof=1)) * math.sqrt(1 / array.size + inflation)
    return float(array.mean()), error, array.size - 1
