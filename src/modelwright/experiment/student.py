"""The t interval at one or several looks."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.experiment.difference import ROUNDING, differences_at, experiments_at
from modelwright.experiment.interval import Interval
from modelwright.experiment.spending import Spending
from modelwright.experiment.student_levels import nominal_levels

__all__ = ["MINIMUM_SEEDS", "StudentRule"]

MINIMUM_SEEDS = 3
"""Fewest seeds at which a t interval is offered; with two, one degree of freedom says next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentRule:
    """Mean plus or minus t quantile times standard error, wide enough to hold at all looks at once.

    interval_k = mean +- t(1 - p_k; n_k - 1) * sd * sqrt(1 / n_k + inflation)

    The one-sided levels p_k are computed for the t statistics' own joint distribution, not taken over
    from normal boundaries (see `student_levels`). With one look p = alpha / 2 and this is the usual
    interval. Each look's interval stands by itself: earlier looks do not narrow it.

    Differences that are all equal have no spread to build on. Where a difference has bounds (a success
    rate over few rows), n equal ones can be chance: a value that comes with probability pi comes n times
    with probability pi^n, so pi >= 1 - q with q = 1 - p_k^(1 / (n - 1)), and the mean lies within

        [d + q (low - d), d + q (high - d)].

    (The exponent is n - 1 rather than n because any value may be the one that repeats: the sum of pi_d^n
    over all values d with pi_d < 1 - q is below (1 - q)^(n - 1) = p_k.) Without bounds no interval holds
    whatever the distribution is: the rule decides nothing, unless the design says that equal differences
    are `exact`, because nothing varied that could move them. The interval has no width then.

    Sources: repeated confidence intervals, Jennison and Turnbull (1989); variance for overlapping
    training sets, Nadeau and Bengio (2003), corrected resampled t test.

    Attributes:
        looks: Number of seeds at each look.
        levels: One-sided level p_k at each look.
        alpha: Probability that any look's interval misses.
        spending: How the level is spent; None for one look.
        inflation: n_test / n_train for conclusions about new data, else 0.
        bounds: Smallest and largest possible difference; None where there are none.
        exact: Whether differences that are all equal, and have no bounds, are taken for the truth.
    """

    looks: tuple[int, ...]
    levels: tuple[float, ...]
    alpha: float
    spending: Spending | None = None
    inflation: float = 0.0
    bounds: tuple[float, float] | None = None
    exact: bool = False

    @staticmethod
    def plan(
        *,
        looks: tuple[int, ...],
        alpha: float,
        spending: Spending | None,
        inflation: float,
        bounds: tuple[float, float] | None = None,
        exact: bool = False,
    ) -> "StudentRule":
        """Return the rule with its levels computed."""
        levels = nominal_levels(looks, alpha / 2, spending)
        return StudentRule(
            looks=looks,
            levels=levels,
            alpha=alpha,
            spending=spending,
            inflation=inflation,
            bounds=bounds,
            exact=exact,
        )

    @property
    def name(self) -> str:
        """A few words."""
        if self.spending is None:
            return f"t interval at {self.looks[-1]} seeds"
        return f"group-sequential t, {self.spending}, looks at {', '.join(map(str, self.looks))} seeds"

    @property
    def description(self) -> str:
        """What the rule does."""
        text = "Mean of the paired differences with a t interval"
        if self.spending is not None:
            text += f", widened so that all {len(self.looks)} looks together err at most {self.alpha:g}"
        if self.inflation > 0:
            text += "; training sets overlap, so the variance is raised by n_test / n_train"
            text += f" = {self.inflation:.3g} of itself"
        return text + "."

    @property
    def assumption(self) -> str:
        """What must be true for the error rate to hold."""
        text = "the paired differences are close to normal, or so many that their mean is"
        if self.inflation > 0:
            text += ", and any two seeds' results are correlated by the share of rows that they test on"
        return text

    def half_width_factor(self, look: int) -> float:
        """Return half the interval's width in standard deviations of the differences."""
        from scipy.special import stdtrit

        seeds = self.looks[look]
        quantile = -float(stdtrit(seeds - 1, self.levels[look]))
        return quantile * math.sqrt(1 / seeds + self.inflation)

    def tells(self, differences: ArrayLike) -> bool:
        """Return whether the differences allow a decision; see `StoppingRule`."""
        return self.exact or self.bounds is not None or float(np.ptp(np.asarray(differences))) > 0

    def interval(self, differences: ArrayLike, look: int) -> Interval:
        """Return the interval at a look, one without width where the rule cannot tell; see `StoppingRule`."""
        values = differences_at(self.looks, look, differences)
        mean = float(values.mean())
        if not self.tells(values):
            return Interval(low=mean, high=mean, level=1 - self.alpha, estimate=mean)
        low, high = self._limits_at(values[np.newaxis], look)
        return Interval(low=float(low[0]), high=float(high[0]), level=1 - self.alpha, estimate=mean)

    def beyond(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the lower limit is above `effect`; see `StoppingRule`."""
        return self._limits(differences)[0] > effect

    def short_of(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether the upper limit is below `effect`; see `StoppingRule`."""
        return self._limits(differences)[1] < effect

    def _limits(self, differences: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return lower and upper limits, each (experiment, look)."""
        values = experiments_at(self.looks, differences)
        pairs = [self._limits_at(values[:, :seeds], look) for look, seeds in enumerate(self.looks)]
        return np.stack([low for low, _ in pairs], axis=1), np.stack([high for _, high in pairs], axis=1)

    def _limits_at(
        self, values: NDArray[np.float64], look: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the limits (experiment,) for (experiment, seed) differences at a look."""
        mean = values.mean(axis=1)
        half = self.half_width_factor(look) * values.std(axis=1, ddof=1)
        low, high = mean - half, mean + half
        # Bounds tell the scale of the results, and with it how far apart rounding alone may put differences.
        equal = np.ptp(values, axis=1) <= (ROUNDING * max(map(abs, self.bounds)) if self.bounds else 0)
        if equal.any() and self.bounds is not None:
            least, most = self.bounds
            rare = 1 - self.levels[look] ** (1 / (values.shape[1] - 1))
            low = np.where(equal, mean + rare * np.minimum(least - mean, 0), low)
            high = np.where(equal, mean + rare * np.maximum(most - mean, 0), high)
        elif equal.any():
            low = np.where(equal, values[:, 0] if self.exact else -np.inf, low)
            high = np.where(equal, values[:, 0] if self.exact else np.inf, high)
        return low, high
