"""Wald's sequential probability ratio test between two simple hypotheses.

The log-likelihood ratio of the results so far, H1 over H0, is compared after each result with

    upper = log((1 - beta) / alpha)     reached: accept H1
    lower = log(beta / (1 - alpha))     reached: accept H0

Ville's inequality and its mirror bound the true error rates by alpha / (1 - beta) and beta / (1 - alpha), and
their sum by alpha + beta; the excess over the bounds makes them smaller in practice.

Source: Wald 1945, Sequential Tests of Statistical Hypotheses (Annals of Mathematical Statistics 16).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.base.setting import Settings, setting
from modelwright.experiment.estimate import finite_scores

__all__ = ["Sprt", "SprtDecision", "bernoulli_log_ratios", "normal_log_ratios"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SprtDecision:
    """Where the test stands.

    Attributes:
        accepted: `H1`, `H0`, or None where it goes on.
        used: Results used: up to the one that decided, or all.
        log_ratio: Log-likelihood ratio at that point.
    """

    accepted: Literal["H0", "H1"] | None
    used: int
    log_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprt(Settings):
    """The test with its two error rates."""

    alpha: float = setting(doc="Wanted chance of accepting H1 where H0 is true.", above=0, below=1)
    beta: float = setting(doc="Wanted chance of accepting H0 where H1 is true.", above=0, below=1)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.alpha + self.beta >= 1:
            raise BadValue(
                "alpha and beta add up to less than 1, else a coin would do",
                got=f"alpha={self.alpha}, beta={self.beta}",
            )

    @property
    def upper(self) -> float:
        """Log-likelihood ratio from which on H1 is accepted."""
        return math.log((1 - self.beta) / self.alpha)

    @property
    def lower(self) -> float:
        """Log-likelihood ratio up to which H0 is accepted."""
        return math.log(self.beta / (1 - self.alpha))

    def decide(self, log_ratios: ArrayLike) -> SprtDecision:
        """Return the decision after the results so far.

        Args:
            log_ratios: (result,) log-likelihood ratio of each result by itself, H1 over H0, in order.

        Raises:
            BadValue: where there is none, or one is not finite.
        """
        array = finite_scores(log_ratios, "Log-likelihood ratios")
        if array.ndim != 1:
            raise BadValue("Log-likelihood ratios have shape (result,)", got=f"shape {array.shape}")
        total = array.cumsum()
        crossed = np.flatnonzero((total >= self.upper) | (total <= self.lower))
        last = int(crossed[0]) if crossed.size else array.size - 1
        ratio = float(total[last])
        accepted = None if not crossed.size else "H1" if ratio >= self.upper else "H0"
        return SprtDecision(accepted=accepted, used=last + 1, log_ratio=ratio)


def bernoulli_log_ratios(outcomes: ArrayLike, *, chance0: float, chance1: float) -> NDArray[np.float64]:
    """Return log(P1 / P0) of each outcome of a yes-or-no trial.

    Args:
        outcomes: (result,) of 0 and 1, or False and True.
        chance0: Chance of 1 under H0.
        chance1: Chance of 1 under H1, another one.

    Raises:
        BadValue: for a value outside its rule.
    """
    array = finite_scores(outcomes, "Outcomes")
    if not np.isin(array, (0.0, 1.0)).all():
        raise BadValue("Outcomes are 0 or 1", got=array[~np.isin(array, (0.0, 1.0))][0])
    if not (0 < chance0 < 1 and 0 < chance1 < 1) or chance0 == chance1:
        raise BadValue(
            "The two chances lie strictly between 0 and 1 and differ",
            got=f"chance0={chance0}, chance1={chance1}",
        )
    return np.where(array == 1, math.log(chance1 / chance0), math.log((1 - chance1) / (1 - chance0)))


def normal_log_ratios(values: ArrayLike, *, mean0: float, mean1: float, spread: float) -> NDArray[np.float64]:
    """Return log(p1 / p0) of each normal value with a known spread.

    Args:
        values: (result,) in the metric's unit.
        mean0: Mean under H0.
        mean1: Mean under H1, another one.
        spread: Standard deviation under both, above 0.

    Raises:
        BadValue: for a value outside its rule.
    """
    array = finite_scores(values, "Values")
    if not 0 < spread < math.inf or not math.isfinite(mean0 + mean1) or mean0 == mean1:
        raise BadValue(
            "The two means are finite and differ, and the spread is above 0",
            got=f"mean0={mean0}, mean1={mean1}, spread={spread}",
        )
    return (mean1 - mean0) / spread**2 * (array - (mean0 + mean1) / 2)
